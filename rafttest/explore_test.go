package rafttest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/rafttest"
)

func asyncWrites(_ uint64, cfg *raft.Config) { cfg.AsyncStorageWrites = true }

func addLearnerThenVoter(id uint64) []pb.ConfChangeV2 {
	return []pb.ConfChangeV2{
		{Changes: []pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode, NodeID: id}}},
		{Changes: []pb.ConfChangeSingle{{Type: pb.ConfChangeAddNode, NodeID: id}}},
	}
}

// Small worlds of all sorts are safe in every schedule, and every end of one can be continued.
func TestEveryScheduleOfASmallWorldIsSafe(t *testing.T) {
	worlds := []rafttest.Exploration{
		{Name: "one voter", Voters: 1, Campaigns: 2, Proposals: 2, Reads: 1, Crashes: 2, Compactions: 1},
		{Name: "three voters", Campaigns: 1, Proposals: 1},
		{Name: "crashes", Voters: 2, Campaigns: 2, Proposals: 1, Crashes: 1},
		{Name: "duplicates", Voters: 2, Campaigns: 1, Proposals: 1, Duplicates: 1, Reads: 1},
		{Name: "transfer", Voters: 2, Campaigns: 1, Transfers: 1, Ticks: 1},
		{Name: "joining", Voters: 1, Spares: 1, Campaigns: 1, Crashes: 1, Compactions: 1, ConfChanges: addLearnerThenVoter(2)},
		{Name: "asynchronous writes", Voters: 2, Campaigns: 1, Proposals: 1, Crashes: 1, Config: asyncWrites},
		{Name: "pre-vote", Voters: 2, Campaigns: 1, Ticks: 2, Config: func(_ uint64, cfg *raft.Config) {
			cfg.PreVote, cfg.CheckQuorum = true, true
		}},
	}
	for _, x := range worlds {
		x := x
		t.Run(x.Name, func(t *testing.T) {
			res := rafttest.Explore(t, x)
			require.True(t, res.Complete)
			require.Positive(t, res.Continued)
			require.Greater(t, res.States, 20)
		})
	}
}

// Two explorations of one world find the same states in the same order.
func TestExplorationsAreDeterministic(t *testing.T) {
	x := rafttest.Exploration{Voters: 2, Campaigns: 2, Proposals: 1, Crashes: 1}
	counts := func() []int {
		res := rafttest.Explore(t, x)
		return []int{res.States, res.Transitions, res.Depth, res.Ends, res.Continued, res.Members, res.Steps, res.Messages}
	}
	require.Equal(t, counts(), counts())
}

// With one voter and one campaign there are two states: before it, and after it.
func TestStatesOfATinyWorldCanBeCountedByHand(t *testing.T) {
	x := rafttest.Exploration{Voters: 1, Campaigns: 1}
	res := rafttest.Explore(t, x)
	require.Equal(t, 2, res.States)
	require.Equal(t, 1, res.Transitions)
	require.Equal(t, 1, res.Ends)
}

// MaxStates ends an exploration early, and it says so.
func TestAnExplorationThatIsCutShortIsNotComplete(t *testing.T) {
	res := rafttest.Explore(t, rafttest.Exploration{Campaigns: 2, MaxStates: 1000})
	require.False(t, res.Complete)
	require.GreaterOrEqual(t, res.States, 1000)
	require.Contains(t, res.Report(), "incomplete")
}

// sendsFirst is a host loop that sends before it saves.
func sendsFirst(p *rafttest.Process) {
	for p.HasReady() {
		rd := p.Ready()
		p.Send(rd.Messages...)
		p.Save(rafttest.Write{Entries: rd.Entries, HardState: rd.HardState, Sync: rd.MustSync})
		p.Apply(rd.CommittedEntries)
		p.Advance(rd)
	}
}

// A host that sends before it saves is found, and the schedule that is reported leads there again.
func TestASenderBeforeSavingIsFoundAndReplayed(t *testing.T) {
	x := rafttest.Exploration{Campaigns: 1, Loop: sendsFirst}
	res := x.Run()
	require.NotNil(t, res.Violation)
	require.Equal(t, rafttest.OracleDurability, res.Violation.Oracle)
	require.Equal(t, 2, res.Violation.Event, "one campaign and one vote are enough")
	require.Contains(t, res.Report(), "schedule: campaign")

	again, err := x.Replay(res.Schedule)
	require.NoError(t, err)
	require.Equal(t, res.Violation, again.Violation)
	require.Equal(t, res.Lines, again.Lines)
	require.Equal(t, res.Schedule, again.Schedule)
}

// forgetfulStorage loses the last entry of each append above index 2.
type forgetfulStorage struct{ *raft.MemoryStorage }

func (s forgetfulStorage) Append(entries []pb.Entry) error {
	if n := len(entries); n > 0 && entries[n-1].Index > 2 {
		entries = entries[:n-1]
	}
	return s.MemoryStorage.Append(entries)
}

// A storage that does not hold what was written to it is found.
func TestABrokenStorageIsFound(t *testing.T) {
	res := rafttest.Exploration{Voters: 2, Campaigns: 1, Proposals: 1, Storage: func(uint64) rafttest.Storage {
		return forgetfulStorage{raft.NewMemoryStorage()}
	}}.Run()
	require.NotNil(t, res.Violation)
	require.Equal(t, rafttest.OracleStorage, res.Violation.Oracle)
}

