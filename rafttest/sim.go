package rafttest

import (
	"fmt"
	"testing"

	"quorate.example/raft"
)

// Simulation describes one run of the simulator. The zero value is a run of
// seed 0 with three members under the profile Chaos. docs/simulator.md tells how
// a run goes.
type Simulation struct {
	// Seed decides everything that the other fields leave open.
	Seed uint64
	// Members is how many voters the group starts with, 1 to 9. Zero means 3.
	Members int
	// Profile says what goes wrong, and how often. The zero value means Chaos.
	Profile Profile

	// Storage makes an empty storage for a process of member id. Nil means
	// raft.MemoryStorage. A storage that is a Reopener is reopened when a process
	// starts after a crash that lost nothing; otherwise what the disk kept is
	// written into a new one.
	Storage func(id uint64) Storage
	// StateMachine makes an empty state machine for a process of member id. Nil
	// means the register store that Workload's nil value drives.
	StateMachine func(id uint64) StateMachine
	// Workload is what the clients do. Nil means put, get and compare-and-swap on
	// a few keys.
	Workload Workload
	// Host makes the host loop of a process of member id whose Config is cfg. Nil
	// means SyncHost or AsyncHost, as cfg.AsyncStorageWrites says.
	Host func(id uint64, cfg *raft.Config) Host
	// Config may change the Config of member id before each start. What it is
	// called with was drawn from the seed.
	Config func(id uint64, cfg *raft.Config)

	// Keep lists the actions of the schedule that happen, as positions in rising
	// order. Nil means all of them. Shrink fills it.
	Keep []int
	// Without switches kinds of noise off. Shrink fills it.
	Without Noise
	// Trace asks for Result.Trace, which a timeline is drawn from.
	Trace bool
}

// Noise is a set of faults that are not actions of their own but happen all the
// time, each with a small probability.
type Noise uint8

// The kinds of noise.
const (
	NoiseDrop      Noise = 1 << iota // messages are lost
	NoiseDuplicate                   // messages arrive twice
	NoiseJitter                      // delays vary, messages overtake each other
	NoiseDisk                        // disk operations vary in length
	NoiseClock                       // clocks differ in speed
)

// noiseNames is how Noise is written on a command line.
var noiseNames = map[Noise]string{
	NoiseDrop:      "drop",
	NoiseDuplicate: "duplicate",
	NoiseJitter:    "jitter",
	NoiseDisk:      "disk",
	NoiseClock:     "clock",
}

// Result is what a run came to.
type Result struct {
	Seed      uint64
	Profile   string
	Violation *Violation // nil if nothing was wrong
	Hash      uint64     // of the stream of events, for comparing runs
	Stats
	Trace *Trace // nil unless asked for

	actions []Action
}

// Stats counts what happened in a run.
type Stats struct {
	Events      int // delivered messages and finished disk operations
	Delivered   int
	DiskOps     int
	Dropped     int
	Leaders     int    // terms that had a leader
	ConfChanges int    // applied configuration changes
	Crashes     int    // ended processes
	Snapshots   int    // installed snapshots of other members
	Writes      int    // acknowledged writes
	Reads       int    // answered reads
	Committed   uint64 // index of the last committed entry
	Actions     int    // of the schedule that happened
	HealTicks   int    // ticks from the end of faults until all was well
}

// Violation says which oracle saw what, and when.
type Violation struct {
	Oracle Oracle
	Member uint64 // zero if it concerns no single member
	Event  int    // number of events before it
	Micros int64  // virtual time
	Text   string
}

// Error returns all of it in one line.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s: %s (member %d, event %d, %.3f s)",
		v.Oracle, v.Text, v.Member, v.Event, float64(v.Micros)/1e6)
}

// Run runs the simulation to its end or to the first violation. It panics only
// if the Simulation itself makes no sense.
func (s Simulation) Run() *Result {
	w := newWorld(s.withDefaults())
	w.run()
	return w.result()
}

func (s Simulation) withDefaults() Simulation {
	if s.Members == 0 {
		s.Members = 3
	}
	if s.Members < 1 || s.Members > maxFirstMembers {
		panic(fmt.Sprintf("rafttest: Simulation.Members is %d; allowed: 1 to %d",
			s.Members, maxFirstMembers))
	}
	if s.Profile.Name == "" {
		s.Profile = Chaos()
	}
	if s.Storage == nil {
		s.Storage = func(uint64) Storage { return raft.NewMemoryStorage() }
	}
	if s.StateMachine == nil {
		s.StateMachine = func(uint64) StateMachine { return newRegisters() }
	}
	if s.Workload == nil {
		s.Workload = registerWorkload{}
	}
	if s.Host == nil {
		s.Host = func(_ uint64, cfg *raft.Config) Host {
			if cfg.AsyncStorageWrites {
				return &AsyncHost{}
			}
			return &SyncHost{}
		}
	}
	return s
}

// Simulate runs s and fails t if an oracle finds a violation, with the seed and
// the shrunk schedule.
func Simulate(t testing.TB, s Simulation) *Result {
	t.Helper()
	res := s.Run()
	if res.Violation != nil {
		t.Fatalf("%s", s.Shrink(200).Report())
	}
	return res
}
