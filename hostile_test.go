package raft_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Messages that no correct member sends. None of them panics, loses state or loops: what cannot be true
// is an error that names the field and changes nothing (D1).

const huge = math.MaxUint64

// subject is a member in some role, in a group with a little history: terms 1 and 2, four entries.
type subject struct {
	name      string
	id        uint64
	make      func(t *testing.T) *group
	restarted bool
}

func settled(t *testing.T) *group {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}})
	g.elect(1)
	g.commit(1, "a", "b")
	return g
}

func subjects() []subject {
	campaigns := func(opts ...option) func(t *testing.T) *group {
		return func(t *testing.T) *group {
			g := settled(t)
			g.restart(3, opts...)
			require.NoError(t, g.get(3).Campaign())
			g.emit(3)
			return g
		}
	}
	return []subject{
		{"leader", 1, settled, false},
		{"follower", 2, settled, false},
		{"candidate", 3, campaigns(), true},
		{"preCandidate", 3, campaigns(preVote), true},
		{"learner", 4, settled, false},
	}
}

// picture is all that can be seen of a member.
func picture(m *member) string {
	hard, conf, _ := m.store.InitialState()
	return fmt.Sprintf("%v %v %v %v %v %v", m.Status(), hard, conf, m.entries(), m.HasReady(), len(m.reads))
}

