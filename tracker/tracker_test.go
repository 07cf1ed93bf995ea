package tracker_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/quorum"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

func set(ids ...uint64) map[uint64]struct{} {
	m := map[uint64]struct{}{}
	for _, id := range ids {
		m[id] = struct{}{}
	}
	return m
}

// jointTracker has voters (1 3)&&(2 9) with Match equal to the ID, and learners 4 and 8.
func jointTracker() tracker.ProgressTracker {
	maps := tracker.MakeProgressTracker(3, 100)
	maps.Config = tracker.Config{
		Voters:       quorum.JointConfig{set(3, 1), set(9, 2)},
		Learners:     set(8, 4),
		LearnersNext: set(9),
		AutoLeave:    true,
	}
	for _, id := range []uint64{1, 2, 3, 4, 8, 9} {
		maps.Progress[id] = &tracker.Progress{Match: id, Next: id + 1, IsLearner: id == 4 || id == 8}
	}
	return maps
}

func TestATrackerListsItsMembers(t *testing.T) {
	maps := jointTracker()
	require.Equal(t, []uint64{1, 2, 3, 9}, maps.VoterNodes())
	require.Equal(t, []uint64{4, 8}, maps.LearnerNodes())
	require.Equal(t, pb.ConfState{
		Voters: []uint64{1, 3}, VotersOutgoing: []uint64{2, 9}, Learners: []uint64{4, 8},
		LearnersNext: []uint64{9}, AutoLeave: true,
	}, maps.ConfState())
	var visited []uint64
	maps.Visit(func(id uint64, pr *tracker.Progress) {
		require.Equal(t, id, pr.Match)
		visited = append(visited, id)
	})
	require.Equal(t, []uint64{1, 2, 3, 4, 8, 9}, visited)
	require.False(t, maps.IsSingleton())
	require.Equal(t, uint64(1), maps.Committed())
}

func TestAnEmptyTrackerAgreesToEverything(t *testing.T) {
	maps := tracker.MakeProgressTracker(3, 100)
	require.Equal(t, pb.ConfState{}, maps.ConfState())
	require.Equal(t, []uint64{}, maps.VoterNodes())
	require.Nil(t, maps.LearnerNodes())
	require.Equal(t, uint64(math.MaxUint64), maps.Committed())
	require.True(t, maps.QuorumActive())
	require.False(t, maps.IsSingleton())
	maps.Voters[0] = set(1)
	require.True(t, maps.IsSingleton())
	require.Zero(t, maps.Committed(), "a voter without progress has nothing")
}

func TestATrackerCountsTheFirstVoteOfEachVoter(t *testing.T) {
	maps := jointTracker()
	for _, id := range []uint64{1, 3, 4} {
		maps.RecordVote(id, true)
		maps.RecordVote(id, false)
	}
	maps.RecordVote(2, false)
	granted, rejected, result := maps.TallyVotes()
	require.Equal(t, []any{2, 1, quorum.VoteLost}, []any{granted, rejected, result})
	maps.ResetVotes()
	require.Empty(t, maps.Votes)
	_, _, result = maps.TallyVotes()
	require.Equal(t, quorum.VotePending, result)
}

func TestATrackerIsActiveWithAQuorumOfBothHalves(t *testing.T) {
	maps := jointTracker()
	for _, id := range []uint64{1, 2, 3, 4} {
		maps.Progress[id].RecentActive = true
	}
	require.False(t, maps.QuorumActive())
	maps.Progress[9].RecentActive = true
	require.True(t, maps.QuorumActive())
}

func TestConfigsHaveTexts(t *testing.T) {
	maps := jointTracker()
	require.Equal(t, "voters=(1 3)&&(2 9) learners=(4 8) learners_next=(9) autoleave", maps.Config.String())
	require.Equal(t, "voters=()", tracker.Config{}.String())
}

func TestACloneOfAConfigGoesItsOwnWay(t *testing.T) {
	maps := jointTracker()
	clone := maps.Config.Clone()
	require.Equal(t, maps.Config, clone)
	clone.Voters[0][7], clone.Voters[1][7] = struct{}{}, struct{}{}
	clone.Learners[7], clone.LearnersNext[7] = struct{}{}, struct{}{}
	require.Equal(t, jointTracker().Config, maps.Config)
	require.Equal(t, tracker.Config{}, (&tracker.Config{}).Clone())
}

func TestMapsBecomePeersAndBack(t *testing.T) {
	maps := jointTracker()
	ps, err := maps.Peers()
	require.NoError(t, err)
	require.Equal(t, maps.Config, ps.Config())
	require.Equal(t, maps.Progress, ps.ProgressMap())
	ps.Get(1).Match = 99
	require.Equal(t, uint64(1), maps.Progress[1].Match)
}

// Progress without a part is carried along, and a part that comes later finds it.
func TestProgressOfNoMemberIsCarriedAlong(t *testing.T) {
	maps := tracker.MakeProgressTracker(3, 100)
	maps.Voters[0] = set(1)
	maps.Progress[1] = &tracker.Progress{Next: 1}
	maps.Progress[5] = &tracker.Progress{Match: 5, Next: 6}
	ps, err := maps.Peers()
	require.NoError(t, err)
	joint, err := ps.EnterJoint(9, false)
	require.NoError(t, err)
	left, err := joint.LeaveJoint()
	require.NoError(t, err)
	require.Equal(t, uint64(5), left.Get(5).Match)
	grown, err := left.Simple(9, voter(5))
	require.NoError(t, err)
	require.Equal(t, uint64(5), grown.Get(5).Match)
}

func TestMapsThatContradictEachOtherAreRefused(t *testing.T) {
	type maps = tracker.ProgressTracker
	for want, spoil := range map[string]func(*maps){
		"no progress for 1":                       func(m *maps) { delete(m.Progress, 1) },
		"no progress for 8":                       func(m *maps) { delete(m.Progress, 8) },
		"3 is in Learners and Voters[0]":          func(m *maps) { m.Learners = set(3) },
		"2 is in Learners and Voters[1]":          func(m *maps) { m.Learners = set(2) },
		"1 is in LearnersNext, but not Voters[1]": func(m *maps) { m.LearnersNext = set(1) },
		"9 is in LearnersNext, but is already marked as learner": func(m *maps) {
			m.Progress[9].IsLearner = true
		},
		"8 is in Learners, but is not marked as learner": func(m *maps) {
			m.Progress[8].IsLearner = false
		},
		"cfg.Voters[1] must be nil when not joint": func(m *maps) {
			m.Voters[1], m.LearnersNext = set(), nil
		},
		"cfg.LearnersNext must be nil when not joint": func(m *maps) {
			m.Voters[1], m.LearnersNext = nil, set()
		},
	} {
		m := jointTracker()
		spoil(&m)
		_, err := m.Peers()
		require.EqualError(t, err, want)
	}
}

// A learner's mark on a voter and a wish to leave what is not joint decide nothing.
func TestHarmlessContradictionsAreMended(t *testing.T) {
	maps := jointTracker()
	maps.Progress[1].IsLearner = true
	ps, err := maps.Peers()
	require.NoError(t, err)
	require.False(t, ps.Get(1).IsLearner)
	maps.Voters[1], maps.LearnersNext = nil, nil
	ps, err = maps.Peers()
	require.NoError(t, err)
	require.False(t, ps.AutoLeave(), "there is nothing to leave")
}
