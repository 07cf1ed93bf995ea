package raft_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// All members apply what the leader took, in the order in which it took it (thesis 3.5), in both
// storage modes, one proposal at a time and many between two Readys.
func TestMembersApplyTheSameEntriesInOrder(t *testing.T) {
	for name, opts := range map[string][]option{"sync": nil, "async": {async}, "eager": {eager}, "mirror": {mirror}} {
		opts := opts
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3, opts...)
			g.elect(1)
			var want []string
			for i := 0; i < 30; i++ {
				for k := 0; k <= i; k++ {
					v := fmt.Sprintf("%d.%d", i, k)
					want = append(want, v)
					require.NoError(t, g.get(1).Propose([]byte(v)))
				}
				g.settle()
			}
			require.Equal(t, want, g.requireSame(1, 2, 3))
		})
	}
}

// What is proposed between two Readys leaves as one append for each follower.
func TestProposalsBetweenTwoReadysShareOneAppend(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	leader := g.get(1)
	for i := 0; i < 1000; i++ {
		require.NoError(t, leader.Propose([]byte{1}))
	}
	rd := leader.Ready()
	require.Len(t, rd.Entries, 1000)
	require.Len(t, rd.Messages, 2)
	for _, m := range rd.Messages {
		require.Equal(t, pb.MsgApp, m.Type)
		require.Len(t, m.Entries, 1000)
	}
}

func eager(c *raft.Config)  { c.EagerAppends = true }
func mirror(c *raft.Config) { c.Mirror36 = true }
