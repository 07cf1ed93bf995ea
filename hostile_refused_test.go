package raft_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// What a member can only refuse when it compares a message with its own log and configuration is refused
// before the term gate, like what is wrong in itself: nothing changes, not even the term (D1).

// refusal is a message that contradicts what the members of settled know.
type refusal struct {
	name, field string
	m           pb.Message
	log         bool // it contradicts the log, whose terms a member looks up only as far as it remembers them
}

func refusals() []refusal {
	snap := func(conf pb.ConfState) *pb.Snapshot {
		return &pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: 9, Term: 2, ConfState: conf}}
	}
	var all []refusal
	add := func(name, field string, m pb.Message) {
		log := m.Type == pb.MsgApp && m.Index > 0 || m.Snapshot != nil && m.Snapshot.Metadata.Index == 4
		all = append(all, refusal{name, field, m, log})
	}
	for _, ents := range [][]pb.Entry{nil, {{}, {}}} {
		add("answer to no read", "Entries", pb.Message{Type: pb.MsgReadIndexResp, From: 3, Index: 4, Entries: ents})
	}
	for name, conf := range map[string]pb.ConfState{
		"a voter that learns":         {Voters: []uint64{1, 2, 3}, Learners: []uint64{3}},
		"a waiting learner, waiting":  {Voters: []uint64{1, 2, 3}, Learners: []uint64{4}, VotersOutgoing: []uint64{1, 2, 4}},
		"the same voter twice":        {Voters: []uint64{1, 2, 3, 3}},
		"no voter but the ID 0":       {Voters: []uint64{0}, Learners: []uint64{1, 2, 3, 4}},
		"a storage thread that votes": {Voters: []uint64{1, 2, raft.LocalAppendThread}},
		"one that learns":             {Voters: []uint64{1, 2, 3}, Learners: []uint64{raft.LocalApplyThread}},
		"one that voted":              {Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{raft.LocalApplyThread}},
		"one that is to learn": {Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{1, raft.LocalApplyThread},
			LearnersNext: []uint64{raft.LocalApplyThread}},
	} {
		add("snapshot with "+name, "Snapshot.Metadata.ConfState", pb.Message{Type: pb.MsgSnap, From: 3, Snapshot: snap(conf)})
	}
	add("snapshot of another committed entry", "Snapshot.Metadata.Term", pb.Message{Type: pb.MsgSnap, From: 3,
		Snapshot: &pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: 4, Term: 3,
			ConfState: pb.ConfState{Voters: []uint64{1, 2, 3, 4}}}}})
	add("append of another committed entry", "Entries[0].Term", pb.Message{Type: pb.MsgApp, From: 3, Index: 2, LogTerm: 2,
		Entries: []pb.Entry{{Term: 3, Index: 3}}})
	add("append of another one behind a true one", "Entries[1].Term", pb.Message{Type: pb.MsgApp, From: 3, Index: 2, LogTerm: 2,
		Entries: []pb.Entry{{Term: 2, Index: 3}, {Term: 3, Index: 4}}})
	add("append behind another committed entry", "LogTerm", pb.Message{Type: pb.MsgApp, From: 3, Index: 3, LogTerm: 1})
	add("append behind another last committed entry", "LogTerm", pb.Message{Type: pb.MsgApp, From: 3, Index: 4, LogTerm: 3,
		Entries: []pb.Entry{{Term: 3, Index: 5}}})
	add("append of an entry of term 0", "Entries[0].Term", pb.Message{Type: pb.MsgApp, From: 3, Entries: []pb.Entry{{Index: 1}}})
	return all
}

func TestWhatContradictsAMemberIsRefusedBeforeItsTermCounts(t *testing.T) {
	for _, s := range subjects() {
		g := s.make(t)
		m := g.get(s.id)
		before := picture(m)
		for _, c := range refusals() {
			if c.log && s.restarted {
				continue
			}
			for _, later := range []uint64{3, 9} {
				c.m.To, c.m.Term = s.id, later
				if s.id == 3 {
					c.m.From = 2
				}
				err := m.Step(c.m)
				require.ErrorIs(t, err, raft.ErrBadMessage, "%s at the %s", c.name, s.name)
				require.ErrorContains(t, err, " "+c.field+" is ", "%s at the %s", c.name, s.name)
				require.NotContains(t, err.Error(), "from 0:")
				require.Equal(t, before, picture(m), "%s at the %s", c.name, s.name)
			}
		}
	}
}

