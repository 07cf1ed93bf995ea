package raft_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

func isType(t pb.MessageType) func(pb.Message) bool {
	return func(m pb.Message) bool { return m.Type == t }
}

// number is what a heartbeat carries while reads wait.
func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// echo is a heartbeat response with context.
func echo(from uint64, term uint64, context []byte) pb.Message {
	return pb.Message{Type: pb.MsgHeartbeatResp, From: from, To: 1, Term: term, Context: context}
}

// requests returns the contexts of the answered reads of a member.
func (m *member) requests() []string {
	var out []string
	for _, r := range m.reads {
		out = append(out, string(r.RequestCtx))
	}
	return out
}

// A read is answered with the commit index of the time when it arrived, once a quorum has answered
// (thesis 6.4).
func TestReadIsAnsweredWithTheCommitIndexOfItsArrival(t *testing.T) {
	for name, opts := range map[string][]option{"sync": nil, "async": {async}, "eager": {eager}, "mirror": {mirror}} {
		opts := opts
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3, opts...)
			g.elect(1)
			before := g.get(1).BasicStatus().Commit
			g.lose = isType(pb.MsgHeartbeatResp)
			g.get(1).ReadIndex([]byte("r"))
			g.settle()
			require.NoError(t, g.get(1).Propose([]byte("later")))
			g.settle()
			require.Greater(t, g.get(1).BasicStatus().Commit, before)
			require.Empty(t, g.get(1).reads)
			g.lose = nil
			g.ticks(1, 1)
			require.Equal(t, []raft.ReadState{{Index: before, RequestCtx: []byte("r")}}, g.get(1).reads)
		})
	}
}

// A follower forwards its reads to the leader and gets the answer back, at whatever term the message
// is: a request has no term (thesis 6.4, scenario B34).
func TestFollowerForwardsReads(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.get(2).ReadIndex([]byte("from 2"))
	g.handle(g.get(2))
	require.Len(t, g.wire, 1)
	require.Equal(t, pb.MsgReadIndex, g.wire[0].Type)
	require.Zero(t, g.wire[0].Term)
	require.Equal(t, uint64(1), g.wire[0].To)
	// Meanwhile the group is some terms on, with the same leader.
	forwarded := g.wire
	g.wire = nil
	g.elect(3)
	g.elect(1)
	g.wire = forwarded
	g.settle()
	require.Equal(t, []raft.ReadState{{Index: g.get(1).BasicStatus().Commit, RequestCtx: []byte("from 2")}}, g.get(2).reads)
	require.Empty(t, g.get(1).reads)
}

// A read without a leader to forward it to is dropped; so is one that a leader sends back.
func TestReadWithoutALeaderIsDropped(t *testing.T) {
	g := newGroup(t, 3)
	g.get(2).ReadIndex([]byte("nobody"))
	require.False(t, g.get(2).HasReady())
	g.elect(1)
	read := pb.Message{Type: pb.MsgReadIndex, From: 1, To: 2, Entries: []pb.Entry{{Data: []byte("r")}}}
	require.NoError(t, g.get(2).Step(read))
	require.False(t, g.get(2).HasReady())
}

// Requests and answers without exactly one context are refused (hostile messages).
func TestReadNeedsItsContext(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	for _, to := range []uint64{1, 2} {
		err := g.get(to).Step(pb.Message{Type: pb.MsgReadIndex, From: 3, To: to})
		require.ErrorIs(t, err, raft.ErrBadMessage)
		require.ErrorContains(t, err, "Entries")
	}
	err := g.get(2).Step(pb.Message{Type: pb.MsgReadIndexResp, From: 1, To: 2, Term: 2, Entries: make([]pb.Entry, 2)})
	require.ErrorIs(t, err, raft.ErrBadMessage)
}

// No peer can make a member send something to its own log writer or state machine (hostile messages).
func TestNoAnswerGoesToALocalThread(t *testing.T) {
	g := newGroup(t, 1)
	g.elect(1)
	for _, from := range []uint64{raft.LocalAppendThread, raft.LocalApplyThread} {
		err := g.get(1).Step(pb.Message{Type: pb.MsgReadIndex, From: from, To: 1, Entries: []pb.Entry{{}}})
		require.ErrorIs(t, err, raft.ErrBadMessage)
		require.False(t, g.get(1).HasReady())
	}
}

// The same context twice is two reads, and an empty context is as good as any.
func TestSameContextTwiceIsTwoReads(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	for _, rctx := range []string{"x", "x", "", ""} {
		g.get(1).ReadIndex([]byte(rctx))
	}
	g.get(1).ReadIndex(nil)
	g.settle()
	require.Equal(t, []string{"x", "x", "", "", ""}, g.get(1).requests())
}