// A loop that does not sync is found by what it promises.
func TestAHostThatDoesNotSyncIsFound(t *testing.T) {
	res := rafttest.Exploration{Voters: 2, Campaigns: 2, Crashes: 1, Loop: func(p *rafttest.Process) {
		for p.HasReady() {
			rd := p.Ready()
			p.Save(rafttest.Write{Entries: rd.Entries, HardState: rd.HardState})
			p.Send(rd.Messages...)
			p.Apply(rd.CommittedEntries)
			p.Advance(rd)
		}
	}}.Run()
	require.NotNil(t, res.Violation)
	require.Equal(t, rafttest.OracleDurability, res.Violation.Oracle)
}

// A loop that applies twice is found by the state machine's oracle.
func TestAHostThatAppliesTwiceIsFound(t *testing.T) {
	res := rafttest.Exploration{Voters: 1, Campaigns: 1, Loop: func(p *rafttest.Process) {
		for p.HasReady() {
			rd := p.Ready()
			p.Save(rafttest.Write{Entries: rd.Entries, HardState: rd.HardState, Sync: rd.MustSync})
			p.Apply(rd.CommittedEntries)
			p.Apply(rd.CommittedEntries)
			p.Advance(rd)
		}
	}}.Run()
	require.NotNil(t, res.Violation)
	require.Equal(t, rafttest.OracleStateMachine, res.Violation.Oracle)
}

// A group that cannot go on after its schedule is found, too: here the loop drops all votes.
func TestAGroupThatIsStuckIsFound(t *testing.T) {
	res := rafttest.Exploration{Voters: 2, Campaigns: 1, Loop: func(p *rafttest.Process) {
		for p.HasReady() {
			rd := p.Ready()
			p.Save(rafttest.Write{Entries: rd.Entries, HardState: rd.HardState, Sync: rd.MustSync})
			for _, m := range rd.Messages {
				if m.Type != pb.MsgVoteResp {
					p.Send(m)
				}
			}
			p.Apply(rd.CommittedEntries)
			p.Advance(rd)
		}
	}}.Run()
	require.NotNil(t, res.Violation)
	require.Equal(t, rafttest.OracleLiveness, res.Violation.Oracle)
	require.Contains(t, res.Violation.Text, "no leader")
}

// A schedule in which something is not possible is refused, with what and where.
func TestReplayRefusesWhatIsNotPossible(t *testing.T) {
	x := rafttest.Exploration{Voters: 2, Campaigns: 1, Transfers: 1, Crashes: 1}
	for schedule, want := range map[string]string{
		"sleep 1":                                "is no action",
		"campaign":                               "is no action",
		"campaign one":                           "is no action",
		"campaign m1":                            "is no action",
		"deliver 1":                              "is no action",
		"transfer 1 of 2":                        "is no action",
		"transfer 1":                             "is no action",
		"campaign 1 now please":                  "is no action",
		"campaign 1 crash at 99":                 "is no action",
		"campaign 7":                             "no member 7",
		"deliver m1":                             "not in flight",
		"campaign 1, campaign 2":                 "not possible after 1 actions",
		"campaign 1, deliver m1, deliver m1":     "not in flight after 2 actions",
		"propose 1":                              "not possible",
		"transfer 1 to 2":                        "not possible",
		"campaign 1, crash 1, crash-kept 2":      "not possible",
		"campaign 1, deliver m1, read 1, tick 2": "not possible",
	} {
		_, err := x.Replay(schedule)
		require.ErrorContains(t, err, want, schedule)
	}
}

// A schedule can be written by hand, crashes and transfers included, and is told action by action.
func TestReplayTellsWhatHappens(t *testing.T) {
	x := rafttest.Exploration{Voters: 2, Campaigns: 1, Transfers: 1, Proposals: 1, Crashes: 1}
	res, err := x.Replay("campaign 1, deliver m1, deliver m2, deliver m3, deliver m4, transfer 1 to 2, crash 2")
	require.NoError(t, err)
	require.Nil(t, res.Violation)
	text := strings.Join(res.Lines, "\n")
	require.Contains(t, text, "member 1: Leader, term 2, vote 1")
	require.Contains(t, text, "1->2 MsgVote Term:2")
	require.Contains(t, text, "7. crash 2")
	require.Equal(t, 8, res.States)
}

// What makes no sense is refused before anything runs.
func TestAnExplorationThatMakesNoSensePanics(t *testing.T) {
	require.Panics(t, func() { rafttest.Exploration{Voters: -1}.Run() })
	require.Panics(t, func() { rafttest.Exploration{Voters: 5, Spares: 5}.Run() })
	require.Panics(t, func() { rafttest.Exploration{Campaigns: 99}.Run() })
}

// Progress is called now and then, and its counts never fall.
func TestProgressIsTold(t *testing.T) {
	last := 0
	res := rafttest.Explore(t, rafttest.Exploration{Voters: 2, Campaigns: 2, Progress: func(s rafttest.ExploreStats) {
		require.GreaterOrEqual(t, s.States, last)
		last = s.States
	}})
	require.LessOrEqual(t, last, res.States)
	require.Less(t, 0, last)
}
