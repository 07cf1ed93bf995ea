package tracker_test

import (
	"math"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/quorum"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// randomPeers returns a configuration, joint or not, of up to size voters in each half, with
// random knowledge of each member.
func randomPeers(t *testing.T, rng *rand.Rand, size int) tracker.Peers {
	t.Helper()
	ps, err := tracker.RestorePeers(randomConfState(rng, size), 0)
	require.NoError(t, err)
	for i := range ps.All() {
		p := &ps.All()[i]
		p.Match, p.ReadAck = uint64(rng.Intn(size+2)), uint64(rng.Intn(size+2))
		p.RecentActive = rng.Intn(2) == 0
		if rng.Intn(3) > 0 {
			ps.RecordBallot(p.ID, rng.Intn(2) == 0)
		}
	}
	return ps
}

// randomConfState returns a ConfState without contradictions, its lists ascending.
func randomConfState(rng *rand.Rand, size int) pb.ConfState {
	var cs pb.ConfState
	joint := rng.Intn(2) == 0
	cs.AutoLeave = joint && rng.Intn(2) == 0
	voters := 1 + rng.Intn(size)
	for id := uint64(1 + rng.Intn(3)); len(cs.Voters) < voters; id += 1 + uint64(rng.Intn(3)) {
		switch rng.Intn(6) {
		case 0:
			cs.Learners = append(cs.Learners, id)
		case 1:
			if joint {
				cs.VotersOutgoing = append(cs.VotersOutgoing, id)
				cs.LearnersNext = append(cs.LearnersNext, id)
			}
		case 2:
			if joint {
				cs.VotersOutgoing = append(cs.VotersOutgoing, id)
			}
		case 3:
			if joint {
				cs.VotersOutgoing = append(cs.VotersOutgoing, id)
			}
			cs.Voters = append(cs.Voters, id)
		default:
			cs.Voters = append(cs.Voters, id)
		}
	}
	cs.AutoLeave = cs.AutoLeave && len(cs.VotersOutgoing) > 0
	return cs
}

// mapsOf returns the same knowledge as a tracker of maps, whose arithmetic is tested by itself.
func mapsOf(ps *tracker.Peers) tracker.ProgressTracker {
	maps := tracker.MakeProgressTracker(4, 0)
	maps.Config, maps.Progress = ps.Config(), ps.ProgressMap()
	for _, p := range ps.All() {
		if p.Ballot != tracker.NoBallot {
			maps.RecordVote(p.ID, p.Ballot == tracker.Granted)
		}
	}
	return maps
}

// Thesis 3.6.2, 4.3: the dense arithmetic commits, elects and keeps what the maps do.
func TestPeersAgreeWithTheMaps(t *testing.T) {
	for seed := int64(0); seed < 1500; seed++ {
		rng := rand.New(rand.NewSource(seed))
		size := 7
		if seed%50 == 0 {
			size = 160
		}
		ps := randomPeers(t, rng, size)
		maps := mapsOf(&ps)

		committed := ps.Committed()
		require.Equal(t, maps.Committed(), committed, "seed %d", seed)
		for index := uint64(0); index <= uint64(size)+2; index++ {
			require.Equal(t, committed >= index, ps.CommittedAbove(index), "seed %d index %d", seed, index)
		}
		require.Equal(t, maps.QuorumActive(), ps.QuorumActive(), "seed %d", seed)

		granted, refused, result := maps.TallyVotes()
		g, r, res := ps.Tally()
		require.Equal(t, []any{granted, refused, result}, []any{g, r, res}, "seed %d", seed)

		require.Equal(t, maps.ConfState(), ps.ConfState(), "seed %d", seed)
		require.Equal(t, maps.IsSingleton(), ps.Singleton(), "seed %d", seed)
	}
}

// Any number of a peer can be asked for its quorum value.
func TestQuorumAsksForAnyNumber(t *testing.T) {
	ps := restored(t, pb.ConfState{
		Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{3, 4}, Learners: []uint64{9},
	})
	for id, ack := range map[uint64]uint64{1: 10, 2: 20, 3: 30, 4: 5, 9: 99} {
		ps.Get(id).ReadAck = ack
	}
	readAck := func(p *tracker.Peer) uint64 { return p.ReadAck }
	require.Equal(t, uint64(5), ps.Quorum(readAck))
	ps.Get(4).ReadAck = 40
	require.Equal(t, uint64(20), ps.Quorum(readAck))
	require.Zero(t, ps.Committed())
}

func TestALearnersWordCountsForNothing(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3, 4}})
	for i := range ps.All() {
		ps.All()[i].RecentActive = ps.All()[i].ID != 2
	}
	ps.Get(1).Match, ps.Get(3).Match, ps.Get(4).Match = 5, 5, 5
	ps.RecordBallot(1, true)
	ps.RecordBallot(3, true)

	require.False(t, ps.QuorumActive())
	require.Zero(t, ps.Committed())
	require.False(t, ps.CommittedAbove(5))
	granted, refused, result := ps.Tally()
	require.Equal(t, []any{1, 0, quorum.VotePending}, []any{granted, refused, result})
}

// Without voters nothing holds back, as in v3.6.
func TestNoVotersAgreeOnEverything(t *testing.T) {
	var ps tracker.Peers
	require.Equal(t, uint64(math.MaxUint64), ps.Committed())
	require.True(t, ps.CommittedAbove(9))
	require.True(t, ps.QuorumActive())
	_, _, result := ps.Tally()
	require.Equal(t, quorum.VoteWon, result)
}

func TestTheFirstBallotCounts(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{1, 2, 3}})
	ps.RecordBallot(1, true)
	ps.RecordBallot(1, false)
	ps.RecordBallot(2, false)
	ps.RecordBallot(2, true)
	ps.RecordBallot(77, true)
	granted, refused, result := ps.Tally()
	require.Equal(t, []any{1, 1, quorum.VotePending}, []any{granted, refused, result})
	ps.RecordBallot(3, false)
	_, _, result = ps.Tally()
	require.Equal(t, quorum.VoteLost, result)

	ps.ResetBallots()
	granted, refused, result = ps.Tally()
	require.Equal(t, []any{0, 0, quorum.VotePending}, []any{granted, refused, result})
}

func TestCommittedDoesNotAllocate(t *testing.T) {
	for _, n := range []int{3, 7, 8, 9, 31, 101, 128} {
		ps := group(t, n, 1)
		q := uint64(0)
		require.Zero(t, testing.AllocsPerRun(20, func() {
			ps.Committed()
			ps.CommittedAbove(1050)
			ps.Quorum(func(p *tracker.Peer) uint64 { return p.Match + q })
		}), "%d voters", n)
	}
	ps := group(t, 200, 1)
	var match []uint64
	for _, p := range ps.All() {
		match = append(match, p.Match)
	}
	slices.Sort(match)
	require.Equal(t, match[99], ps.Committed())
}
