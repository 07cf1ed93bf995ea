package raft_test

import (
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// What the scenarios need of a group beyond letting everything happen at once.

// emit does all that a member wants done and returns the messages it sends, without delivering them.
func (g *group) emit(id uint64) []pb.Message {
	g.t.Helper()
	before := g.wire
	g.wire = nil
	g.handle(g.get(id))
	sent := g.wire
	g.wire = before
	return sent
}

// ready takes one Ready of a member with synchronous writes and hosts it, and returns it.
func (g *group) ready(id uint64) raft.Ready {
	g.t.Helper()
	m := g.get(id)
	rd := m.Ready()
	g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
	g.apply(m, rd.CommittedEntries)
	m.Advance(rd)
	return rd
}

// step delivers messages as if they came over the network. Those for nobody are lost.
func (g *group) step(msgs ...pb.Message) {
	g.t.Helper()
	for _, m := range msgs {
		if to := g.get(m.To); to != nil {
			require.NoError(g.t, to.Step(overWire(g.t, m)))
		}
	}
}

// propose proposes values, without letting anything happen.
func (g *group) propose(id uint64, values ...string) {
	g.t.Helper()
	for _, v := range values {
		require.NoError(g.t, g.get(id).Propose([]byte(v)))
	}
}

// commit proposes values one by one and lets each be replicated as far as it goes.
func (g *group) commit(id uint64, values ...string) {
	g.t.Helper()
	for _, v := range values {
		g.propose(id, v)
		g.settle()
	}
}

// progress is what a leader knows of a member.
func (g *group) progress(lead, id uint64) *tracker.Progress {
	g.t.Helper()
	pr, known := g.get(lead).Status().Progress[id]
	require.True(g.t, known, "%d does not know %d", lead, id)
	return &pr
}

func (g *group) commitOf(id uint64) uint64 { return g.get(id).BasicStatus().Commit }

// compact makes a snapshot of all that a member applied, and drops the log up to there.
func (g *group) compact(id uint64) uint64 {
	g.t.Helper()
	m := g.get(id)
	i := m.BasicStatus().Applied
	_, err := m.store.CreateSnapshot(i, &m.conf, []byte(fmt.Sprint("state at ", i)))
	require.NoError(g.t, err)
	require.NoError(g.t, m.store.Compact(i))
	return i
}

// entries returns the log that a member saved.
func (m *member) entries() []pb.Entry {
	first, _ := m.store.FirstIndex()
	last, _ := m.store.LastIndex()
	if first > last {
		return nil
	}
	ents, err := m.store.Entries(first, last+1, 1<<40)
	if err != nil {
		panic(err)
	}
	return ents
}

// terms returns the terms of the log that a member saved.
func (m *member) terms() []uint64 {
	var out []uint64
	for _, e := range m.entries() {
		out = append(out, e.Term)
	}
	return out
}

// withLog replaces a member by one whose log holds, from index 2 on, entries of the given terms.
func (g *group) withLog(id uint64, terms []uint64, opts ...option) *member {
	g.t.Helper()
	m := g.add(id, g.get(id).conf, opts...)
	hard := pb.HardState{Term: 1, Commit: 1}
	for i, term := range terms {
		data := []byte(fmt.Sprintf("%d at %d", term, i+2))
		require.NoError(g.t, m.store.Append([]pb.Entry{{Term: term, Index: uint64(i) + 2, Data: data}}))
		hard.Term = term
	}
	require.NoError(g.t, m.store.SetHardState(hard))
	return g.start(id, m.store, opts...)
}

// only returns the messages of one type.
func only(msgs []pb.Message, t pb.MessageType) []pb.Message {
	var out []pb.Message
	for _, m := range msgs {
		if m.Type == t {
			out = append(out, m)
		}
	}
	return out
}

// sentTo returns the messages for one member.
func sentTo(msgs []pb.Message, id uint64) []pb.Message {
	var out []pb.Message
	for _, m := range msgs {
		if m.To == id {
			out = append(out, m)
		}
	}
	return out
}

func types(msgs []pb.Message) []pb.MessageType {
	out := []pb.MessageType{}
	for _, m := range msgs {
		out = append(out, m.Type)
	}
	return out
}

// dataOf returns what entries carry.
func dataOf(ents []pb.Entry) []string {
	var out []string
	for _, e := range ents {
		out = append(out, string(e.Data))
	}
	return out
}

// ---- asynchronous writes that take their time

// slow is a member with asynchronous writes whose threads work when they are told to.
type slow struct {
	*member
	g      *group
	writes []pb.Message // for the log writer
	jobs   []pb.Message // for the state machine
}

func (g *group) slow(id uint64) *slow { return &slow{member: g.get(id), g: g} }

// gather takes all Readys: what is for the threads waits, and the rest is returned.
func (s *slow) gather() []pb.Message {
	var sent []pb.Message
	for s.HasReady() {
		for _, msg := range s.Ready().Messages {
			switch msg.To {
			case raft.LocalAppendThread:
				s.writes = append(s.writes, msg)
			case raft.LocalApplyThread:
				s.jobs = append(s.jobs, msg)
			default:
				sent = append(sent, msg)
			}
		}
	}
	return sent
}

// write does the oldest write that waits, and returns its responses without delivering them.
func (s *slow) write() []pb.Message {
	s.g.t.Helper()
	require.NotEmpty(s.g.t, s.writes)
	w := s.writes[0]
	s.writes = s.writes[1:]
	snap := pb.Snapshot{}
	if w.Snapshot != nil {
		snap = *w.Snapshot
	}
	s.g.save(s.member, pb.HardState{Term: w.Term, Vote: w.Vote, Commit: w.Commit}, w.Entries, snap)
	return w.Responses
}

// finish does all that waits, and delivers the responses of each when it is done.
func (s *slow) finish() {
	for s.gather(); len(s.writes)+len(s.jobs) > 0; s.gather() {
		for len(s.writes) > 0 {
			s.g.respond(s.member, s.write())
		}
		for _, job := range s.jobs {
			s.g.apply(s.member, job.Entries)
			s.g.respond(s.member, job.Responses)
		}
		s.jobs = nil
	}
}

// ---- a Storage that fails

var errDisk = errors.New("disk on fire")

// faulty is a MemoryStorage whose calls can be made to fail.
type faulty struct {
	*raft.MemoryStorage
	entries  error
	term     error
	first    error
	snapshot error
	mangle   func([]pb.Entry) []pb.Entry
}

func (f *faulty) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	if f.entries != nil {
		return nil, f.entries
	}
	ents, err := f.MemoryStorage.Entries(lo, hi, maxSize)
	if f.mangle != nil {
		ents = f.mangle(ents)
	}
	return ents, err
}

func (f *faulty) Term(i uint64) (uint64, error) {
	if f.term != nil {
		return 0, f.term
	}
	return f.MemoryStorage.Term(i)
}

func (f *faulty) FirstIndex() (uint64, error) {
	if f.first != nil {
		return 0, f.first
	}
	return f.MemoryStorage.FirstIndex()
}

func (f *faulty) Snapshot() (pb.Snapshot, error) {
	if f.snapshot != nil {
		return pb.Snapshot{}, f.snapshot
	}
	return f.MemoryStorage.Snapshot()
}

// breakable restarts a member on a Storage that can be made to fail.
func (g *group) breakable(id uint64, opts ...option) *faulty {
	g.t.Helper()
	f := &faulty{MemoryStorage: g.get(id).store}
	g.restart(id, append(opts, func(c *raft.Config) { c.Storage = f })...)
	return f
}
