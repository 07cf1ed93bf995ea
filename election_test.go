package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

func state(g *group, id uint64) raft.StateType { return g.get(id).BasicStatus().RaftState }

func term(g *group, id uint64) uint64 { return g.get(id).BasicStatus().Term }

// A follower that hears no leader for its election timeout campaigns, and wins (thesis 3.4).
func TestFollowerCampaignsAfterItsTimeout(t *testing.T) {
	g := newGroup(t, 3)
	g.ticks(9, 1)
	require.Equal(t, raft.StateFollower, state(g, 1))
	g.ticks(1, 1)
	require.Equal(t, raft.StateLeader, state(g, 1))
	require.Equal(t, uint64(2), term(g, 1))
}

// The timeout is drawn anew each time, from ElectionTick to 2*ElectionTick-1 (thesis 3.4).
func TestElectionTimeoutIsBetweenOneAndTwoElectionTicks(t *testing.T) {
	for draw := uint64(0); draw < 25; draw++ {
		g := newGroup(t, 3, func(c *raft.Config) { c.Rand = steady(draw) })
		want := 10 + int(draw%10)
		g.ticks(want-1, 1)
		require.Equal(t, raft.StateFollower, state(g, 1), "draw %d", draw)
		g.ticks(1, 1)
		require.Equal(t, raft.StateLeader, state(g, 1), "draw %d", draw)
	}
}

// A voter has one vote a term, for the first that asks (thesis 3.4).
func TestVoterVotesOncePerTerm(t *testing.T) {
	g := newGroup(t, 3)
	ask := func(from uint64) bool {
		require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgVote, From: from, To: 1, Term: 5, LogTerm: 1, Index: 1}))
		rd := g.get(1).Ready()
		g.get(1).Advance(rd)
		require.Len(t, rd.Messages, 1)
		return !rd.Messages[0].Reject
	}
	require.True(t, ask(2))
	require.False(t, ask(3))
	require.True(t, ask(2), "the same candidate may ask again")
}

// A vote goes only to a log that is at least as up-to-date as the voter's (thesis 3.6.1).
func TestVoteNeedsAnUpToDateLog(t *testing.T) {
	for _, c := range []struct {
		logTerm, index uint64
		granted        bool
	}{{1, 9, false}, {2, 1, false}, {2, 2, true}, {2, 3, true}, {3, 1, true}} {
		g := newGroup(t, 3)
		g.elect(1) // an entry of term 2 at index 2 everywhere
		require.NoError(t, g.get(2).Step(pb.Message{Type: pb.MsgVote, From: 3, To: 2, Term: 9,
			LogTerm: c.logTerm, Index: c.index}))
		g.handle(g.get(2))
		require.Len(t, g.wire, 1)
		require.Equal(t, c.granted, !g.wire[0].Reject, "%+v", c)
	}
}

// The vote is durable before the answer leaves: MustSync is set, and with asynchronous writes the
// answer is a Response of the write (thesis 3.8).
func TestVoteIsDurableBeforeItIsSent(t *testing.T) {
	ask := pb.Message{Type: pb.MsgVote, From: 2, To: 1, Term: 5, LogTerm: 1, Index: 1}

	g := newGroup(t, 3)
	require.NoError(t, g.get(1).Step(ask))
	rd := g.get(1).Ready()
	require.True(t, rd.MustSync)
	require.Equal(t, pb.HardState{Term: 5, Vote: 2, Commit: 1}, rd.HardState)

	g = newGroup(t, 3, async)
	require.NoError(t, g.get(1).Step(ask))
	rd = g.get(1).Ready()
	require.Len(t, rd.Messages, 1)
	write := rd.Messages[0]
	require.Equal(t, raft.LocalAppendThread, write.To)
	require.Equal(t, uint64(2), write.Vote)
	require.Equal(t, pb.MsgVoteResp, write.Responses[0].Type)
}

// Stuck for ever, first way (B1): with CheckQuorum and without PreVote, a member comes back from a
// partition with a higher term. Its vote requests are ignored in lease, and it would ignore the leader
// if the leader were not told of the higher term.
func TestIsolatedMemberWithHigherTermComesBack(t *testing.T) {
	g := newGroup(t, 3, checkQuorum)
	g.elect(1)
	g.isolate(3)
	g.ticks(60, 1, 3)
	require.GreaterOrEqual(t, term(g, 3), uint64(5))
	g.heal()
	g.ticks(60, 1, 2, 3)
	requireOneLeaderAndProgress(t, g)
}

