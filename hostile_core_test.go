package raft_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// A completion vouches only for what was handed out. When somebody lies in the leader's name, an entry may
// be replaced while one after it stays the same, and the report on the older write must not pass the
// new one off as durable: it would never be written.
func TestCompletionDoesNotVouchForWhatWasNotHandedOut(t *testing.T) {
	g := newGroup(t, 3, async)
	m, s := g.get(3), g.slow(3)
	app := func(terms ...uint64) pb.Message {
		msg := pb.Message{Type: pb.MsgApp, From: 2, To: 3, Term: 2, Index: 1, LogTerm: 1}
		for i, term := range terms {
			msg.Entries = append(msg.Entries, pb.Entry{Index: uint64(i) + 2, Term: term})
		}
		return msg
	}
	require.NoError(t, m.Step(app(1, 2)))
	s.gather()
	require.NoError(t, m.Step(app(2, 2)))
	g.respond(m, s.write())
	g.handle(m)
	for i := uint64(2); i <= 3; i++ {
		term, err := m.store.Term(i)
		require.NoError(t, err)
		require.Equal(t, uint64(2), term, "entry %d in storage", i)
	}
}

// A configuration change that names a storage thread of every member is skipped by all of them, like any
// other that cannot be.
func TestChangesThatNameStorageThreadsAreSkipped(t *testing.T) {
	for _, id := range []uint64{raft.LocalAppendThread, raft.LocalApplyThread} {
		g := newGroup(t, 3)
		m := g.get(3)
		data, err := (&pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: id}).Marshal()
		require.NoError(t, err)
		require.NoError(t, m.Step(pb.Message{Type: pb.MsgApp, From: 2, To: 3, Term: 2, Index: 1, LogTerm: 1, Commit: 2,
			Entries: []pb.Entry{{Index: 2, Term: 2, Type: pb.EntryConfChange, Data: data}}}))
		g.emit(3)
		require.Equal(t, []uint64{1, 2, 3}, m.conf.Voters)
		require.Len(t, m.events, 1)
		require.IsType(t, raft.ConfChangeSkipped{}, m.events[0])
	}
}

// A snapshot that names very many members, in any order, takes time in proportion to their number.
func TestSnapshotOfManyMembersDoesNotTakeForEver(t *testing.T) {
	const n = 20_000
	conf := pb.ConfState{}
	for id := uint64(n); id >= 1; id-- {
		conf.Voters = append(conf.Voters, id*7919%1_000_003)
	}
	g := newGroup(t, 3)
	start := time.Now()
	_ = g.get(3).Step(pb.Message{Type: pb.MsgSnap, From: 2, To: 3, Term: 2,
		Snapshot: &pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: 9, Term: 2, ConfState: conf}}})
	require.Less(t, time.Since(start), 10*time.Second) // it was minutes
}