// Whatever is impossible about a message, in whatever role it arrives, is an error that names the field,
// and the member is as it was (D1, B50, hostile messages).
func TestImpossibleMessagesAreRefusedAndChangeNothing(t *testing.T) {
	app := func(change func(*pb.Message)) pb.Message {
		m := pb.Message{Type: pb.MsgApp, From: 1, Term: 2, Index: 4, LogTerm: 2, Commit: 4,
			Entries: []pb.Entry{{Term: 2, Index: 5}, {Term: 2, Index: 6}}}
		change(&m)
		return m
	}
	snap := func(change func(*pb.SnapshotMetadata)) pb.Message {
		meta := pb.SnapshotMetadata{Index: 9, Term: 2, ConfState: pb.ConfState{Voters: []uint64{1, 2, 3, 4}}}
		change(&meta)
		return pb.Message{Type: pb.MsgSnap, From: 1, Term: 2, Snapshot: &pb.Snapshot{Metadata: meta}}
	}
	cases := []struct {
		name  string
		m     pb.Message
		field string
	}{
		{"unknown type", pb.Message{Type: 24, From: 1, Term: 2}, "Type"},
		{"unknown type, far", pb.Message{Type: math.MaxInt32, From: 1, Term: 2}, "Type"},
		{"negative type", pb.Message{Type: -1, From: 1, Term: 2}, "Type"},
		{"most negative type", pb.Message{Type: math.MinInt32, From: 1, Term: 2}, "Type"},

		{"append with a gap", app(func(m *pb.Message) { m.Entries[1].Index = 7 }), "Entries[1].Index"},
		{"append that repeats", app(func(m *pb.Message) { m.Entries[1].Index = 5 }), "Entries[1].Index"},
		{"append that starts elsewhere", app(func(m *pb.Message) { m.Entries[0].Index = 4 }), "Entries[0].Index"},
		{"append from nowhere (B48)", app(func(m *pb.Message) { m.Index, m.LogTerm = 0, 0 }), "Entries[0].Index"},
		{"append of a higher term", app(func(m *pb.Message) { m.Entries[1].Term = 9 }), "Entries[1].Term"},
		{"append with falling terms", app(func(m *pb.Message) { m.Entries[1].Term = 1 }), "Entries[1].Term"},
		{"append below the previous term", app(func(m *pb.Message) { m.Entries[0].Term = 1 }), "Entries[0].Term"},
		{"append behind a later term", app(func(m *pb.Message) { m.LogTerm = 3 }), "LogTerm"},
		{"append that wraps", app(func(m *pb.Message) { m.Index = huge - 1 }), "Index"},
		{"append that ends at the limit", app(func(m *pb.Message) { m.Index, m.Entries = huge, nil }), "Index"},

		{"snapshot without one", pb.Message{Type: pb.MsgSnap, From: 1, Term: 2}, "Snapshot"},
		{"snapshot at 0", snap(func(m *pb.SnapshotMetadata) { m.Index = 0 }), "Snapshot.Metadata.Index"},
		{"snapshot at the limit", snap(func(m *pb.SnapshotMetadata) { m.Index = huge }), "Snapshot.Metadata.Index"},
		{"snapshot of term 0", snap(func(m *pb.SnapshotMetadata) { m.Term = 0 }), "Snapshot.Metadata.Term"},
		{"snapshot of a higher term", snap(func(m *pb.SnapshotMetadata) { m.Term = 3 }), "Snapshot.Metadata.Term"},
		{"snapshot without voters", snap(func(m *pb.SnapshotMetadata) { m.ConfState = pb.ConfState{Learners: []uint64{2}} }),
			"Snapshot.Metadata.ConfState.Voters"},

		{"proposal of a term", pb.Message{Type: pb.MsgProp, From: 2, Term: 2, Entries: []pb.Entry{{}}}, "Term"},
		{"read of a term", pb.Message{Type: pb.MsgReadIndex, From: 2, Term: 1, Entries: []pb.Entry{{}}}, "Term"},
		{"vote of term 0", pb.Message{Type: pb.MsgVote, From: 2}, "Term"},
		{"pre-vote of term 0", pb.Message{Type: pb.MsgPreVote, From: 2}, "Term"},
		{"heartbeat of term 0", pb.Message{Type: pb.MsgHeartbeat, From: 2}, "Term"},
		{"append of term 0", pb.Message{Type: pb.MsgApp, From: 2}, "Term"},
	}
	for _, typ := range []pb.MessageType{pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap, pb.MsgVote, pb.MsgPreVote,
		pb.MsgTimeoutNow, pb.MsgHeartbeatResp, pb.MsgAppResp, pb.MsgVoteResp, pb.MsgPreVoteResp, pb.MsgReadIndexResp} {
		cases = append(cases, struct {
			name  string
			m     pb.Message
			field string
		}{"last term " + typ.String(), pb.Message{Type: typ, From: 2, Term: huge}, "Term"})
	}
	for _, s := range subjects() {
		g := s.make(t)
		m := g.get(s.id)
		before := picture(m)
		for _, c := range cases {
			for _, higher := range []uint64{0, 7} { // also as a message of a later term
				msg := c.m
				msg.To = s.id
				if msg.From == s.id {
					msg.From = 2
				}
				if msg.Term == 2 && msg.Type != pb.MsgProp && c.field != "LogTerm" {
					msg.Term += higher
				}
				if msg.From == s.id && higher > 0 || c.field == "Entries[1].Term" && higher > 0 ||
					c.field == "Snapshot.Metadata.Term" && higher > 0 {
					continue // possible, in a later term
				}
				err := m.Step(msg)
				if s.id == 2 && msg.From == 2 && msg.Type != pb.MsgProp && msg.Type != pb.MsgReadIndex {
					require.Error(t, err, c.name) // it is self-addressed besides
				} else {
					require.ErrorIs(t, err, raft.ErrBadMessage, "%s at the %s", c.name, s.name)
					require.ErrorContains(t, err, " "+c.field+" is ", "%s at the %s", c.name, s.name)
				}
				require.Equal(t, before, picture(m), "%s at the %s", c.name, s.name)
			}
		}
		require.Empty(t, m.events)
	}
}