// The caller's context never confirms a read: acknowledgements of a first read do not count for its
// retry with the same context (scenario B32).
func TestOldAcknowledgementsDoNotConfirmARetriedRead(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	var held []pb.Message
	g.lose = func(m pb.Message) bool {
		if m.Type == pb.MsgHeartbeatResp {
			held = append(held, m)
		}
		return m.Type == pb.MsgHeartbeatResp
	}
	g.get(1).ReadIndex([]byte("x"))
	g.settle()
	require.Len(t, held, 2)
	g.lose = nil
	g.isolate(1)
	g.elect(2)
	require.NoError(t, g.get(2).Propose([]byte("news")))
	g.settle()

	g.get(1).ReadIndex([]byte("x"))
	g.settle()
	for _, m := range held {
		require.NoError(t, g.get(1).Step(m))
	}
	g.settle()
	// The first read was confirmed by them, and rightly: they were sent after it had arrived.
	require.Len(t, g.get(1).reads, 1)
	g.heal()
	g.ticks(3, 1, 2)
	require.Len(t, g.get(1).reads, 1, "the retry died with the leadership")
}

// What confirms a read must have been sent after it arrived, by a full quorum (scenario B33).
func TestReadNeedsAFullQuorumThatAnswersLater(t *testing.T) {
	g := newGroup(t, 5)
	g.elect(1)
	leader := g.get(1)
	leader.ReadIndex([]byte("a"))
	g.handle(leader)
	leader.ReadIndex([]byte("b"))
	g.handle(leader)
	g.wire = nil
	answer := func(from, n uint64) []string {
		require.NoError(t, leader.Step(echo(from, 2, number(n))))
		g.handle(leader)
		return leader.requests()
	}
	require.Empty(t, answer(2, 1))
	require.Empty(t, answer(2, 1), "one member counts once")
	require.Equal(t, []string{"a"}, answer(3, 1))
	require.Equal(t, []string{"a"}, answer(4, 1), "too old for b")
	require.Equal(t, []string{"a"}, answer(4, 2))
	require.Equal(t, []string{"a", "b"}, answer(5, 2))
}

// In a joint configuration both majorities must have answered (thesis 4.3, scenario B33).
func TestReadNeedsBothMajoritiesOfAJointConfiguration(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{1, 4, 5}})
	for _, id := range []uint64{4, 5} {
		g.add(id, pb.ConfState{Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{1, 4, 5}})
	}
	g.elect(1)
	leader := g.get(1)
	leader.ReadIndex([]byte("r"))
	for _, from := range []uint64{2, 3} {
		require.NoError(t, leader.Step(echo(from, 2, number(1))))
	}
	g.handle(leader)
	require.Empty(t, leader.reads)
	require.NoError(t, leader.Step(echo(5, 2, number(1))))
	g.handle(leader)
	require.Equal(t, []string{"r"}, leader.requests())
}

// A smaller quorum is enough as soon as the configuration has become smaller.
func TestReadIsConfirmedByASmallerQuorum(t *testing.T) {
	g := newGroup(t, 5)
	g.elect(1)
	for _, id := range []uint64{3, 4, 5} {
		g.isolate(id)
	}
	g.get(1).ReadIndex([]byte("r"))
	g.settle()
	require.Empty(t, g.get(1).reads)
	for _, id := range []uint64{4, 5} { // as if this had been committed just before
		g.get(1).ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: id})
	}
	g.ticks(1, 1)
	require.Equal(t, []string{"r"}, g.get(1).requests())
}

// A learner's answer confirms nothing.
func TestLearnersDoNotConfirmReads(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3, 4}})
	g.elect(1)
	g.isolate(2)
	g.get(1).ReadIndex([]byte("r"))
	g.ticks(5, 1)
	require.Empty(t, g.get(1).reads)
	g.heal()
	g.ticks(1, 1)
	require.Equal(t, []string{"r"}, g.get(1).requests())
}

// Acknowledgements add up over rounds: no two voters need to answer the same heartbeat.
func TestAcknowledgementsOfReadsAddUpOverRounds(t *testing.T) {
	g := newGroup(t, 5)
	g.elect(1)
	leader := g.get(1)
	reachable := []uint64{2, 3, 4, 5}
	for round, only := range reachable {
		only := only
		leader.ReadIndex([]byte(fmt.Sprint(round)))
		g.lose = func(m pb.Message) bool { return m.Type == pb.MsgHeartbeatResp && m.From != only }
		g.settle()
	}
	// Voter k has answered number k-1. With the leader, 3 voters have answered 3 or more.
	require.Equal(t, []string{"0", "1", "2"}, leader.requests())
}

