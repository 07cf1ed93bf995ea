package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Figure 3.1: term, vote and log are persistent, the commit index is not.
func TestOnlyEntriesTermAndVoteMustBeSynced(t *testing.T) {
	before := pb.HardState{Term: 2, Vote: 1, Commit: 5}
	require.False(t, raft.MustSync(before, before, 0))
	require.False(t, raft.MustSync(pb.HardState{Term: 2, Vote: 1, Commit: 6}, before, 0))
	require.True(t, raft.MustSync(before, before, 1))
	require.True(t, raft.MustSync(pb.HardState{Term: 3, Vote: 1, Commit: 5}, before, 0))
	require.True(t, raft.MustSync(pb.HardState{Term: 2, Vote: 2, Commit: 5}, before, 0))
}

func TestEmptyHardStateAndSnapshotAreTheZeroOnes(t *testing.T) {
	require.True(t, raft.IsEmptyHardState(pb.HardState{}))
	require.False(t, raft.IsEmptyHardState(pb.HardState{Commit: 1}))
	require.True(t, raft.IsEmptySnap(pb.Snapshot{Data: []byte("x")}))
	require.False(t, raft.IsEmptySnap(snapshotAt(1, 0)))
}
