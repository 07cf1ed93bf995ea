package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// A configuration change that was handed out before a snapshot came does not change the configuration of
// the snapshot, though it is applied after the snapshot was received; what it leads to is what it leads
// to elsewhere (B71; found by simulation).
func TestChangeFromBeforeASnapshotDoesNotChangeTheSnapshotsConfiguration(t *testing.T) {
	g := newGroup(t, 3)
	m := g.get(2)
	change := pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: 9}
	data, err := change.Marshal()
	require.NoError(t, err)
	require.NoError(t, m.Step(pb.Message{Type: pb.MsgApp, From: 1, To: 2, Term: 2, LogTerm: 1, Index: 1, Commit: 2,
		Entries: []pb.Entry{{Index: 2, Term: 2, Type: pb.EntryConfChange, Data: data}}}))
	rd := m.Ready()
	require.Len(t, rd.CommittedEntries, 1)
	require.NoError(t, m.Step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 2, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 7, Term: 2, ConfState: pb.ConfState{Voters: []uint64{1, 2, 4}}}}}))

	conf := m.ApplyConfChange(change)
	require.Equal(t, pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{9}}, *conf)
	g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
	m.Advance(rd)
	g.handle(m)
	require.Equal(t, "voters=(1 2 4)", m.Status().Config.String())

	after := m.ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: 8})
	require.Equal(t, pb.ConfState{Voters: []uint64{1, 2, 4}, Learners: []uint64{8}}, *after)
	require.Equal(t, raft.StateFollower, m.BasicStatus().RaftState)
}
