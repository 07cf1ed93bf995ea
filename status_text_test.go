package raft_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// The text of v3.6.0, with the members in ascending order, which v3.6.0 leaves to chance.
func TestStatusIsJSONWithMembersInOrder(t *testing.T) {
	s := raft.Status{BasicStatus: raft.BasicStatus{
		ID: 0xab, HardState: pb.HardState{Term: 1, Vote: 0xcd, Commit: 3},
		SoftState: raft.SoftState{Lead: 0xef, RaftState: raft.StateLeader}, Applied: 2, LeadTransferee: 0x10,
	}}
	const head = `{"id":"ab","term":1,"vote":"cd","commit":3,"lead":"ef","raftState":"StateLeader","applied":2,"progress":{`
	const tail = `},"leadtransferee":"10"}`
	require.Equal(t, head+tail, s.String())

	s.Progress = map[uint64]tracker.Progress{
		16: {Match: 5, Next: 6, State: tracker.StateReplicate}, 2: {Next: 1}, 3: {State: tracker.StateSnapshot},
	}
	want := head + `"2":{"match":0,"next":1,"state":"StateProbe"},` +
		`"3":{"match":0,"next":0,"state":"StateSnapshot"},` +
		`"10":{"match":5,"next":6,"state":"StateReplicate"}` + tail
	for i := 0; i < 20; i++ {
		require.Equal(t, want, s.String())
	}
	out, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, want, string(out))
}

func TestRolesAreWrittenByName(t *testing.T) {
	out, err := json.Marshal([]raft.StateType{
		raft.StateFollower, raft.StateCandidate, raft.StateLeader, raft.StatePreCandidate,
	})
	require.NoError(t, err)
	require.Equal(t, `["StateFollower","StateCandidate","StateLeader","StatePreCandidate"]`, string(out))
}
