package raft

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	pb "quorate.example/raft/raftpb"
)

// logModel runs random operations on a raftLog and on a plain slice with everything that the log
// should hold, and plays the host that writes and applies what is handed out.
type logModel struct {
	t    *testing.T
	rng  *rand.Rand
	seed int64

	log   raftLog
	store *MemoryStorage
	async bool

	ents      []pb.Entry // ents[i] has index i+1
	edge      entryID    // of the snapshot that is not durable yet, or of the storage
	committed uint64
	applied   uint64
	handed    uint64 // for application
	term      uint64 // of the leader whose entries come in

	writes []modelWrite
	seen   []handedOut
}

// modelWrite is what a host was given in one go.
type modelWrite struct {
	term     uint64 // when it was handed out
	ents     []pb.Entry
	snapshot *pb.Snapshot
	report   entryID
}

// handedOut is a slice that left the log, and what it held then.
type handedOut struct{ slice, copy []pb.Entry }

func newLogModel(t *testing.T, seed int64) *logModel {
	m := &logModel{t: t, rng: rand.New(rand.NewSource(seed)), seed: seed, store: NewMemoryStorage(), term: 1}
	m.async = m.rng.Intn(2) == 0
	for n := m.rng.Intn(8); n > 0; n-- {
		m.ents = append(m.ents, m.entry(m.last()+1, m.nextTerm()))
	}
	require.NoError(t, m.store.Append(copyEntries(m.ents)))
	log, err := newLog(m.store, 60)
	require.NoError(t, err)
	m.log = log
	return m
}

func copyEntries(ents []pb.Entry) []pb.Entry {
	out := make([]pb.Entry, len(ents))
	for i, e := range ents {
		out[i] = e
		out[i].Data = append([]byte(nil), e.Data...)
	}
	return out
}

func (m *logModel) last() uint64 { return uint64(len(m.ents)) }

func (m *logModel) id(i uint64) entryID {
	if i == m.edge.index {
		return m.edge
	}
	return idOf(&m.ents[i-1])
}

func (m *logModel) nextTerm() uint64 {
	if m.rng.Intn(4) == 0 {
		m.term++
	}
	return m.term
}

func (m *logModel) entry(i, term uint64) pb.Entry {
	e := pb.Entry{Index: i, Term: term, Data: []byte(fmt.Sprintf("%d of %d: %0*d", i, term, m.rng.Intn(20), 0))}
	if m.rng.Intn(8) == 0 {
		e.Type = pb.EntryConfChangeV2
	}
	return e
}

// between returns a random number in [lo, hi].
func (m *logModel) between(lo, hi uint64) uint64 {
	return lo + uint64(m.rng.Intn(int(hi-lo)+1))
}

// step does one random operation.
func (m *logModel) step() {
	switch action := m.rng.Intn(20); {
	case action < 4:
		m.append()
	case action < 8:
		m.receive()
	case action < 11:
		m.handOut()
	case action < 14:
		m.write()
	case action < 16:
		m.commit()
	case action < 17:
		m.compact()
	case action < 18:
		m.apply()
	case action < 19:
		m.finishApply()
	case m.rng.Intn(2) == 0:
		m.restore()
	}
}

// append is what a leader does.
func (m *logModel) append() {
	term := m.nextTerm()
	var ents []pb.Entry
	for n := 1 + m.rng.Intn(3); n > 0; n-- {
		e := m.entry(m.last()+1, term)
		m.ents = append(m.ents, e)
		ents = append(ents, pb.Entry{Type: e.Type, Data: e.Data})
	}
	m.log.append(term, ents)
	for _, e := range ents {
		require.Zero(m.t, e.Index, "the caller's entries stay as they are")
	}
}

// receive is what a follower does: some entries that it may know, then some that it does not.
func (m *logModel) receive() {
	from := m.between(m.committed, m.last())
	agree := m.between(from, m.last())
	msg := copyEntries(m.ents[from:agree])
	if agree < m.last() {
		m.term++ // what is overwritten must differ in its term
	}
	for n := m.rng.Intn(4); n > 0; n-- {
		msg = append(msg, m.entry(from+uint64(len(msg))+1, m.nextTerm()))
	}
	known := m.log.known(msg)
	require.Equal(m.t, int(agree-from), known, "seed %d", m.seed)
	if fresh := msg[known:]; len(fresh) > 0 {
		m.log.replace(fresh)
		m.ents = append(m.ents[:agree:agree], copyEntries(fresh)...)
		_ = append(fresh, pb.Entry{Data: []byte("behind the message")})
	}
	if n := len(msg); n > 0 {
		m.note(msg)
	}
}

// note keeps a slice that somebody else holds too, and does the worst that its holder may do.
func (m *logModel) note(ents []pb.Entry) {
	m.seen = append(m.seen, handedOut{slice: ents, copy: copyEntries(ents)})
	_ = append(ents, pb.Entry{Term: 1 << 40, Data: []byte("poison")})
}

