package host_test

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/rafttest"
)

var simSeeds = flag.Int("sim.seeds", 5, "seeds for each profile of the simulated world")

// Claim: the engine runs in rafttest's world, under every profile and with crashes at every step, and no oracle
// complains. Profiles that break what Raft needs may have the violations that they list.
func TestEngineHoldsInTheSimulatedWorld(t *testing.T) {
	for _, name := range rafttest.ProfileNames() {
		profile, _ := rafttest.ProfileNamed(name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := 0
			for seed := 1; seed <= *simSeeds; seed++ {
				s := simulation(uint64(seed), profile)
				res := s.Run()
				events += res.Events
				if v := res.Violation; v != nil && !profile.Allows(v.Oracle) {
					t.Fatal(s.Shrink(200).Report())
				}
			}
			t.Logf("%d seeds, %d events", *simSeeds, events)
		})
	}
}

func simulation(seed uint64, profile rafttest.Profile) rafttest.Simulation {
	return rafttest.Simulation{
		Seed: seed, Profile: profile, Members: 1 + int(seed%5),
		Config: func(_ uint64, cfg *raft.Config) { cfg.AsyncStorageWrites = true },
		Host:   func(uint64, *raft.Config) rafttest.Host { return &simHost{} },
	}
}

// Claim: the same seed gives the same run.
func TestSimulatedRunsRepeat(t *testing.T) {
	a, b := simulation(7, rafttest.Chaos()).Run(), simulation(7, rafttest.Chaos()).Run()
	require.Equal(t, a.Hash, b.Hash)
	require.Equal(t, a.Stats, b.Stats)
}

// simHost gives the engine's messages and tasks to a simulated member, which does them at its own time.
type simHost struct {
	engine *host.Engine
	node   *simNode
}

// Work implements rafttest.Host.
func (h *simHost) Work(m *rafttest.Member) {
	if h.engine == nil {
		h.begin(m)
	}
	h.node.m = m
	messages, tasks := h.engine.Work()
	if err := h.engine.Failure(); err != nil {
		panic(err)
	}
	for _, t := range tasks {
		h.do(m, t)
	}
	m.Send(messages...)
}

func (h *simHost) begin(m *rafttest.Member) {
	cfg := m.Config()
	h.node = &simNode{RawNode: m.Raw(), m: m}
	_, conf, err := cfg.Storage.InitialState()
	if err != nil {
		panic(err)
	}
	term, err := cfg.Storage.Term(cfg.Applied)
	if err != nil {
		panic(err)
	}
	h.engine, err = host.NewEngine(host.Config{
		ID: cfg.ID, ElectionTicks: cfg.ElectionTick, HeartbeatTicks: cfg.HeartbeatTick,
		Log: simLog{cfg.Storage}, Seed: 1,
	}, h.node, pb.SnapshotMetadata{Index: cfg.Applied, Term: term, ConfState: conf})
	if err != nil {
		panic(err)
	}
}

// do does a task in the world.
func (h *simHost) do(m *rafttest.Member, t *host.Task) {
	switch {
	case t.Write() != nil:
		m.Save(h.write(t), func(err error) {
			if err != nil {
				m.Fail(err)
				return
			}
			h.engine.Finish(t)
		})
	case t.Install() != nil:
		m.After(m.ApplyTime(0), func() {
			m.Install(*t.Install())
			h.finish(t)
		})
	case t.Content() != nil:
		m.After(m.ApplyTime(len(t.Content())), func() {
			m.Apply(t.Content())
			h.finish(t)
		})
	default:
		panic(fmt.Sprintf("the world does not do %s", t.Name))
	}
}

// finish ends a task unless the process has ended within it.
func (h *simHost) finish(t *host.Task) {
	if h.node.m.Raw() == h.node.RawNode {
		h.engine.Finish(t)
	}
}

func (h *simHost) write(t *host.Task) rafttest.Write {
	w := t.Write()
	out := rafttest.Write{Entries: w.Entries, HardState: w.HardState, Sync: w.Sync}
	if w.Snapshot != nil {
		out.Snapshot = h.node.snapshot
	}
	return out
}

// simNode shows the world's oracles what the engine takes and gives.
type simNode struct {
	*raft.RawNode
	m        *rafttest.Member
	snapshot *pb.Snapshot // the one that was handed out last
}

func (n *simNode) HasReady() bool { return n.m.HasReady() }

func (n *simNode) Ready() raft.Ready {
	rd := n.m.Ready()
	if !raft.IsEmptySnap(rd.Snapshot) {
		snap := rd.Snapshot
		n.snapshot = &snap
	}
	n.m.Answer(rd.ReadStates)
	return rd
}

func (n *simNode) Step(m pb.Message) error {
	n.m.Step(m)
	return nil
}

// ApplyConfChange leaves it to the world, which applies changes with their entries.
func (n *simNode) ApplyConfChange(pb.ConfChangeI) *pb.ConfState { return &pb.ConfState{} }

// simLog is the log of a simulated member, which only the world writes.
type simLog struct{ raft.Storage }

func (simLog) Save(host.Write) error { return errors.New("the world saves") }
func (simLog) Compact(uint64) error  { return errors.New("the world compacts") }