// While reads wait a heartbeat's Context is the number of the newest, 8 bytes in little endian, and
// else nil. Followers echo any Context as it came.
func TestHeartbeatsCarryTheNumberOfTheNewestRead(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	leader := g.get(1)
	contexts := func() [][]byte {
		var out [][]byte
		g.handle(leader)
		for _, m := range g.wire {
			require.Equal(t, pb.MsgHeartbeat, m.Type)
			out = append(out, m.Context)
		}
		g.wire = nil
		return out
	}
	leader.Tick()
	require.Equal(t, [][]byte{nil, nil}, contexts())
	leader.ReadIndex([]byte("user's own"))
	require.Equal(t, [][]byte{number(1), number(1)}, contexts())
	leader.ReadIndex([]byte("user's own"))
	leader.ReadIndex([]byte("user's own"))
	require.Equal(t, [][]byte{number(3), number(3)}, contexts(), "one round for both")
	require.NoError(t, leader.Step(echo(2, 2, number(2))))
	leader.Tick()
	require.Equal(t, [][]byte{number(3), number(3)}, contexts(), "two are confirmed, one waits")
	require.NoError(t, leader.Step(echo(3, 2, number(3))))
	leader.Tick()
	require.Equal(t, [][]byte{nil, nil}, contexts())

	for _, context := range [][]byte{nil, {1}, number(77), make([]byte, 16), []byte("anything at all")} {
		require.NoError(t, g.get(2).Step(pb.Message{Type: pb.MsgHeartbeat, From: 1, To: 2, Term: 2, Context: context}))
		g.handle(g.get(2))
		require.Len(t, g.wire, 1)
		require.Equal(t, context, g.wire[0].Context)
		g.wire = nil
	}
}

// A Context that is no number, or a number above the newest read, is ignored.
func TestForeignContextsConfirmNothing(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	leader := g.get(1)
	leader.ReadIndex([]byte("12345678"))
	for _, context := range [][]byte{nil, {}, {1}, number(1)[:7], append(number(1), 0), make([]byte, 16),
		[]byte("12345678"), number(0), number(2), number(1 << 63), number(^uint64(0))} {
		require.NoError(t, leader.Step(echo(2, 2, context)))
		g.handle(leader)
		require.Empty(t, leader.reads, "%x", context)
	}
	require.NoError(t, leader.Step(echo(2, 2, number(1))))
	g.handle(leader)
	require.Equal(t, []string{"12345678"}, leader.requests())
}

// A single voter answers at once: it is a quorum.
func TestSingleVoterAnswersReadsAtOnce(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}})
	g.elect(1)
	g.isolate(2)
	g.get(1).ReadIndex([]byte("r"))
	rd := g.get(1).Ready()
	require.Equal(t, []raft.ReadState{{Index: 2, RequestCtx: []byte("r")}}, rd.ReadStates)
	require.Empty(t, rd.Messages)
	g.get(1).Advance(rd)
	g.heal()
	g.get(2).ReadIndex([]byte("from the learner"))
	g.settle()
	require.Equal(t, []string{"from the learner"}, g.get(2).requests())
}

// newLeaderWithoutCommit makes 1 leader while nobody acknowledges its entries.
func newLeaderWithoutCommit(t *testing.T) *group {
	g := newGroup(t, 3)
	g.lose = isType(pb.MsgAppResp)
	g.elect(1)
	require.Equal(t, uint64(1), g.get(1).BasicStatus().Commit)
	return g
}

// Reads that come before an entry of the leader's term is committed wait for that, since an earlier
// leader may have committed more; then they share a round (thesis 6.4, scenario B31).
func TestReadsBeforeTheFirstCommitWait(t *testing.T) {
	g := newLeaderWithoutCommit(t)
	g.get(1).ReadIndex([]byte("a"))
	g.get(3).ReadIndex([]byte("b"))
	g.get(1).ReadIndex([]byte("c"))
	g.ticks(5, 1)
	require.Empty(t, g.get(1).reads)
	require.Empty(t, g.get(3).reads)

	rounds := 0
	g.lose = func(m pb.Message) bool {
		if m.Type == pb.MsgHeartbeat && m.To == 2 && len(m.Context) == 8 {
			rounds++
			require.Equal(t, number(3), m.Context)
		}
		return false
	}
	g.ticks(1, 1)
	require.Equal(t, []string{"a", "c"}, g.get(1).requests())
	require.Equal(t, []string{"b"}, g.get(3).requests())
	require.GreaterOrEqual(t, g.get(1).reads[0].Index, uint64(2), "an entry of its term")
	require.Equal(t, 1, rounds)
}

