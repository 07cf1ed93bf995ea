package raft_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// A Config that is wrong is refused with an error that names the field and what is allowed, and that
// is ErrConfig (design 5).
func TestConfigErrorsNameTheFieldAndWhatIsAllowed(t *testing.T) {
	for _, c := range []struct {
		field, allowed string
		change         option
	}{
		{"ID is 0", "1 to 2^64-3", func(c *raft.Config) { c.ID = raft.None }},
		{"ID is 18446744073709551615", "1 to 2^64-3", func(c *raft.Config) { c.ID = raft.LocalAppendThread }},
		{"ID is 18446744073709551614", "1 to 2^64-3", func(c *raft.Config) { c.ID = raft.LocalApplyThread }},
		{"HeartbeatTick is 0", "1 and up", func(c *raft.Config) { c.HeartbeatTick = 0 }},
		{"HeartbeatTick is -1", "1 and up", func(c *raft.Config) { c.HeartbeatTick = -1 }},
		{"ElectionTick is 0", "more than HeartbeatTick", func(c *raft.Config) { c.ElectionTick = 0 }},
		{"ElectionTick is 3", "more than HeartbeatTick", func(c *raft.Config) { c.ElectionTick, c.HeartbeatTick = 3, 3 }},
		{"Storage is <nil>", "an implementation of Storage", func(c *raft.Config) { c.Storage = nil }},
		{"MaxInflightMsgs is 0", "1 and up", func(c *raft.Config) { c.MaxInflightMsgs = 0 }},
		{"MaxInflightMsgs is -7", "1 and up", func(c *raft.Config) { c.MaxInflightMsgs = -7 }},
		{"MaxInflightBytes is 99", "0, or MaxSizePerMsg and up",
			func(c *raft.Config) { c.MaxSizePerMsg, c.MaxInflightBytes = 100, 99 }},
		{"ReadOnlyOption is 2", "ReadOnlySafe, ReadOnlyLeaseBased", func(c *raft.Config) { c.ReadOnlyOption = 2 }},
		{"CheckQuorum is false", "true with ReadOnlyLeaseBased",
			func(c *raft.Config) { c.ReadOnlyOption = raft.ReadOnlyLeaseBased }},
		{"LeaseMargin is -1", "0 and up", func(c *raft.Config) { c.LeaseMargin = -1 }},
		{"Applied is 1", "allowed: 0, or 0 to 0", func(c *raft.Config) { c.Applied = 1 }},
	} {
		rn, err := raft.NewRawNode(testConfig(1, raft.NewMemoryStorage(), c.change))
		require.Nil(t, rn, c.field)
		require.ErrorIs(t, err, raft.ErrConfig, c.field)
		require.ErrorContains(t, err, c.field)
		require.ErrorContains(t, err, c.allowed)
	}
	_, err := raft.NewRawNode(nil)
	require.ErrorIs(t, err, raft.ErrConfig)
}

// badStart is a Storage with a state that no member can have saved.
type badStart struct {
	*raft.MemoryStorage
	hard         pb.HardState
	conf         pb.ConfState
	first, last  uint64
	errs         [3]error
	overrideEnds bool
}

func (s *badStart) InitialState() (pb.HardState, pb.ConfState, error) {
	return s.hard, s.conf, s.errs[0]
}

func (s *badStart) FirstIndex() (uint64, error) {
	if s.overrideEnds {
		return s.first, nil
	}
	return 1, s.errs[1]
}

func (s *badStart) LastIndex() (uint64, error) { return s.last, s.errs[2] }

// What Storage holds at start is checked, and the error says what is wrong with it.
func TestStateAtStartIsChecked(t *testing.T) {
	disk := errors.New("disk")
	for text, s := range map[string]badStart{
		"InitialState: disk":                             {errs: [3]error{disk, nil, nil}},
		"FirstIndex: disk":                               {errs: [3]error{nil, disk, nil}},
		"LastIndex: disk":                                {errs: [3]error{nil, nil, disk}},
		"HardState.Commit is 3; allowed: 0 to 2":         {hard: pb.HardState{Term: 1, Commit: 3}, last: 2},
		"allowed: FirstIndex from 1 to LastIndex+1":      {overrideEnds: true},
		"FirstIndex is 9 and LastIndex 7":                {overrideEnds: true, first: 9, last: 7},
		"InitialState: ConfState: ":                      {conf: pb.ConfState{Voters: []uint64{1}, Learners: []uint64{1}}},
		"HardState.Commit is 1; allowed: 4 to 9":         {overrideEnds: true, first: 5, last: 9, hard: pb.HardState{Term: 1, Commit: 1}},
		"InitialState: HardState.Commit is 1; allowed: ": {hard: pb.HardState{Term: 1, Commit: 1}},
	} {
		s := s
		s.MemoryStorage = raft.NewMemoryStorage()
		_, err := raft.NewRawNode(testConfig(1, &s))
		require.ErrorContains(t, err, text)
	}
}