// Messages that only another member sends, and that name this one or nobody as their sender, are refused.
func TestSelfAddressedMessagesAreRefused(t *testing.T) {
	for _, s := range subjects() {
		for _, typ := range []pb.MessageType{pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap, pb.MsgVote, pb.MsgPreVote,
			pb.MsgTimeoutNow, pb.MsgHeartbeatResp} {
			for _, from := range []uint64{s.id, raft.None, raft.LocalAppendThread, raft.LocalApplyThread} {
				g := s.make(t)
				m := g.get(s.id)
				before := picture(m)
				for term := uint64(1); term < 5; term++ {
					msg := pb.Message{Type: typ, From: from, To: s.id, Term: term, Index: 4, LogTerm: 1}
					require.Error(t, m.Step(msg), "%s from %d at the %s", typ, from, s.name)
				}
				require.Equal(t, before, picture(m), "%s from %d at the %s", typ, from, s.name)
			}
		}
	}
}

// A proposal, a read and a transfer that name the receiver as their sender are its own: they are taken or
// passed on, and nothing is ever sent to oneself.
func TestOwnRequestsOverTheNetworkDoNotLoop(t *testing.T) {
	for _, s := range subjects() {
		g := s.make(t)
		m := g.get(s.id)
		for _, typ := range []pb.MessageType{pb.MsgProp, pb.MsgReadIndex, pb.MsgTransferLeader} {
			_ = m.Step(pb.Message{Type: typ, From: s.id, To: s.id, Entries: []pb.Entry{{Data: []byte("own")}}})
		}
		for _, msg := range g.emit(s.id) {
			require.NotEqual(t, s.id, msg.To)
			g.wire = append(g.wire, msg)
		}
		g.settle()
	}
}

// Requests without entries are refused: there is nothing to append, and no context to answer.
func TestRequestsWithoutEntriesAreRefused(t *testing.T) {
	for _, id := range []uint64{1, 2} {
		g := settled(t)
		m := g.get(id)
		before := picture(m)
		for _, typ := range []pb.MessageType{pb.MsgProp, pb.MsgReadIndex} {
			err := m.Step(pb.Message{Type: typ, From: 3, To: id})
			require.ErrorIs(t, err, raft.ErrBadMessage)
			require.ErrorContains(t, err, " Entries is ")
		}
		if id == 2 {
			for _, ents := range [][]pb.Entry{nil, {{}, {}}} {
				err := m.Step(pb.Message{Type: pb.MsgReadIndexResp, From: 1, To: id, Term: 2, Entries: ents})
				require.ErrorIs(t, err, raft.ErrBadMessage)
				require.ErrorContains(t, err, " Entries is ")
			}
		}
		require.Equal(t, before, picture(m))
	}
}

// A forwarded proposal whose configuration change cannot be read is refused as a whole.
func TestGarbageConfChangeIsRefused(t *testing.T) {
	for _, typ := range []pb.EntryType{pb.EntryConfChange, pb.EntryConfChangeV2} {
		g := settled(t)
		before := picture(g.get(1))
		for _, data := range [][]byte{{0xff}, {0x12, 0xff, 0xff, 0xff, 0x0f}, []byte("garbage")} {
			err := g.get(1).Step(pb.Message{Type: pb.MsgProp, From: 2, To: 1,
				Entries: []pb.Entry{{Data: []byte("x")}, {Type: typ, Data: data}}})
			require.ErrorIs(t, err, raft.ErrBadMessage)
			require.ErrorContains(t, err, "Entries[1].Data")
			require.Equal(t, before, picture(g.get(1)))
		}
		require.NoError(t, g.change(1, "l9", auto), "the gate is open")
	}
}

// An acknowledgement of entries that the leader does not have is refused.
func TestAckBeyondTheLogIsRefused(t *testing.T) {
	g := settled(t)
	before := picture(g.get(1))
	for _, index := range []uint64{5, 100, huge - 1, huge} {
		err := g.get(1).Step(pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: index})
		require.ErrorIs(t, err, raft.ErrBadMessage)
		require.ErrorContains(t, err, " Index is ")
	}
	require.Equal(t, before, picture(g.get(1)))
}