// Stuck for ever, second way: a member is cut off between winning the pre-vote and asking for the vote,
// and so has raised its term for nothing.
func TestMemberCutOffAfterItsPreVoteComesBack(t *testing.T) {
	for name, opts := range map[string][]option{"preVote": {preVote}, "both": {preVote, checkQuorum}} {
		opts := opts
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3, opts...)
			g.elect(1)
			// 1 goes silent for a while, 3 wins the pre-vote, and its vote requests are lost.
			g.isolate(1)
			g.lose = func(m pb.Message) bool { return m.Type == pb.MsgVote }
			g.ticks(10, 2, 3) // the lease is over; 2 would campaign at 11
			g.ticks(2, 3)
			require.Equal(t, raft.StateCandidate, state(g, 3))
			higher := term(g, 3)
			g.lose = nil
			g.heal()
			g.isolate(3)
			g.ticks(3, 1, 2)
			g.heal()
			g.ticks(60, 1, 2, 3)
			require.GreaterOrEqual(t, term(g, 1), higher)
			requireOneLeaderAndProgress(t, g)
		})
	}
}

// Stuck for ever, third way (B3): PreVote is switched on during a rolling change. One member has a higher
// term and a shorter log, and nobody can win a pre-vote until its term has spread.
func TestPreVoteSwitchedOnDoesNotBlockAnElection(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.isolate(3)
	require.NoError(t, g.get(1).Propose([]byte("only on 1 and 2")))
	g.settle()
	for i := 0; i < 8; i++ {
		require.NoError(t, g.get(3).Campaign())
		g.settle()
	}
	for id := uint64(1); id <= 3; id++ {
		g.restart(id, preVote)
	}
	g.heal()
	g.isolate(1) // 2 and 3 must do it together
	g.ticks(100, 2, 3)
	require.Equal(t, raft.StateLeader, state(g, 2))
	require.NoError(t, g.get(2).Propose([]byte("goes on")))
	g.settle()
	require.Contains(t, g.get(3).values(), "goes on")
}

func requireOneLeaderAndProgress(t *testing.T, g *group) {
	t.Helper()
	lead := g.leader()
	require.NotEqual(t, raft.None, lead)
	require.NoError(t, g.get(lead).Propose([]byte("progress")))
	g.settle()
	for _, id := range g.ids {
		require.Equal(t, lead, g.get(id).BasicStatus().Lead, "member %d", id)
		require.Contains(t, g.get(id).values(), "progress", "member %d", id)
	}
}

// A granted pre-vote carries the term that was asked for, a refused one the term of the member that
// refuses (B2).
func TestPreVoteAnswersCarryTheRightTerm(t *testing.T) {
	g := newGroup(t, 3, preVote)
	require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgPreVote, From: 2, To: 1, Term: 6, LogTerm: 1, Index: 1}))
	require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgPreVote, From: 3, To: 1, Term: 6}))
	g.handle(g.get(1))
	require.Len(t, g.wire, 2)
	require.Equal(t, pb.Message{Type: pb.MsgPreVoteResp, To: 2, From: 1, Term: 6}, g.wire[0])
	require.Equal(t, pb.Message{Type: pb.MsgPreVoteResp, To: 3, From: 1, Term: 1, Reject: true,
		Commit: 1, RejectHint: 1}, g.wire[1])
}

// A pre-vote changes nothing at either end: no term, no vote, no timer (B7).
func TestPreVoteLeavesNoTrace(t *testing.T) {
	g := newGroup(t, 3, preVote)
	g.ticks(9, 1)
	require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgPreVote, From: 2, To: 1, Term: 2, LogTerm: 1, Index: 1}))
	require.Equal(t, pb.HardState{Term: 1, Commit: 1}, g.get(1).BasicStatus().HardState)
	g.get(1).Tick()
	require.Equal(t, raft.StatePreCandidate, state(g, 1), "its own timeout ran on")
	require.Equal(t, uint64(1), term(g, 1))
}

// A follower that hears from a leader does not take part in elections (thesis 4.2.3), unless the leader
// itself wants them (3.10), and only for an election timeout.
func TestFollowerRefusesVoteInLease(t *testing.T) {
	ask := pb.Message{Type: pb.MsgVote, From: 3, To: 2, Term: 9, LogTerm: 2, Index: 2}
	answers := func(ticks int, context string) int {
		g := newGroup(t, 3, checkQuorum)
		g.elect(1)
		g.isolate(2)
		g.ticks(ticks, 2)
		ask := ask
		ask.Context = []byte(context)
		require.NoError(t, g.get(2).Step(ask))
		g.handle(g.get(2))
		return len(g.wire)
	}
	require.Zero(t, answers(0, ""))
	require.Zero(t, answers(9, ""))
	require.NotZero(t, answers(10, ""))
	require.NotZero(t, answers(0, "CampaignTransfer"))
}