func (m *logModel) handOut() {
	w := modelWrite{term: m.term, ents: m.log.tail.waiting()}
	if m.log.tail.snapshotWaits() {
		w.snapshot = m.log.tail.snapshot
	}
	if m.log.tail.writing() {
		w.report = m.log.lastID()
	}
	if n := len(w.ents); n > 0 {
		require.Equal(m.t, m.ents[w.ents[0].Index-1:], w.ents, "seed %d", m.seed)
		m.note(w.ents)
	}
	m.log.tail.handOut()
	require.Empty(m.t, m.log.tail.waiting())
	m.writes = append(m.writes, w)
}

// write makes the oldest write durable, and reports it unless another leader came meanwhile.
func (m *logModel) write() {
	if len(m.writes) == 0 {
		return
	}
	w := m.writes[0]
	m.writes = m.writes[1:]
	if w.snapshot != nil {
		require.NoError(m.t, m.store.ApplySnapshot(*w.snapshot))
	}
	require.NoError(m.t, m.store.Append(copyEntries(w.ents)))
	if w.report.index > 0 && w.term == m.term {
		m.log.stableTo(w.report)
	}
	if w.snapshot != nil {
		i := w.snapshot.Metadata.Index
		m.log.tail.snapshotStable(i)
		m.applied = max(m.applied, i)
		m.log.appliedTo(m.applied, 0)
		m.handed = max(m.handed, i)
	}
}

func (m *logModel) commit() {
	m.committed = m.between(m.committed, m.last())
	m.log.commitTo(m.committed)
	m.log.commitTo(m.between(0, m.committed))
	require.Equal(m.t, m.committed, m.log.committed, "a commit index never falls")
}

// compact lets the host drop what it has applied.
func (m *logModel) compact() {
	first, _ := m.store.FirstIndex()
	last, _ := m.store.LastIndex()
	if hi := min(m.applied, last); hi >= first {
		i := m.between(first, hi)
		require.NoError(m.t, m.store.Compact(i))
		if m.log.tail.snapshot == nil {
			m.edge = m.id(i)
		}
	}
}

// apply takes what may be applied next.
func (m *logModel) apply() {
	hi := m.committed
	if m.async {
		hi = min(hi, m.log.tail.base)
	}
	ents := m.log.nextCommitted(!m.async)
	if len(ents) == 0 {
		require.True(m.t, m.handed >= hi || m.log.apply.paused || m.log.tail.snapshot != nil, "seed %d", m.seed)
		return
	}
	want := NaiveLimit(m.ents[m.handed:hi], m.log.apply.limit-m.log.apply.bytes)
	require.Equal(m.t, want, ents, "seed %d", m.seed)
	m.note(ents)
	m.log.handOutCommitted(ents, entsSize(ents), !m.async)
	m.handed += uint64(len(ents))
}

func (m *logModel) finishApply() {
	if m.handed > m.applied {
		i := m.between(m.applied+1, m.handed)
		m.log.appliedTo(i, entsSize(m.ents[m.applied:i]))
		m.applied = i
	}
}

// restore receives a snapshot beyond what is committed.
func (m *logModel) restore() {
	i := m.between(m.committed+1, m.last()+5)
	m.term++
	s := &pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: i, Term: m.term}}
	m.log.restore(s)
	m.edge = entryID{term: m.term, index: i}
	m.committed = i
	m.ents = append(m.ents[:0:0], make([]pb.Entry, i)...) // nobody may ask for these
}

// NaiveLimit is limitSize in the plainest form.
func NaiveLimit(ents []pb.Entry, maxSize uint64) []pb.Entry {
	var size uint64
	for i := range ents {
		size += uint64(ents[i].Size())
		if i > 0 && size > maxSize {
			return ents[:i]
		}
	}
	return ents
}

// check compares everything that can be asked of the log.
func (m *logModel) check() {
	t := m.t
	require.Nil(t, m.log.failure)
	require.Equal(t, m.last(), m.log.last(), "seed %d", m.seed)
	require.Equal(t, m.edge.index+1, m.log.first(), "seed %d", m.seed)
	require.Equal(t, m.id(m.last()), m.log.lastID(), "seed %d", m.seed)
	for i := m.edge.index; i <= m.last(); i++ {
		term, err := m.log.term(i)
		require.NoError(t, err, "seed %d: term(%d)", m.seed, i)
		require.Equal(t, m.id(i).term, term, "seed %d: term(%d)", m.seed, i)
		require.True(t, m.log.matches(entryID{term: term, index: i}))
		require.False(t, m.log.matches(entryID{term: term + 1, index: i}))
	}
	_, err := m.log.term(m.last() + 1)
	require.ErrorIs(t, err, ErrUnavailable)
	m.checkRange()
	m.checkLastUpTo()
}