// A refusal with numbers that make no sense moves the leader no further back than what was acknowledged.
func TestSenselessRefusalsDoNoHarm(t *testing.T) {
	g := settled(t)
	values := []uint64{0, 1, 3, 4, 5, 100, huge - 1, huge}
	for _, index := range values {
		for _, hint := range values {
			for _, logTerm := range values {
				for _, probing := range []bool{false, true} {
					if probing {
						g.get(1).ReportUnreachable(2)
					}
					require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2,
						Reject: true, Index: index, RejectHint: hint, LogTerm: logTerm}))
					pr := g.progress(1, 2)
					require.Equal(t, uint64(4), pr.Match)
					require.Equal(t, uint64(5), pr.Next)
					g.emit(1)
				}
			}
		}
	}
	g.ticks(2, 1)
	g.commit(1, "x")
	g.requireSame(1, 2, 3, 4)
}

// Votes with a log position that makes no sense are answered or ignored.
func TestSenselessVoteRequestsDoNoHarm(t *testing.T) {
	for _, s := range subjects() {
		for _, typ := range []pb.MessageType{pb.MsgVote, pb.MsgPreVote, pb.MsgVoteResp, pb.MsgPreVoteResp} {
			for _, v := range []uint64{0, 1, huge - 1, huge} {
				g := s.make(t)
				_ = g.get(s.id).Step(pb.Message{Type: typ, From: 5 - s.id, To: s.id, Term: 6, Index: v, LogTerm: v,
					Commit: v, RejectHint: v, Reject: v == 1, Context: []byte("CampaignTransfer")})
				require.Equal(t, uint64(4), g.commitOf(s.id))
				g.emit(s.id)
				g.ticks(40, 1, 2, 3, 4)
				require.NotEqual(t, raft.None, g.leader())
			}
		}
	}
}

// A heartbeat's answer whose context is no read number confirms no read (hostile messages).
func TestOddHeartbeatContextsConfirmNothing(t *testing.T) {
	g := settled(t)
	g.get(1).ReadIndex([]byte("r"))
	g.emit(1)
	for n := 0; n < 20; n++ {
		context := make([]byte, n)
		for i := range context {
			context[i] = 0xff
		}
		for _, from := range []uint64{2, 3, 4} {
			require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgHeartbeatResp, From: from, To: 1, Term: 2, Context: context}))
		}
	}
	g.emit(1)
	require.Empty(t, g.get(1).reads)
	g.ticks(1, 1)
	require.Len(t, g.get(1).reads, 1)
}

// An append of the present leader that contradicts what is committed here is refused (thesis 3.6.3).
func TestAppendThatContradictsACommittedEntryIsRefused(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.commit(1, "a", "b")
	g.elect(2)
	g.commit(2, "c")
	before := picture(g.get(3))
	err := g.get(3).Step(pb.Message{Type: pb.MsgApp, From: 2, To: 3, Term: 3, Index: 2, LogTerm: 2,
		Entries: []pb.Entry{{Term: 3, Index: 3}}})
	require.ErrorIs(t, err, raft.ErrBadMessage)
	require.ErrorContains(t, err, "Entries[0].Term")
	require.Equal(t, before, picture(g.get(3)))
}

// A snapshot whose configuration contradicts itself is refused.
func TestSnapshotWithAContradictoryConfigurationIsRefused(t *testing.T) {
	g := settled(t)
	before := picture(g.get(2))
	err := g.get(2).Step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 2, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 9, Term: 2, ConfState: pb.ConfState{Voters: []uint64{2}, Learners: []uint64{2}}}}})
	require.ErrorIs(t, err, raft.ErrBadMessage)
	require.ErrorContains(t, err, "ConfState")
	require.Equal(t, before, picture(g.get(2)))
}

