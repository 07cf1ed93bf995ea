package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// A member that lost what it had acknowledged refuses the probe right behind its Match. The leader does
// not answer each refusal with the same probe at once, which would be a loop at the speed of the network,
// and says so (D18, B36).
func TestRefusalAtMatchIsNotAnsweredForEver(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.commit(1, "a", "b", "c")
	g.add(3, g.get(3).conf) // the disk is back at the start
	g.get(1).ReportUnreachable(3)
	messages := 0
	g.lose = func(pb.Message) bool { messages++; return messages > 1000 }
	g.commit(1, "d")
	require.Less(t, messages, 50)
	require.Contains(t, g.get(1).events, raft.PeerLostDurableState{ID: 3, Match: 5, Index: 1})
}

// In a joint configuration, those who could win may not know that it is committed, and those who know
// cannot win: vote requests and refusals tell it (D19, B14).
func TestVotesTellWhatIsCommitted(t *testing.T) {
	conf := pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}
	g := newGroupOf(t, conf)
	g.elect(1)
	g.isolate(2)
	swap := pb.ConfChangeV2{Transition: pb.ConfChangeTransitionJointExplicit, Changes: []pb.ConfChangeSingle{
		{Type: pb.ConfChangeAddLearnerNode, NodeID: 3}, {Type: pb.ConfChangeAddNode, NodeID: 4}}}
	joint := uint64(3)
	// 4 gets the whole log but never hears of the commit; 3 gets the joint entry only, and acknowledges late.
	var late []pb.Message
	g.lose = func(m pb.Message) bool {
		if m.From == 3 && m.Type == pb.MsgAppResp && m.Index == joint {
			late = append(late, m)
			return true
		}
		return m.To == 4 && m.Commit >= joint || m.To == 3 && m.Type == pb.MsgApp && m.Index >= joint
	}
	require.NoError(t, g.get(1).ProposeConfChange(swap))
	g.settle()
	for i := 0; i < 5; i++ {
		require.NoError(t, g.get(1).Propose([]byte("x")))
		g.settle()
	}
	require.Len(t, late, 1)
	require.NoError(t, g.get(1).Step(late[0]))
	g.ticks(1, 1)
	require.Equal(t, joint, g.get(3).BasicStatus().Commit)
	require.Less(t, g.get(4).BasicStatus().Commit, joint)
	g.lose = nil
	g.heal()
	g.isolate(1)
	require.NoError(t, g.get(3).Campaign()) // cannot win, but 4 learns from it
	g.settle()
	require.Equal(t, joint, g.get(4).BasicStatus().Commit)
	require.NoError(t, g.get(4).Campaign())
	g.settle()
	require.Equal(t, raft.StateLeader, state(g, 4))
}

// With StepDownOnRemoval a leader that removes itself from a group of two does not leave before the other
// one knows of it: that one would need its vote for ever (D20, B15). It hands over and is gone (B16).
func TestRemovedLeaderHandsOverBeforeItLeaves(t *testing.T) {
	stepDown := func(c *raft.Config) { c.StepDownOnRemoval = true }
	g := newGroup(t, 2, stepDown)
	g.elect(1)
	// All that would tell 2 of the commit is lost.
	g.lose = func(m pb.Message) bool { return m.To == 2 && m.Commit >= 3 }
	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 1}))
	g.settle()
	require.Equal(t, []uint64{2}, g.get(1).conf.Voters)
	require.Equal(t, raft.StateLeader, state(g, 1), "2 does not know")
	g.lose = nil
	g.ticks(2, 1, 2)
	require.Equal(t, raft.StateFollower, state(g, 1))
	require.Equal(t, raft.StateLeader, state(g, 2), "at once, by TimeoutNow")
	g.commit(2, "goes on")
	require.Contains(t, g.get(2).values(), "goes on")
}