func (m *logModel) checkRange() {
	t := m.t
	all, err := m.log.after(m.edge.index, noLimit)
	require.NoError(t, err)
	require.Equal(t, len(m.ents[m.edge.index:]), len(all), "seed %d", m.seed)
	if m.last() == m.edge.index {
		return
	}
	require.Equal(t, m.ents[m.edge.index:], all, "seed %d", m.seed)
	_ = append(all, pb.Entry{Data: []byte("poison")})

	lo := m.between(m.edge.index, m.last()-1)
	hi := m.between(lo+1, m.last())
	limit := m.between(0, 200)
	ents, err := m.log.slice(lo, hi, limit)
	require.NoError(t, err)
	require.Equal(t, NaiveLimit(m.ents[lo:hi], limit), ents, "seed %d: slice(%d, %d, %d)", m.seed, lo, hi, limit)
	m.note(ents)

	hasConfChange := false
	for i := lo; i < hi; i++ {
		hasConfChange = hasConfChange || m.ents[i].Type == pb.EntryConfChangeV2
	}
	require.Equal(t, hasConfChange, m.log.hasConfChange(lo, hi, limit), "seed %d", m.seed)

	if i := m.edge.index; i > 0 && i <= m.log.tail.base && m.log.tail.snapshot == nil {
		_, err = m.log.slice(m.edge.index-1, hi, noLimit)
		require.ErrorIs(t, err, ErrCompacted)
	}
	id := m.id(m.between(m.edge.index, m.last()))
	id.term = m.between(saturatingDec(id.term), id.term+1)
	last := m.id(m.last())
	require.Equal(t, id.term > last.term || id.term == last.term && id.index >= last.index, m.log.upToDate(id))
}

// checkLastUpTo compares with a linear scan, from one below the first entry on (etcd-io/raft#479).
func (m *logModel) checkLastUpTo() {
	for i := saturatingDec(m.edge.index); i <= m.last()+1; i++ {
		term := m.between(0, m.term+1)
		require.Equal(m.t, m.linearLastUpTo(i, term), m.log.lastUpTo(i, term),
			"seed %d: lastUpTo(%d, %d) in %d..%d", m.seed, i, term, m.edge.index, m.last())
	}
}

func (m *logModel) linearLastUpTo(i, term uint64) entryID {
	for ; i <= m.last() && i >= m.edge.index; i-- {
		if id := m.id(i); id.term <= term {
			return id
		}
		if i == 0 {
			return entryID{}
		}
	}
	return entryID{index: i}
}

// checkSeen requires that nothing that ever left the log has changed (scenario B43).
func (m *logModel) checkSeen() {
	for _, s := range m.seen {
		require.Equal(m.t, s.copy, s.slice, "seed %d", m.seed)
	}
}

// The log holds what a plain slice would after any appends, overwrites, writes, snapshots and
// compactions, and says the same of its ranges and terms; what it once handed out never changes
// (thesis 3.5, scenarios B43 and B54).
func TestLogAgreesWithAPlainSlice(t *testing.T) {
	for seed := int64(0); seed < 40; seed++ {
		m := newLogModel(t, seed)
		for step := 0; step < 120; step++ {
			m.step()
			m.check()
		}
		m.checkSeen()
	}
}

// The position for a rejection is found by whole terms, and is what a linear scan finds: from i
// downwards the first index whose term is known and at most term; term 0 where the log does not
// reach. The index just below the first entry is part of the domain, and the answer is the same
// whether the terms are known or Storage has to be asked (thesis 3.5, scenario B38, etcd-io/raft#479).
func TestLastUpToAgreesWithALinearScan(t *testing.T) {
	terms := []uint64{1, 1, 2, 5, 5, 5, 6, 9, 9}
	n := uint64(len(terms))
	for edge := uint64(0); edge <= n; edge++ {
		for warm := edge; warm <= n+1; warm++ {
			m := &logModel{t: t, store: NewMemoryStorage(), term: 9}
			for i, term := range terms {
				m.ents = append(m.ents, pb.Entry{Index: uint64(i) + 1, Term: term})
			}
			require.NoError(t, m.store.Append(m.ents))
			if edge > 0 {
				require.NoError(t, m.store.Compact(edge))
				m.edge = m.id(edge)
			}
			for i := saturatingDec(edge); i <= n+1; i++ {
				for term := uint64(0); term <= 10; term++ {
					log, err := newLog(m.store, 0)
					require.NoError(t, err)
					for k := n; k >= warm && k > 0; k-- {
						_, err := log.term(k)
						require.NoError(t, err)
					}
					require.Equal(t, m.linearLastUpTo(i, term), log.lastUpTo(i, term),
						"lastUpTo(%d, %d) in %d..%d, terms known from %d on", i, term, edge, n, warm)
				}
			}
		}
	}
}

// What is overwritten has the term of what is there now, also when there are more terms than the log
// keeps in mind (scenario B54).
func TestTermsOfTheTailAreNeverThoseOfWhatItReplaced(t *testing.T) {
	store := NewMemoryStorage()
	for i := uint64(1); i <= 10; i++ {
		require.NoError(t, store.Append([]pb.Entry{{Index: i, Term: 1}}))
	}
	log, err := newLog(store, 0)
	require.NoError(t, err)
	var ents []pb.Entry
	for i := uint64(2); i < 2*maxTermRuns; i++ {
		ents = append(ents, pb.Entry{Index: i, Term: i})
	}
	log.replace(ents)
	for i := uint64(2); i < 2*maxTermRuns; i++ {
		term, err := log.term(i)
		require.NoError(t, err, "term(%d)", i)
		require.Equal(t, i, term, "term(%d)", i)
	}
}
