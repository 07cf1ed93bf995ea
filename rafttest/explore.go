package rafttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Exploration describes a small world, all of whose schedules are explored. Its zero value is a group of
// three voters in which nothing may happen; the counts say how often something may. docs/explorer.md tells
// how an exploration goes.
type Exploration struct {
	// Name is for reports.
	Name string
	// Voters is how many members the group starts with, IDs 1 and up. Zero means 3.
	Voters int
	// Spares is how many more members run on empty disks, with the IDs that follow. Configuration changes
	// may bring them in.
	Spares int

	// Campaigns is how often a member may campaign because its host wants it to, or because its election
	// timeout has passed.
	Campaigns int
	// Ticks is how often a tick may pass at a member. An election timeout is two ticks, a random one three,
	// and a leader sends heartbeats with each.
	Ticks int
	// Proposals is how many entries may be proposed to leaders.
	Proposals int
	// Reads is how many reads may be asked for, at any member.
	Reads int
	// Transfers is how often a leader may be asked to hand over to another member.
	Transfers int
	// Duplicates is how often a message may be delivered and stay in flight. Messages always overtake each
	// other, and one that is never delivered is lost.
	Duplicates int
	// Crashes is how often a process may end, at any step of its host loop, and start again.
	Crashes int
	// Compactions is how often a member may take a snapshot of its state machine and cut off its log.
	Compactions int
	// ConfChanges may be proposed to leaders, in this order, each once.
	ConfChanges []pb.ConfChangeV2

	// Config may change the Config of member id before each start.
	Config func(id uint64, cfg *raft.Config)
	// Storage makes an empty storage for a process of member id. Nil means raft.MemoryStorage. It is filled
	// with what the member's disk holds, often, so it should be one in memory.
	Storage func(id uint64) Storage
	// Loop is the host loop: it is called after each input, to handle all Readys. Nil means SyncLoop or, with
	// Config.AsyncStorageWrites, AsyncLoop. It must not keep state of its own.
	Loop func(p *Process)

	// MaxStates ends the exploration after so many states. Zero means no limit.
	MaxStates int
	// Continued is how many of the states in which nothing more may happen are continued without faults,
	// until a leader commits a new entry: the first so many, then about as many more for each time their
	// number doubles. Zero means 200, negative none.
	Continued int
	// Progress, if set, is called now and then.
	Progress func(ExploreStats)
}

// ExploreResult is what an exploration came to.
type ExploreResult struct {
	Name string
	ExploreStats
	// Violation is nil if nothing was wrong. Its Event is the number of actions before it.
	Violation *Violation
	// Schedule is a shortest one that leads to the violation, as Replay takes it.
	Schedule string
	// Lines says what happens in Schedule, action by action.
	Lines []string
}

// ExploreStats counts what was explored.
type ExploreStats struct {
	States      int // distinct ones
	Transitions int // from one state to another or the same
	Depth       int // actions on the longest of the shortest ways to a state
	Ends        int // states in which nothing more may happen
	Continued   int // ends that were continued without faults
	Members     int // distinct states of single members
	Steps       int // steps that a member was made to take
	Messages    int // distinct messages
	Complete    bool
	Took        time.Duration
}

// String returns the counts in one line.
func (s ExploreStats) String() string {
	all := "complete"
	if !s.Complete {
		all = "incomplete"
	}
	return fmt.Sprintf("%d states, %d transitions, depth %d, %s, %.1f s, %.0f states/s; %d states and %d steps of members, "+
		"%d messages, %d ends, %d continued", s.States, s.Transitions, s.Depth, all, s.Took.Seconds(),
		float64(s.States)/max(s.Took.Seconds(), 1e-9), s.Members, s.Steps, s.Messages, s.Ends, s.Continued)
}

// Report returns the violation and the schedule that leads to it, for people.
func (r *ExploreResult) Report() string {
	if r.Violation == nil {
		return r.ExploreStats.String()
	}
	v := r.Violation
	return fmt.Sprintf("violation of %s: %s (member %d, after %d actions, %d states)\n%s\nschedule: %s",
		v.Oracle, v.Text, v.Member, v.Event, r.States, strings.Join(r.Lines, "\n"), r.Schedule)
}

// Run explores all schedules within the bounds, shorter ones first, until there are no more or one
// violates an oracle. It panics only if the Exploration itself makes no sense.
func (x Exploration) Run() *ExploreResult {
	e := newExplorer(x.withDefaults())
	return e.run()
}

// Explore runs x and fails t if an oracle finds a violation, with the schedule that leads to it.
func Explore(t testing.TB, x Exploration) *ExploreResult {
	t.Helper()
	res := x.Run()
	if res.Violation != nil {
		t.Fatalf("%s", res.Report())
	}
	return res
}

// maxExplored is how many members a world may have.
const maxExplored = 7

func (x Exploration) withDefaults() Exploration {
	if x.Voters == 0 {
		x.Voters = 3
	}
	if n := x.Voters + x.Spares; x.Voters < 1 || x.Spares < 0 || n > maxExplored {
		panic(fmt.Sprintf("rafttest: Exploration has %d Voters and %d Spares; allowed: 1 to %d together",
			x.Voters, x.Spares, maxExplored))
	}
	for _, n := range x.budget() {
		if n > maxBudget {
			panic(fmt.Sprintf("rafttest: Exploration has a count of %d; allowed: 0 to %d", n, maxBudget))
		}
	}
	if x.Storage == nil {
		x.Storage = func(uint64) Storage { return raft.NewMemoryStorage() }
	}
	if x.Continued == 0 {
		x.Continued = 200
	}
	return x
}