// A heartbeat tells of committed entries that this log does not have: they were here, and are lost. The
// host is told, commit stays, and until the log is back at that index the member neither votes nor
// campaigns; nothing panics (B36, D4).
func TestLostEntriesAreAnEventAndSilenceTheMember(t *testing.T) {
	for name, opts := range map[string][]option{"plain": nil, "preVote": {preVote, checkQuorum}, "mirror": {mirror}} {
		opts := opts
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3, opts...)
			g.elect(1)
			g.commit(1, "a", "b", "c")
			hard, _, _ := g.get(3).store.InitialState()
			wiped := g.add(3, g.get(3).conf, opts...) // the disk is back at an old state, of the same term
			hard.Commit, hard.Vote = 1, 0
			require.NoError(t, wiped.store.SetHardState(hard))
			wiped = g.start(3, wiped.store, opts...)

			beat := pb.Message{Type: pb.MsgHeartbeat, From: 1, To: 3, Term: 2, Commit: 5}
			for i := 0; i < 3; i++ {
				err := wiped.Step(beat)
				require.ErrorIs(t, err, raft.ErrBadMessage)
				require.ErrorContains(t, err, " Commit is 5")
			}
			require.Equal(t, []raft.Event{raft.LostDurableState{Leader: 1, Term: 2, Commit: 5, LastIndex: 1}},
				wiped.events, "told once")
			require.Equal(t, uint64(1), g.commitOf(3))

			for i := 0; i < 50; i++ {
				wiped.Tick()
			}
			require.NoError(t, wiped.Campaign())
			require.NoError(t, wiped.Step(pb.Message{Type: pb.MsgTimeoutNow, From: 1, To: 3, Term: 2}))
			require.Equal(t, raft.StateFollower, state(g, 3))
			g.emit(3)
			for _, typ := range []pb.MessageType{pb.MsgVote, pb.MsgPreVote} {
				g.step(pb.Message{Type: typ, From: 2, To: 3, Term: 3, Index: 50, LogTerm: 2, Context: []byte("CampaignTransfer")})
				for _, answer := range g.emit(3) {
					require.True(t, answer.Reject)
				}
			}

			// The next leader brings the entries back, and the member takes part again.
			g.ticks(60, 1, 2)
			g.get(g.leader()).TransferLeader(3 - g.leader())
			g.settle()
			lead := g.leader()
			require.Contains(t, []uint64{1, 2}, lead)
			g.commit(lead, "d")
			g.ticks(3, lead)
			require.Equal(t, g.commitOf(lead), g.commitOf(3))
			g.ticks(30, 3)
			require.NoError(t, wiped.Campaign())
			require.NotEqual(t, raft.StateFollower, state(g, 3))
		})
	}
}

// A proposal, or a read, between two members that each take the other for the leader ends, and so does
// one that goes round in a ring (D11).
func TestForwardingLoopsEnd(t *testing.T) {
	ring := func(t *testing.T, opts ...option) *group {
		g := newGroup(t, 3, opts...)
		for id := uint64(1); id <= 3; id++ {
			g.step(pb.Message{Type: pb.MsgHeartbeat, From: id%3 + 1, To: id, Term: 1})
			g.emit(id)
		}
		return g
	}
	pair := func(t *testing.T, opts ...option) *group {
		g := newGroup(t, 3, opts...)
		g.step(pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 1}, pb.Message{Type: pb.MsgHeartbeat, From: 1, To: 2, Term: 1})
		g.emit(1)
		g.emit(2)
		return g
	}
	hops := func(g *group, limit int) int {
		n := 0
		for ; n < limit; n++ {
			g.handle(g.get(1))
			g.handle(g.get(2))
			g.handle(g.get(3))
			if len(g.wire) == 0 {
				break
			}
			g.deliver()
		}
		return n
	}
	for name, request := range map[string]func(*member){
		"proposal": func(m *member) { _ = m.Propose([]byte("x")) },
		"read":     func(m *member) { m.ReadIndex([]byte("x")) },
	} {
		g := pair(t)
		request(g.get(1))
		require.Equal(t, 1, hops(g, 100), name)
		g = ring(t)
		request(g.get(1))
		require.LessOrEqual(t, hops(g, 100), 10, name)
	}
	g := pair(t, mirror)
	g.propose(1, "x")
	require.Equal(t, 100, hops(g, 100), "v3.6.0 never stops")
}

