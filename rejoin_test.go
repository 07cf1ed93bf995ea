package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// A member is removed, wiped and added again under its ID in the same term, and a late acknowledgement of
// its earlier life arrives: it counts for nothing, and only says where to probe (B24, D3).
func TestLateAckOfAnEarlierLifeDoesNotCount(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.commit(1, "a", "b", "c", "d")
	late := pb.Message{Type: pb.MsgAppResp, From: 3, To: 1, Term: 2, Index: 6}
	require.NoError(t, g.change(1, "r3", auto))
	g.settle()
	g.blank(3)
	g.isolate(3)
	require.NoError(t, g.change(1, "v3", auto))
	g.settle()
	require.Equal(t, "voters=(1 2 3)", conf(g, 1))

	g.step(late)
	require.Zero(t, g.progress(1, 3).Match)
	require.Equal(t, uint64(7), g.progress(1, 3).Next, "where to probe next")
	g.get(1).Tick()
	beats := sentTo(only(g.emit(1), pb.MsgHeartbeat), 3)
	require.Len(t, beats, 1)
	require.Zero(t, beats[0].Commit)

	// Nor does it count for a commit: 2 is away.
	g.isolate(2)
	before := g.commitOf(1)
	g.propose(1, "needs a real quorum")
	g.emit(1)
	g.step(late)
	g.emit(1)
	require.Equal(t, before, g.commitOf(1))

	// The new member catches up, and from then on counts fully.
	g.heal()
	g.isolate(2)
	g.ticks(5, 1)
	require.Equal(t, g.commitOf(1), g.progress(1, 3).Match)
	require.Greater(t, g.commitOf(1), before)
	require.Equal(t, tracker.StateReplicate, g.progress(1, 3).State)
	require.Empty(t, g.get(3).events)

	// A late one that arrives now disturbs nothing.
	g.propose(1, "under way")
	g.emit(1)
	g.step(late)
	g.settle()
	g.heal()
	g.ticks(5, 1)
	require.Equal(t, g.commitOf(1), g.commitOf(2))
	require.Equal(t, g.commitOf(1), g.commitOf(3))
	g.requireSame(1, 2)
}

// As in v3.6.0, a mirrored leader believes the late acknowledgement (D3).
func TestMirrorBelievesTheLateAck(t *testing.T) {
	g := newGroup(t, 3, mirror)
	g.elect(1)
	g.commit(1, "a")
	require.NoError(t, g.change(1, "r3", auto))
	g.settle()
	g.isolate(3)
	require.NoError(t, g.change(1, "v3", auto))
	g.settle()
	g.step(pb.Message{Type: pb.MsgAppResp, From: 3, To: 1, Term: 2, Index: 3})
	require.Equal(t, uint64(3), g.progress(1, 3).Match)
}

// The late acknowledgement reaches a leader that is sending the new member a snapshot: if it reaches the
// log it ends the wait with a probe, else it is nothing (B24, D3).
func TestLateAckDuringASnapshotOnlyProbes(t *testing.T) {
	for _, c := range []struct {
		index uint64
		state tracker.StateType
	}{{3, tracker.StateSnapshot}, {7, tracker.StateProbe}} {
		g := newGroup(t, 3)
		g.elect(1)
		g.commit(1, "a", "b", "c", "d", "e", "f")
		_, err := g.get(1).store.CreateSnapshot(5, &g.get(1).conf, nil)
		require.NoError(t, err)
		require.NoError(t, g.get(1).store.Compact(5))
		require.NoError(t, g.change(1, "r3", auto))
		g.settle()
		g.blank(3)
		require.NoError(t, g.change(1, "v3", auto))
		g.lose = func(m pb.Message) bool { return m.Type == pb.MsgSnap }
		g.settle()
		g.ticks(1, 1)
		require.Equal(t, tracker.StateSnapshot, g.progress(1, 3).State)
		g.step(pb.Message{Type: pb.MsgAppResp, From: 3, To: 1, Term: 2, Index: c.index})
		pr := g.progress(1, 3)
		require.Equal(t, c.state, pr.State)
		require.Zero(t, pr.Match)
		g.lose = nil
		g.get(1).ReportSnapshot(3, raft.SnapshotFailure)
		g.ticks(3, 1)
		g.commit(1, "g")
		require.Equal(t, g.commitOf(1), g.commitOf(3))
	}
}

// A transfer to the member that came back does not start on a late acknowledgement (B24, D3).
func TestLateAckDoesNotCompleteATransfer(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.commit(1, "a")
	require.NoError(t, g.change(1, "r3", auto))
	g.settle()
	g.isolate(3)
	last := g.commitOf(1)
	require.NoError(t, g.change(1, "v3", auto))
	g.settle()
	g.get(1).TransferLeader(3)
	g.step(pb.Message{Type: pb.MsgAppResp, From: 3, To: 1, Term: 2, Index: last})
	require.Empty(t, only(g.emit(1), pb.MsgTimeoutNow))
}

// The floor ends with the leadership: to the next leader acknowledgements are its own entries' (D3).
func TestFloorEndsWithTheLeadership(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	require.NoError(t, g.change(1, "r3", auto))
	g.settle()
	g.blank(3)
	require.NoError(t, g.change(1, "v3", auto))
	g.settle()
	g.ticks(3, 1)
	g.elect(2)
	g.elect(1)
	require.Equal(t, g.commitOf(1), g.progress(1, 3).Match)
}

// ---- restart