// A leader that hears from no quorum steps down after an election timeout (thesis 6.2).
func TestLeaderWithoutQuorumStepsDown(t *testing.T) {
	g := newGroup(t, 3, checkQuorum)
	g.elect(1)
	g.isolate(1)
	g.ticks(20, 1)
	require.Equal(t, raft.StateFollower, state(g, 1))
	require.Equal(t, raft.None, g.get(1).BasicStatus().Lead)
}

// A learner votes when asked, since its promotion may not have reached it, but does not campaign (B13).
func TestLearnerVotesButDoesNotCampaign(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}})
	require.NoError(t, g.get(2).Step(pb.Message{Type: pb.MsgVote, From: 1, To: 2, Term: 9, LogTerm: 1, Index: 1}))
	g.handle(g.get(2))
	require.Len(t, g.wire, 1)
	require.False(t, g.wire[0].Reject)
	g.wire = nil
	require.NoError(t, g.get(2).Campaign())
	g.ticks(50, 2)
	require.Equal(t, raft.StateFollower, state(g, 2))
}

// A member whose committed configuration changes are not applied does not campaign: its idea of a quorum
// may be an old one (B18).
func TestNoCampaignWithAnUnappliedConfChange(t *testing.T) {
	g := newGroup(t, 3, async)
	g.elect(1)
	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: 4}))
	g.settle()
	// 2 learns of the commit, but its state machine is slow.
	store := g.get(2).store
	m := g.start(2, store, async, func(c *raft.Config) { c.Applied = 2 })
	require.NoError(t, m.Campaign())
	require.Equal(t, raft.StateFollower, state(g, 2))
	g.settle()
	require.NoError(t, m.Campaign())
	require.Equal(t, raft.StateCandidate, state(g, 2))
}

// A member that is about to install a snapshot does not campaign: it would lead without a log (B19).
func TestNoCampaignWithAPendingSnapshot(t *testing.T) {
	g := newGroup(t, 3, async)
	snap := &pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: 9, Term: 2, ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}}}}
	require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgSnap, From: 2, To: 1, Term: 2, Snapshot: snap}))
	require.NoError(t, g.get(1).Campaign())
	require.Equal(t, raft.StateFollower, state(g, 1))
	g.settle()
	require.NoError(t, g.get(1).Campaign())
	require.Equal(t, raft.StateCandidate, state(g, 1))
}

// A single voter elects itself, and commits when its own log is durable and not before (B59).
func TestSingleVoterCommitsWhatIsDurable(t *testing.T) {
	g := newGroup(t, 1)
	g.elect(1)
	m := g.get(1)
	require.NoError(t, m.Propose([]byte("x")))
	rd := m.Ready()
	require.Len(t, rd.Entries, 1)
	require.Empty(t, rd.CommittedEntries)
	require.NoError(t, m.store.Append(rd.Entries))
	m.Advance(rd)
	require.Len(t, m.Ready().CommittedEntries, 1)
}

// A follower told to forget its leader votes at once, and finds the leader again when it hears from it.
func TestForgetLeaderFreesTheVote(t *testing.T) {
	g := newGroup(t, 3, checkQuorum, preVote)
	g.elect(1)
	require.NoError(t, g.get(2).ForgetLeader())
	require.Equal(t, raft.None, g.get(2).BasicStatus().Lead)
	require.NoError(t, g.get(2).Step(pb.Message{Type: pb.MsgPreVote, From: 3, To: 2, Term: 9, LogTerm: 2, Index: 2}))
	g.handle(g.get(2))
	require.NotEmpty(t, g.wire)
	require.False(t, g.wire[len(g.wire)-1].Reject)
	g.wire = nil
	g.ticks(1, 1)
	require.Equal(t, uint64(1), g.get(2).BasicStatus().Lead)
}

// A former leader that asks for votes is not refused on its own behalf (B6).
func TestFormerLeaderIsNotRefusedForItsOwnSake(t *testing.T) {
	g := newGroup(t, 3, checkQuorum, preVote)
	g.elect(1)
	g.isolate(3)
	g.cut[[2]uint64{2, 1}] = true // 1 does not hear 2, and steps down
	g.ticks(25, 1)
	require.NotEqual(t, raft.StateLeader, state(g, 1))
	delete(g.cut, [2]uint64{2, 1})
	require.NoError(t, g.get(1).Campaign())
	g.settle()
	require.Equal(t, raft.StateLeader, state(g, 1))
}