// The caller's Config is never written to, and what the caller does to it later has no effect.
func TestConfigStaysTheCallers(t *testing.T) {
	store := raft.NewMemoryStorage()
	require.NoError(t, store.ApplySnapshot(pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 1, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1}}}}))
	c := &raft.Config{ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: store, MaxInflightMsgs: 1, Mirror36: true,
		Logger: raft.DiscardLogger()}
	before := *c
	rn, err := raft.NewRawNode(c)
	require.NoError(t, err)
	require.Equal(t, before, *c)

	*c = raft.Config{}
	require.NoError(t, rn.Campaign())
	for rn.HasReady() {
		rd := rn.Ready()
		require.NoError(t, store.Append(rd.Entries))
		rn.Advance(rd)
	}
	require.Equal(t, raft.StateLeader, rn.BasicStatus().RaftState)
	require.Equal(t, uint64(1), rn.BasicStatus().ID)
}

// Every documented edge value of every option makes a group that works, in both storage modes
// (scenario B65).
func TestEveryEdgeValueOfEveryOptionWorks(t *testing.T) {
	const most = math.MaxUint64
	edges := map[string]option{
		"MaxSizePerMsg 0":               func(c *raft.Config) { c.MaxSizePerMsg = 0 },
		"MaxSizePerMsg 1":               func(c *raft.Config) { c.MaxSizePerMsg = 1 },
		"MaxSizePerMsg max":             func(c *raft.Config) { c.MaxSizePerMsg = most },
		"MaxCommittedSizePerReady 0":    func(c *raft.Config) { c.MaxCommittedSizePerReady = 0 },
		"MaxCommittedSizePerReady 1":    func(c *raft.Config) { c.MaxCommittedSizePerReady = 1 },
		"MaxCommittedSizePerReady max":  func(c *raft.Config) { c.MaxSizePerMsg, c.MaxCommittedSizePerReady = 0, most },
		"MaxUncommittedEntriesSize 0":   func(c *raft.Config) { c.MaxUncommittedEntriesSize = 0 },
		"MaxUncommittedEntriesSize 1":   func(c *raft.Config) { c.MaxUncommittedEntriesSize = 1 },
		"MaxUncommittedEntriesSize max": func(c *raft.Config) { c.MaxUncommittedEntriesSize = most },
		"MaxInflightMsgs 1":             func(c *raft.Config) { c.MaxInflightMsgs = 1 },
		"MaxInflightBytes 1":            func(c *raft.Config) { c.MaxSizePerMsg, c.MaxInflightBytes = 0, 1 },
		"MaxInflightBytes least":        func(c *raft.Config) { c.MaxSizePerMsg, c.MaxInflightBytes = 50, 50 },
		"MaxInflightBytes max":          func(c *raft.Config) { c.MaxInflightBytes = most },
		"ElectionTick 2":                func(c *raft.Config) { c.ElectionTick = 2 },
		"SnapshotTimeout never":         func(c *raft.Config) { c.SnapshotTimeout = -1 },
		"SnapshotTimeout 1":             func(c *raft.Config) { c.SnapshotTimeout = 1 },
		"LeaseMargin 100":               func(c *raft.Config) { leaseOf(100)(c) },
		"LeaseMargin 0":                 func(c *raft.Config) { leaseOf(0)(c) },
		"PreVote":                       preVote,
		"CheckQuorum":                   checkQuorum,
		"StepDownOnRemoval":             func(c *raft.Config) { c.StepDownOnRemoval = true },
		"DisableProposalForwarding":     func(c *raft.Config) { c.DisableProposalForwarding = true },
		"DisableConfChangeValidation":   func(c *raft.Config) { c.DisableConfChangeValidation = true },
		"EagerAppends":                  eager,
		"Mirror36":                      mirror,
		"Applied":                       func(c *raft.Config) { c.Applied = 1 },
		"Rand nil":                      func(c *raft.Config) { c.Rand = nil },
		"Logger nil":                    func(c *raft.Config) { c.Logger = nil },
	}
	raft.SetLogger(raft.DiscardLogger())
	defer raft.ResetDefaultLogger()
	for name, edge := range edges {
		edge := edge
		t.Run(name, func(t *testing.T) {
			bothModes(t, func(t *testing.T, opts ...option) { requireWorkingGroup(t, append(opts, edge)...) })
		})
	}
}

func leaseOf(margin int) option {
	return func(c *raft.Config) {
		c.CheckQuorum, c.ReadOnlyOption, c.LeaseMargin = true, raft.ReadOnlyLeaseBased, margin
	}
}

func requireWorkingGroup(t *testing.T, opts ...option) {
	g := newGroup(t, 3, opts...)
	for i := 0; i < 100 && g.leader() == raft.None; i++ {
		g.ticks(1, 1, 2, 3)
	}
	lead := g.leader()
	require.NotEqual(t, raft.None, lead)
	var want []string
	for i := 0; i < 10; i++ {
		v := fmt.Sprintf("%d, with something behind it", i)
		for tries := 0; g.get(lead).Propose([]byte(v)) != nil; tries++ {
			require.Less(t, tries, 10)
			g.settle()
		}
		want = append(want, v)
	}
	g.settle()
	g.get(lead).ReadIndex([]byte("r"))
	g.ticks(1, lead)
	require.Equal(t, want, g.requireSame(1, 2, 3))
	require.Equal(t, []string{"r"}, g.get(lead).requests())
}

// An ID may be any number but those with a meaning.
func TestLargestIDWorks(t *testing.T) {
	const id = math.MaxUint64 - 2
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{id}})
	g.elect(id)
	require.NoError(t, g.get(id).Propose([]byte("x")))
	g.settle()
	require.Equal(t, []string{"x"}, g.get(id).values())
}