// A proposal that says to have been passed on 2^64-1 times is no way round the limit.
func TestHopCountDoesNotWrap(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	require.NotPanics(t, func() {
		_ = g.get(2).Step(pb.Message{Type: pb.MsgProp, From: 3, To: 2, RejectHint: huge, Entries: []pb.Entry{{}}})
	})
	g.settle()
}

// A term close to the largest is adopted, as any; it never comes round to 0.
func TestTermNeverWraps(t *testing.T) {
	for _, opts := range [][]option{nil, {preVote}, {preVote, checkQuorum}} {
		g := newGroup(t, 3, opts...)
		m := g.get(1)
		require.NoError(t, m.Step(pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: huge - 3}))
		last := term(g, 1)
		for i := 0; i < 10; i++ {
			for k := 0; k < 20; k++ {
				m.Tick()
			}
			_ = m.Campaign()
			for _, from := range []uint64{2, 3} { // all that would win, or lose, whatever it campaigns for
				_ = m.Step(pb.Message{Type: pb.MsgPreVoteResp, From: from, To: 1, Term: term(g, 1) + 1})
				_ = m.Step(pb.Message{Type: pb.MsgVoteResp, From: from, To: 1, Term: term(g, 1), Reject: true})
			}
			g.emit(1)
			require.GreaterOrEqual(t, term(g, 1), last)
			last = term(g, 1)
		}
	}
}

// Messages that only this process makes are refused when a peer sends them.
func TestLocalMessagesOfAPeerAreRefused(t *testing.T) {
	for _, s := range subjects() {
		g := s.make(t)
		before := picture(g.get(s.id))
		for _, typ := range []pb.MessageType{pb.MsgHup, pb.MsgBeat, pb.MsgCheckQuorum, pb.MsgUnreachable, pb.MsgSnapStatus,
			pb.MsgStorageAppend, pb.MsgStorageAppendResp, pb.MsgStorageApply, pb.MsgStorageApplyResp} {
			require.ErrorIs(t, g.get(s.id).Step(pb.Message{Type: typ, From: 5 - s.id, Term: 2}), raft.ErrStepLocalMsg)
			data, err := (&pb.Message{Type: typ, From: 5 - s.id, Term: 2}).Marshal()
			require.NoError(t, err)
			require.Error(t, pb.UnmarshalPeer(data, new(pb.Message)))
		}
		require.Equal(t, before, picture(g.get(s.id)))
	}
}

// An answer of somebody who is not a member is refused.
func TestAnswersOfStrangersAreRefused(t *testing.T) {
	for _, s := range subjects() {
		g := s.make(t)
		before := picture(g.get(s.id))
		for _, typ := range []pb.MessageType{pb.MsgAppResp, pb.MsgHeartbeatResp, pb.MsgVoteResp, pb.MsgPreVoteResp,
			pb.MsgReadIndexResp} {
			err := g.get(s.id).Step(pb.Message{Type: typ, From: 77, To: s.id, Term: 9, Entries: []pb.Entry{{}}})
			require.ErrorIs(t, err, raft.ErrStepPeerNotFound)
		}
		require.Equal(t, before, picture(g.get(s.id)))
	}
}

// Each error of a call works with errors.Is and is one of those that are documented.
func TestErrorsAreToldApart(t *testing.T) {
	all := []error{raft.ErrProposalDropped, raft.ErrStepLocalMsg, raft.ErrStepPeerNotFound, raft.ErrStopped,
		raft.ErrHalted, raft.ErrBadMessage, raft.ErrTooManyReads, raft.ErrConfChangePending, raft.ErrMustLeaveJoint,
		raft.ErrNotJoint, raft.ErrCompacted, raft.ErrSnapOutOfDate, raft.ErrUnavailable,
		raft.ErrSnapshotTemporarilyUnavailable, raft.ErrConfig}
	for i, a := range all {
		for k, b := range all {
			require.Equal(t, i == k, errors.Is(a, b), "%v, %v", a, b)
		}
	}
}
