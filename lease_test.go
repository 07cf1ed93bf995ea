package raft_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

func leaseReads(c *raft.Config) {
	c.CheckQuorum = true
	c.ReadOnlyOption = raft.ReadOnlyLeaseBased
}

// newLeaseGroup returns a group that 1 leads. Its members are restarted ones, so nobody votes before an
// election timeout has passed.
func newLeaseGroup(t *testing.T) *group {
	g := newGroup(t, 3, leaseReads)
	g.ticks(10, 1, 2, 3)
	require.Equal(t, raft.StateLeader, state(g, 1))
	return g
}

// answeredAtOnce asks a member for a read and reports whether it was answered without a message.
func answeredAtOnce(g *group, id uint64) bool {
	m := g.get(id)
	before := len(m.reads)
	m.ReadIndex([]byte("r"))
	g.handle(m)
	return len(m.reads) > before
}

// The lease counts from the sending of heartbeats that a quorum answered, and ends before any of these
// members can vote, even with perfect clocks (B29).
func TestLeaseEndsBeforeAnotherLeaderCanBeElected(t *testing.T) {
	g := newLeaseGroup(t)
	g.ticks(9, 1, 2, 3) // the next check of the quorum is a tick away
	require.True(t, answeredAtOnce(g, 1))
	g.isolate(1)
	stale, leaderless := false, true
	for tick := 1; tick <= 19; tick++ {
		g.ticks(1, 1, 2, 3)
		leaderless = leaderless && state(g, 2) != raft.StateLeader && state(g, 3) != raft.StateLeader
		if state(g, 1) == raft.StateLeader && answeredAtOnce(g, 1) {
			require.LessOrEqual(t, tick, 7, "ElectionTick - 2 - LeaseMargin")
			stale = stale || !leaderless
		}
		g.settle()
	}
	require.False(t, leaderless, "the others have elected somebody")
	require.False(t, stale)
}

// A new leader has no lease until heartbeats of its own were answered; the read takes a round then.
func TestReadWithoutALeaseTakesARound(t *testing.T) {
	g := newLeaseGroup(t)
	require.False(t, answeredAtOnce(g, 1))
	g.settle()
	require.Len(t, g.get(1).reads, 1)
	require.True(t, answeredAtOnce(g, 1), "that round gave a lease")
}

// Sending TimeoutNow ends the lease for the rest of the leadership: its target may win at once (B30).
func TestTransferEndsTheLease(t *testing.T) {
	g := newLeaseGroup(t)
	g.ticks(1, 1, 2, 3)
	require.True(t, answeredAtOnce(g, 1))
	g.isolate(1)
	g.get(1).TransferLeader(2)
	g.handle(g.get(1))
	require.False(t, answeredAtOnce(g, 1))
	g.wire = nil
	g.heal()
	g.ticks(12, 1, 2, 3) // the transfer is given up, the late TimeoutNow may still come
	require.Equal(t, raft.StateLeader, state(g, 1))
	require.False(t, answeredAtOnce(g, 1))
}

// In lease mode each heartbeat carries the read number and the leader's tick; an answer that names a
// tick that has not come is ignored.
func TestLeaseHeartbeatsCarryNumberAndTick(t *testing.T) {
	g := newLeaseGroup(t)
	g.get(1).Tick()
	rd := g.get(1).Ready()
	require.NotEmpty(t, rd.Messages)
	require.Len(t, rd.Messages[0].Context, 16)
	tick := binary.LittleEndian.Uint64(rd.Messages[0].Context[8:])
	g.get(1).Advance(rd)

	future := make([]byte, 16)
	binary.LittleEndian.PutUint64(future[8:], tick+1000)
	for _, from := range []uint64{2, 3} {
		require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgHeartbeatResp, From: from, To: 1,
			Term: term(g, 1), Context: future}))
	}
	require.False(t, answeredAtOnce(g, 1))
}

// In lease mode a voter that hears the leader does not campaign at its host's wish, nor forget the
// leader: the leader counts on its silence.
func TestVoterKeepsItsSideOfTheLease(t *testing.T) {
	g := newLeaseGroup(t)
	require.NoError(t, g.get(2).Campaign())
	require.NoError(t, g.get(2).ForgetLeader())
	require.Equal(t, raft.StateFollower, state(g, 2))
	require.Equal(t, uint64(1), g.get(2).BasicStatus().Lead)
}

// A voter that was restarted keeps the lease that it may have given just before (B29).
func TestRestartedVoterKeepsItsSideOfTheLease(t *testing.T) {
	g := newLeaseGroup(t)
	m := g.restart(2, leaseReads)
	g.settle()
	ask := pb.Message{Type: pb.MsgVote, From: 3, To: 2, Term: 9, LogTerm: 2, Index: 2}
	require.NoError(t, m.Step(ask))
	require.False(t, m.HasReady())
	g.isolate(2)
	g.ticks(9, 2)
	require.NoError(t, m.Step(ask))
	require.False(t, m.HasReady())
	g.ticks(1, 2)
	require.NoError(t, m.Step(ask))
	require.Equal(t, uint64(9), term(g, 2))
}

// A leader that has removed itself is not the single voter that is left, and has to ask that one.
func TestRemovedLeaderDoesNotAnswerReadsAlone(t *testing.T) {
	g := newGroup(t, 2)
	g.elect(1)
	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 1}))
	g.settle()
	require.Equal(t, []uint64{2}, g.get(1).conf.Voters)
	require.False(t, answeredAtOnce(g, 1))
	g.settle()
	require.Len(t, g.get(1).reads, 1, "the voter has confirmed it")
}

// A leader that is all there is in both halves of a joint configuration confirms its own reads, also
// those that were waiting for somebody who is gone.
func TestLeaderThatIsAQuorumConfirmsItsOwnReads(t *testing.T) {
	g := newGroup(t, 2)
	g.elect(1)
	g.isolate(2)
	require.False(t, answeredAtOnce(g, 1))
	g.wire = nil
	g.heal()
	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 2}))
	g.settle()
	require.Len(t, g.get(1).reads, 1)

	g = newGroupOf(t, pb.ConfState{Voters: []uint64{1}, VotersOutgoing: []uint64{1}})
	g.elect(1)
	require.True(t, answeredAtOnce(g, 1))
}
