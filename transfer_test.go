package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Leadership transfer (thesis 3.10).

func transferee(g *group, id uint64) uint64 { return g.get(id).BasicStatus().LeadTransferee }

// The leader hands over at once to a member that has its whole log, whoever asks for it, whatever
// protects the leader from elections (thesis 3.10; B21a).
func TestTransferSkipsPreVoteAndLease(t *testing.T) {
	for name, opts := range map[string][]option{
		"plain": nil, "preVote": {preVote}, "checkQuorum": {checkQuorum}, "both": {preVote, checkQuorum},
		"async": {async, preVote, checkQuorum}, "lease reads": {leaseReads, preVote},
	} {
		for _, asks := range []uint64{1, 2, 3} {
			g := newGroup(t, 3, opts...)
			g.ticks(20, 1, 2, 3)
			require.Equal(t, uint64(1), g.leader(), name)
			g.commit(1, "x")
			before := term(g, 1)
			g.get(asks).TransferLeader(2)
			g.settle()
			require.Equal(t, uint64(2), g.leader(), "%s, asked of %d", name, asks)
			require.Equal(t, before+1, term(g, 2), "%s: one campaign, no pre-vote", name)
			g.commit(2, "y")
			require.Equal(t, []string{"x", "y"}, g.requireSame(1, 2, 3))
		}
	}
}

// The target's campaign is for real at once: it sends vote requests that say what they are for, and does
// not give up for a heartbeat of the old leader (B21a).
func TestTransferTargetDoesNotGiveUpForAHeartbeat(t *testing.T) {
	g := newGroup(t, 3, preVote, checkQuorum)
	g.elect(1)
	g.step(pb.Message{Type: pb.MsgTimeoutNow, From: 1, To: 2, Term: 2})
	require.Equal(t, raft.StateCandidate, state(g, 2))
	requests := g.emit(2)
	require.Equal(t, []pb.MessageType{pb.MsgVote, pb.MsgVote}, types(requests))
	for _, m := range requests {
		require.Equal(t, "CampaignTransfer", string(m.Context))
	}
	g.step(pb.Message{Type: pb.MsgHeartbeat, From: 1, To: 2, Term: 2})
	require.Equal(t, raft.StateCandidate, state(g, 2))
	g.emit(2)
	g.step(requests...)
	g.settle()
	require.Equal(t, uint64(2), g.leader())
}

// A target that lags behind is brought up first, while proposals are refused, or it would never be
// (thesis 3.10).
func TestTransferBringsTheTargetUpFirst(t *testing.T) {
	for name, compacted := range map[string]bool{"by appends": false, "by snapshot": true} {
		compacted := compacted
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3)
			g.elect(1)
			g.isolate(3)
			g.commit(1, "a", "b")
			if compacted {
				g.compact(1)
			}
			g.get(1).TransferLeader(3)
			require.Empty(t, only(g.emit(1), pb.MsgTimeoutNow))
			require.Equal(t, uint64(3), transferee(g, 1))
			require.ErrorIs(t, g.get(1).Propose([]byte("refused")), raft.ErrProposalDropped)
			require.ErrorIs(t, g.change(1, "r2", auto), raft.ErrProposalDropped)
			g.heal()
			g.ticks(4, 1)
			require.Equal(t, uint64(3), g.leader())
			require.Equal(t, raft.None, transferee(g, 1))
			g.commit(3, "c")
			g.requireSame(1, 2)
		})
	}
}

// A transfer that does not succeed within an election timeout is given up, and the leader takes proposals
// again (thesis 3.10).
func TestTransferTimesOut(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.isolate(3)
	g.ticks(7, 1) // the count starts with the transfer, not with the last check
	g.get(1).TransferLeader(3)
	g.ticks(9, 1)
	require.Equal(t, uint64(3), transferee(g, 1))
	require.ErrorIs(t, g.get(1).Propose(nil), raft.ErrProposalDropped)
	g.ticks(1, 1)
	require.Equal(t, raft.None, transferee(g, 1))
	require.Equal(t, raft.StateLeader, state(g, 1))
	g.commit(1, "x")
	g.requireSame(1, 2)
}

// A transfer to nobody, a learner, a stranger or the leader itself starts nothing.
func TestTransferToWhomItCannotGo(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}})
	g.elect(1)
	g.get(1).TransferLeader(raft.LocalAppendThread)
	for _, to := range []uint64{raft.None, 1, 4, 9} {
		g.get(1).TransferLeader(to)
		g.get(2).TransferLeader(to)
		g.settle()
		require.Equal(t, raft.None, transferee(g, 1), "to %d", to)
		require.Equal(t, uint64(1), g.leader(), "to %d", to)
	}
	g.commit(1, "x")
	g.requireSame(1, 2, 3, 4)
}

// While one transfer is under way, another to the same target changes nothing, one to the leader itself
// ends it, and one to a third member replaces it (thesis 3.10).
func TestSecondTransfer(t *testing.T) {
	for _, c := range []struct{ to, want uint64 }{{3, 3}, {1, raft.None}, {2, 2}, {9, 3}} {
		g := newGroup(t, 3)
		g.elect(1)
		g.isolate(3)
		g.commit(1, "x")
		g.get(1).TransferLeader(3)
		g.ticks(6, 1)
		g.get(1).TransferLeader(c.to)
		require.Equal(t, c.want, transferee(g, 1), "to %d", c.to)
		g.ticks(4, 1)
		require.Equal(t, c.to == 2, g.leader() == 2)
		require.Equal(t, raft.None, transferee(g, 1), "the first one's time counts")
	}
}

