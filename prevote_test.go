package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Pre-votes (thesis 9.6): scenarios in which they could keep a group from electing anybody.

// A leader dies as a member of a much lower term comes back: the two that are left elect one of them
// (B2).
func TestMemberOfALowTermDoesNotStallPreVotes(t *testing.T) {
	g := newGroup(t, 3, preVote)
	g.isolate(3)
	for i := 0; i < 4; i++ {
		g.elect(1)
		g.elect(2)
	}
	g.elect(1)
	g.commit(1, "x")
	require.Equal(t, uint64(1), term(g, 3))
	g.heal()
	g.isolate(1)
	g.ticks(60, 2, 3)
	require.Equal(t, uint64(2), g.leader(), "3 lacks entries")
	require.Equal(t, []string{"x"}, g.requireSame(2, 3))
}

// Two halves of a group refuse each other's pre-votes, one for its log and one for its term: the higher
// term spreads by the refusals, and the longer log wins (B4).
func TestRefusedPreVotesSpreadTheHigherTerm(t *testing.T) {
	for name, opts := range map[string][]option{"preVote": {preVote}, "both": {preVote, checkQuorum}} {
		g := newGroup(t, 6, opts...)
		for id := uint64(1); id <= 3; id++ {
			g.withLog(id, []uint64{2, 2, 2}, opts...)
		}
		for id := uint64(4); id <= 6; id++ {
			m := g.withLog(id, []uint64{2}, opts...)
			require.NoError(t, m.store.SetHardState(pb.HardState{Term: 4, Commit: 1}))
			g.start(id, m.store, opts...)
		}
		g.isolate(3)
		g.isolate(6)
		g.ticks(100, 1, 2, 4, 5)
		require.Contains(t, []uint64{1, 2}, g.leader(), name)
		require.Greater(t, term(g, g.leader()), uint64(4), name)
		g.commit(g.leader(), "x")
		g.requireSame(1, 2, 4, 5)
	}
}

// A pre-vote asks exactly what the vote will ask: a stale log gets none, however silent the leader is, and
// so its owner never raises its term (B9).
func TestPreVoteChecksTheLogLikeAVote(t *testing.T) {
	for _, c := range []struct{ logTerm, index uint64 }{{1, 9}, {2, 2}, {2, 3}, {2, 4}, {3, 1}} {
		answers := []bool{}
		for _, typ := range []pb.MessageType{pb.MsgPreVote, pb.MsgVote} {
			g := newGroup(t, 3, preVote)
			g.withLog(1, []uint64{2, 2}, preVote)
			g.step(pb.Message{Type: typ, From: 2, To: 1, Term: 9, LogTerm: c.logTerm, Index: c.index})
			sent := g.emit(1)
			require.Len(t, sent, 1)
			answers = append(answers, sent[0].Reject)
		}
		require.Equal(t, answers[1], answers[0], "%+v", c)
	}

	g := newGroup(t, 3, preVote)
	g.elect(1)
	g.isolate(3)
	g.commit(1, "x")
	g.heal()
	g.isolate(1)
	g.ticks(100, 3)
	require.Equal(t, uint64(2), term(g, 3))
	require.NotEqual(t, raft.StateLeader, state(g, 3))
}

// In a new group, at term 0, refusals of term 0 are as good as others (B22).
func TestPreVoteMayBeRefusedAtTermZero(t *testing.T) {
	store := raft.NewMemoryStorage()
	require.NoError(t, store.ApplySnapshot(pb.Snapshot{
		Metadata: pb.SnapshotMetadata{ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}}}}))
	g := newGroupOf(t, pb.ConfState{})
	m := g.start(1, store, preVote)
	require.NoError(t, m.Campaign())
	g.emit(1)
	require.Equal(t, raft.StatePreCandidate, state(g, 1))
	require.Zero(t, term(g, 1))
	for _, from := range []uint64{2, 3} {
		g.step(pb.Message{Type: pb.MsgPreVoteResp, From: from, To: 1, Reject: true})
	}
	require.Equal(t, raft.StateFollower, state(g, 1))
	require.Zero(t, term(g, 1))
	require.NoError(t, m.Campaign())
	g.emit(1)
	g.step(pb.Message{Type: pb.MsgPreVoteResp, From: 2, To: 1, Term: 1})
	require.Equal(t, raft.StateCandidate, state(g, 1))
}
