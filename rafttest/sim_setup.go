package rafttest

import (
	"fmt"
	"math"

	"quorate.example/raft"
)

// setup is what the seed decides about a whole run: how the members are
// configured.
type setup struct {
	base         raft.Config
	compactEvery uint64 // applied entries between two snapshots of the own state
	keepBehind   uint64 // entries that stay in the log behind a snapshot
	hook         func(id uint64, cfg *raft.Config)
}

func drawSetup(p *Profile, s Simulation) setup {
	src := newSource(s.Seed, streamSetup, 0, 0)
	coin := func() bool { return src.below(2) == 0 }
	cfg := raft.Config{
		ElectionTick:              10,
		HeartbeatTick:             int(src.between(1, 3)),
		AsyncStorageWrites:        coin(),
		MaxSizePerMsg:             drawLimit(src, 0, 64, 512),
		MaxCommittedSizePerReady:  drawLimit(src, 64, 256),
		MaxUncommittedEntriesSize: drawLimit(src, 400, 2000),
		MaxInflightMsgs:           int(src.between(1, 4) * src.between(1, 64)),
		CheckQuorum:               src.below(4) != 0,
		PreVote:                   coin(),
		StepDownOnRemoval:         coin(),
		DisableProposalForwarding: src.below(5) == 0,
	}
	if p.ConfChanges > 0 && !cfg.CheckQuorum {
		// With neither, a member that was cut off through several changes may be
		// left at a higher term that nobody tells the leader of.
		cfg.PreVote = true
	}
	if p.LeaseReads {
		cfg.CheckQuorum, cfg.ReadOnlyOption = true, raft.ReadOnlyLeaseBased
	}
	every := uint64(src.between(15, 80))
	if p.Compactions == 0 {
		every = math.MaxUint64 / 2
	}
	return setup{
		base:         cfg,
		compactEvery: every,
		keepBehind:   src.below(20),
		hook:         s.Config,
	}
}

// drawLimit returns one of the limits or, as often as all of them, none.
func drawLimit(src *source, limits ...uint64) uint64 {
	if src.below(2) == 0 {
		return math.MaxUint64
	}
	return limits[src.below(uint64(len(limits)))]
}

// config returns the Config of the next process of m.
func (s *setup) config(m *Member) raft.Config {
	cfg := s.base
	cfg.ID = m.id
	cfg.Logger = silentLogger{}
	cfg.Rand = newSource(m.w.sim.Seed, streamElection, m.id, uint64(m.life))
	if s.hook != nil {
		s.hook(m.id, &cfg)
	}
	return cfg
}

// silentLogger says nothing and panics when it must.
type silentLogger struct{}

func (silentLogger) Debug(...any)              {}
func (silentLogger) Debugf(string, ...any)     {}
func (silentLogger) Info(...any)               {}
func (silentLogger) Infof(string, ...any)      {}
func (silentLogger) Warning(...any)            {}
func (silentLogger) Warningf(string, ...any)   {}
func (silentLogger) Error(...any)              {}
func (silentLogger) Errorf(string, ...any)     {}
func (silentLogger) Fatal(v ...any)            { panic(fmt.Sprint(v...)) }
func (silentLogger) Fatalf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
func (silentLogger) Panic(v ...any)            { panic(fmt.Sprint(v...)) }
func (silentLogger) Panicf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