// A heartbeat of a later term that tells of entries that are not here is an event, and the member is silent
// until they are; its term does not count (D4). A candidate gives up, or it could win without them.
func TestHeartbeatBeyondTheLogRaisesNoTerm(t *testing.T) {
	for _, s := range subjects() {
		g := s.make(t)
		m := g.get(s.id)
		before := m.BasicStatus()
		err := m.Step(pb.Message{Type: pb.MsgHeartbeat, From: 5 - s.id, To: s.id, Term: 9, Commit: 50})
		require.ErrorIs(t, err, raft.ErrBadMessage)
		require.ErrorContains(t, err, " Commit is 50")
		require.Equal(t, raft.StateFollower, state(g, s.id), s.name)
		require.Equal(t, []raft.Event{raft.LostDurableState{Leader: 5 - s.id, Term: 9, Commit: 50, LastIndex: 4}}, m.events)
		if before.RaftState == raft.StateFollower {
			require.Equal(t, before, m.BasicStatus(), s.name)
		}
		g.emit(s.id)
		require.NoError(t, m.Campaign())
		require.Equal(t, raft.StateFollower, state(g, s.id), "it is silent")
	}
}

// Of a deposed leader the same is no lie: what it had not committed another leader may have replaced. It
// hears of the later term.
func TestOldLeadersAppendIsAnsweredNotRefused(t *testing.T) {
	g := newGroup(t, 3, checkQuorum)
	g.elect(1)
	g.isolate(1)
	g.propose(1, "never committed")
	stale := pb.Message{Type: pb.MsgApp, From: 1, To: 3, Term: 2, Index: 2, LogTerm: 2,
		Entries: []pb.Entry{{Term: 2, Index: 3, Data: []byte("never committed")}}}
	g.ticks(30, 2, 3)
	g.commit(g.leader(), "x")
	require.NoError(t, g.get(3).Step(stale))
	answers := sentTo(g.emit(3), 1)
	require.Equal(t, []pb.MessageType{pb.MsgAppResp}, types(answers))
	require.Greater(t, answers[0].Term, stale.Term)
}

// A new leader's append that replaces what was never committed is as normal as it is frequent, in
// whatever term it arrives first.
func TestAppendThatReplacesWhatIsNotCommittedIsTaken(t *testing.T) {
	for _, term := range []uint64{2, 3, 9} {
		g := newGroup(t, 3)
		g.elect(1)
		g.isolate(2)
		m := g.get(2)
		m.Tick()
		require.NoError(t, m.Step(pb.Message{Type: pb.MsgApp, From: 1, To: 2, Term: 2, Index: 2, LogTerm: 2,
			Entries: []pb.Entry{{Term: 2, Index: 3, Data: []byte("old")}, {Term: 2, Index: 4}}}))
		g.emit(2)
		require.NoError(t, m.Step(pb.Message{Type: pb.MsgApp, From: 3, To: 2, Term: max(term, 3), Index: 2, LogTerm: 2,
			Commit: 3, Entries: []pb.Entry{{Term: max(term, 3), Index: 3, Data: []byte("new")}}}))
		g.emit(2)
		require.Equal(t, []string{"new"}, m.values())
	}
}

// Nobody but the member itself can say that it has acknowledged or granted something to itself: with
// synchronous writes by Advance, and otherwise by a Response, which never refuses.
func TestAnswersInTheMembersOwnNameAreRefused(t *testing.T) {
	for _, opts := range [][]option{nil, {async}} {
		g := newGroup(t, 3, opts...)
		g.elect(1)
		g.commit(1, "a")
		m := g.get(1)
		require.NoError(t, m.Propose([]byte("not durable")))
		before := picture(m)
		for _, typ := range []pb.MessageType{pb.MsgAppResp, pb.MsgVoteResp, pb.MsgPreVoteResp} {
			for _, reject := range []bool{true, false} {
				if len(opts) > 0 && !reject {
					continue // it cannot be told from the member's own
				}
				for _, later := range []uint64{2, 9} {
					err := m.Step(pb.Message{Type: typ, From: 1, To: 1, Term: later, Index: 4, Reject: reject})
					require.ErrorIs(t, err, raft.ErrBadMessage)
					require.ErrorContains(t, err, " From is 1")
				}
			}
		}
		require.Equal(t, before, picture(m))
	}
}

// A snapshot that ends before what this member has compacted is old, and nothing else: there is no entry
// left to compare it with, and it must not take the log back (B70).
func TestOldSnapshotOfWhatIsCompactedChangesNothing(t *testing.T) {
	for _, opts := range [][]option{nil, {mirror}} {
		g := newGroup(t, 3, opts...)
		g.elect(1)
		g.commit(1, "a", "b", "c")
		g.compact(2)
		m := g.restart(2, opts...) // it no longer remembers terms of what is gone
		g.emit(2)
		before := picture(m)
		require.NoError(t, m.Step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 2, Snapshot: &pb.Snapshot{
			Metadata: pb.SnapshotMetadata{Index: 3, Term: 2, ConfState: m.conf}}}))
		answers := g.emit(2)
		require.Len(t, answers, 1)
		require.Equal(t, uint64(5), answers[0].Index)
		require.Equal(t, uint64(5), g.commitOf(2))
		require.Equal(t, uint64(5), m.BasicStatus().Applied)
		require.Contains(t, before, fmt.Sprint(m.entries()))
	}
}