// Whatever ends the leadership ends the transfer: one that is elected again takes proposals (B21b).
func TestTransferEndsWithTheLeadership(t *testing.T) {
	for name, end := range map[string]func(g *group){
		"higher term": func(g *group) { g.step(pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 8}) },
		"no quorum": func(g *group) {
			g.isolate(1)
			for i := 0; i < 20; i++ {
				g.get(1).Tick()
			}
			g.emit(1)
		},
	} {
		g := newGroup(t, 3, checkQuorum)
		g.elect(1)
		g.isolate(3)
		g.commit(1, "x")
		g.get(1).TransferLeader(3)
		require.Equal(t, uint64(3), transferee(g, 1), name)
		end(g)
		require.Equal(t, raft.StateFollower, state(g, 1), name)
		require.Equal(t, raft.None, transferee(g, 1), name)
		g.heal()
		g.wire = nil
		for i := 0; i < 12; i++ {
			g.get(2).Tick() // its lease
			g.get(3).Tick()
		}
		g.wire = nil
		g.emit(2)
		g.emit(3)
		g.ticks(40, 1)
		require.NotEqual(t, raft.None, g.leader(), name)
		g.commit(g.leader(), "y")
		require.Contains(t, g.get(1).values(), "y", name)
	}
}

// Removing or demoting the target ends the transfer.
func TestRemovingTheTargetEndsTheTransfer(t *testing.T) {
	for _, how := range []string{"r3", "l3"} {
		g := newGroup(t, 3)
		g.elect(1)
		g.isolate(3)
		require.NoError(t, g.change(1, how, auto))
		g.get(1).TransferLeader(3)
		require.Equal(t, uint64(3), transferee(g, 1))
		g.settle()
		require.Equal(t, raft.None, transferee(g, 1), how)
		g.commit(1, "x")
		g.requireSame(1, 2)
	}
}

// A target that does not know of its promotion, or of itself at all, does not campaign and does not
// panic; votes of strangers do not count (B21c).
func TestTargetThatIsNoVoterHereDoesNotCampaign(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}})
	g.elect(1)
	g.step(pb.Message{Type: pb.MsgTimeoutNow, From: 1, To: 4, Term: 2})
	require.Equal(t, raft.StateFollower, state(g, 4))

	stranger := g.blank(5)
	require.NoError(t, stranger.Step(pb.Message{Type: pb.MsgTimeoutNow, From: 1, To: 5, Term: 2}))
	require.Equal(t, raft.StateFollower, state(g, 5))

	require.NoError(t, g.get(2).Campaign())
	g.emit(2)
	for from := uint64(7); from < 12; from++ {
		err := g.get(2).Step(pb.Message{Type: pb.MsgVoteResp, From: from, To: 2, Term: 3})
		require.ErrorIs(t, err, raft.ErrStepPeerNotFound)
	}
	g.step(pb.Message{Type: pb.MsgVoteResp, From: 4, To: 2, Term: 3}) // a learner's
	require.Equal(t, raft.StateCandidate, state(g, 2))
	g.step(pb.Message{Type: pb.MsgVoteResp, From: 3, To: 2, Term: 3})
	require.Equal(t, raft.StateLeader, state(g, 2))
}

// A target with a committed change that it has not applied does not campaign (thesis 4.1, B18).
func TestTargetWithAnUnappliedChangeDoesNotCampaign(t *testing.T) {
	g := newGroup(t, 3, async)
	g.elect(1)
	require.NoError(t, g.change(1, "l9", auto))
	s := g.slow(2)
	for i := 0; i < 3; i++ {
		for _, m := range g.emit(1) {
			g.step(m)
		}
		g.step(g.emit(3)...)
		sent := s.gather()
		for len(s.writes) > 0 {
			g.respond(s.member, s.write())
		}
		g.step(sent...)
		g.deliver()
	}
	require.NotEmpty(t, s.jobs)
	g.step(pb.Message{Type: pb.MsgTimeoutNow, From: 1, To: 2, Term: 2})
	require.Equal(t, raft.StateFollower, state(g, 2))
}

// A leader that handed over and was cut off does not answer reads any more, though it does not know yet
// that another leads; v3.6.0 does (B30, D8).
func TestLeaderThatHandedOverAnswersNoReads(t *testing.T) {
	for name, c := range map[string]struct {
		opts   []option
		served bool
	}{"mended": {[]option{leaseReads}, false}, "mirror": {[]option{leaseReads, mirror}, true}} {
		g := newGroup(t, 3, c.opts...)
		g.ticks(20, 1, 2, 3)
		require.Equal(t, uint64(1), g.leader(), name)
		g.commit(1, "x")
		g.get(1).TransferLeader(2)
		now := only(g.emit(1), pb.MsgTimeoutNow)
		require.Len(t, now, 1)
		g.isolate(1)
		g.step(now...)
		g.settle()
		require.Equal(t, raft.StateLeader, state(g, 2))
		g.commit(2, "newer")
		g.get(1).ReadIndex([]byte("stale?"))
		g.handle(g.get(1))
		require.Equal(t, c.served, len(g.get(1).reads) > 0, name)
	}
}

// A wish for a transfer without a leader to forward it to is dropped.
func TestTransferWithoutALeaderIsDropped(t *testing.T) {
	g := newGroup(t, 3)
	g.get(2).TransferLeader(3)
	require.False(t, g.get(2).HasReady())
	require.NoError(t, g.get(2).Campaign())
	g.get(2).TransferLeader(3)
	require.Empty(t, only(g.emit(2), pb.MsgTransferLeader))
}