// Reads die with the leadership that took them, whether they waited for a commit or for a quorum
// (scenario B31).
func TestReadsDieWithTheLeadership(t *testing.T) {
	for name, before := range map[string]bool{"before the first commit": true, "after it": false} {
		g := newGroup(t, 3)
		if before {
			g = newLeaderWithoutCommit(t)
		} else {
			g.elect(1)
		}
		g.lose = func(m pb.Message) bool { return m.From == 1 || m.To == 1 }
		g.get(1).ReadIndex([]byte("old"))
		g.settle()
		g.elect(2)
		g.lose = nil
		g.ticks(3, 1, 2, 3)
		require.Equal(t, raft.StateFollower, state(g, 1), name)
		g.elect(1)
		g.ticks(3, 1, 2, 3)
		require.Empty(t, g.get(1).reads, name)
		g.get(1).ReadIndex([]byte("new"))
		g.settle()
		require.Equal(t, []string{"new"}, g.get(1).requests(), name)
	}
}

// Reads that wait are bounded; the one too many is refused with an error (scenario B31).
func TestWaitingReadsAreBounded(t *testing.T) {
	const bound = 1 << 16
	read := pb.Message{Type: pb.MsgReadIndex, Entries: []pb.Entry{{Data: []byte("r")}}}
	for name, lost := range map[string]pb.MessageType{
		"before the first commit": pb.MsgAppResp, "after it": pb.MsgHeartbeatResp,
	} {
		g := newGroup(t, 3)
		g.lose = isType(lost)
		g.elect(1)
		for i := 0; i < bound; i++ {
			require.NoError(t, g.get(1).Step(read))
		}
		require.ErrorIs(t, g.get(1).Step(read), raft.ErrTooManyReads, name)
		g.get(1).ReadIndex([]byte("dropped"))

		g.lose = nil
		require.NoError(t, g.get(1).Propose([]byte("x")))
		g.ticks(1, 1)
		require.Len(t, g.get(1).reads, bound, name)
		require.NoError(t, g.get(1).Step(read), "there is room again")
	}
}

// Reads do not keep a transfer alive: it ends after one election timeout (scenario B35).
func TestReadsDoNotKeepATransferAlive(t *testing.T) {
	g := newGroup(t, 3, checkQuorum)
	g.elect(1)
	g.isolate(3)
	g.get(1).TransferLeader(3)
	for i := 0; i < 10; i++ {
		require.Equal(t, uint64(3), g.get(1).BasicStatus().LeadTransferee)
		require.ErrorIs(t, g.get(1).Propose([]byte("x")), raft.ErrProposalDropped)
		g.get(1).ReadIndex([]byte("r"))
		g.ticks(1, 1)
	}
	require.Zero(t, g.get(1).BasicStatus().LeadTransferee)
	require.NoError(t, g.get(1).Propose([]byte("x")))
	require.Len(t, g.get(1).reads, 10)
}

// With leases a read is answered at once while a quorum has answered lately, also for followers; the
// leader's first ones wait for a commit of its term as ever (thesis 6.4.1, scenario B31).
func TestLeaseAnswersReadsWithoutARound(t *testing.T) {
	lease := func(c *raft.Config) { c.CheckQuorum, c.ReadOnlyOption = true, raft.ReadOnlyLeaseBased }
	g := newGroup(t, 3, lease)
	g.lose = isType(pb.MsgAppResp)
	g.ticks(10, 2, 3) // they may have promised something before they started
	g.ticks(12, 1)
	require.Equal(t, raft.StateLeader, state(g, 1))
	g.get(1).ReadIndex([]byte("early"))
	g.settle()
	require.Empty(t, g.get(1).reads)
	g.lose = nil
	require.NoError(t, g.get(1).Propose([]byte("x")))
	g.ticks(2, 1)
	require.Equal(t, []string{"early"}, g.get(1).requests())

	g.get(1).ReadIndex([]byte("own"))
	rd := g.get(1).Ready()
	require.Equal(t, "own", string(rd.ReadStates[0].RequestCtx))
	require.Empty(t, rd.Messages)
	g.get(1).Advance(rd)
	g.lose = isType(pb.MsgHeartbeat)
	g.get(2).ReadIndex([]byte("forwarded"))
	g.settle()
	require.Equal(t, []string{"forwarded"}, g.get(2).requests())
}
