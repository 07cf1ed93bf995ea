package raft

import (
	"errors"
	"fmt"
	"sort"

	pb "quorate.example/raft/raftpb"
)

// entryID is a position in the log: what AppendEntries compares (thesis 3.5).
type entryID struct{ term, index uint64 }

func idOf(e *pb.Entry) entryID { return entryID{term: e.Term, index: e.Index} }

// raftLog is the log as one thing: what Storage holds, then the tail that is not durable yet. Every
// call of Storage in the library is in this file. Ranges are (lo, hi].
type raftLog struct {
	storage   Storage
	committed uint64
	apply     applyState
	tail      logTail
	terms     termRuns
	failure   *failure // the first error of Storage that cannot be handled
}

func newLog(storage Storage, applyLimit uint64) (raftLog, error) {
	first, err := storage.FirstIndex()
	if err != nil {
		return raftLog{}, fmt.Errorf("raft: Storage.FirstIndex: %w", err)
	}
	last, err := storage.LastIndex()
	if err != nil {
		return raftLog{}, fmt.Errorf("raft: Storage.LastIndex: %w", err)
	}
	if first == 0 || last+1 < first {
		return raftLog{}, fmt.Errorf("raft: Storage: FirstIndex is %d and LastIndex %d; "+
			"allowed: FirstIndex from 1 to LastIndex+1", first, last)
	}
	return raftLog{
		storage:   storage,
		committed: first - 1,
		apply:     applyState{applied: first - 1, handed: first - 1, limit: max(applyLimit, 1)},
		tail:      logTail{start: last, base: last, handed: last},
		terms:     noTerms(last),
	}, nil
}

// failure is an error that a member stops with.
type failure struct{ err error }

// fail records an error of Storage that the protocol has no answer to; the member stops before
// anything that was decided after it can leave.
func (l *raftLog) fail(doing string, err error) {
	if l.failure == nil {
		l.failure = &failure{fmt.Errorf("raft: %s: %w", doing, err)}
	}
}

func (l *raftLog) last() uint64 { return l.tail.last() }

// first returns the index of the first entry that can be read.
func (l *raftLog) first() uint64 {
	if s := l.tail.snapshot; s != nil {
		return s.Metadata.Index + 1
	}
	i, err := l.storage.FirstIndex()
	if err != nil {
		l.fail("Storage.FirstIndex", err)
		return l.last() + 1
	}
	return i
}

func (l *raftLog) lastID() entryID {
	term, err := l.term(l.last())
	if err != nil {
		l.fail(fmt.Sprintf("term of the last entry, index %d", l.last()), err)
	}
	return entryID{term: term, index: l.last()}
}

// term returns the term of entry i, or of the snapshot that ends at i. The error is ErrCompacted or
// ErrUnavailable.
func (l *raftLog) term(i uint64) (uint64, error) {
	if t := &l.terms; i >= t.newest.first && i <= t.end {
		return t.newest.term, nil
	}
	return l.olderTerm(i)
}

// olderTerm is term where the newest run, which is nearly always the one asked for, does not tell.
func (l *raftLog) olderTerm(i uint64) (uint64, error) {
	if i > l.last() {
		return 0, ErrUnavailable
	}
	if s := l.tail.snapshot; s != nil && i < s.Metadata.Index {
		return 0, ErrCompacted
	}
	if term, known := l.terms.at(i); known {
		return term, nil
	}
	if i > l.tail.start {
		return l.tail.slice(i-1, i)[0].Term, nil // Storage may still hold what was replaced
	}
	term, err := l.storage.Term(i)
	switch {
	case err == nil:
		if i+1 == l.terms.start() {
			l.terms.extend(entryID{term: term, index: i})
		}
		return term, nil
	case !errors.Is(err, ErrCompacted) && !errors.Is(err, ErrUnavailable):
		l.fail(fmt.Sprintf("Storage.Term(%d)", i), err)
	}
	return 0, err
}

// matches reports whether the log holds id.
func (l *raftLog) matches(id entryID) bool {
	term, err := l.term(id.index)
	return err == nil && term == id.term
}

// upToDate reports whether a log that ends in id is at least as up-to-date as this one
// (thesis 3.6.1).
func (l *raftLog) upToDate(id entryID) bool {
	last := l.lastID()
	return id.term > last.term || id.term == last.term && id.index >= last.index
}

// known returns how many entries at the start of ents the log holds already.
func (l *raftLog) known(ents []pb.Entry) int {
	last := l.last()
	for i := range ents {
		if e := &ents[i]; e.Index > last || !l.matches(idOf(e)) {
			return i
		}
	}
	return len(ents)
}

// replace makes ents the end of the log; what stood at their indexes and above is gone.
func (l *raftLog) replace(ents []pb.Entry) {
	before := ents[0].Index - 1
	assert(before >= l.committed, "committed entries are never overwritten")
	if before < l.terms.end {
		l.terms.truncate(before)
	}
	l.tail.replace(ents)
	l.noteTerms(ents)
}

// append gives ents, which follow the last entry, the indexes they get and the given term, and adds
// them. The caller's ents are not changed.
func (l *raftLog) append(term uint64, ents []pb.Entry) {
	i := l.last()
	added := l.tail.append(ents)
	for k := range added {
		i++
		added[k].Term, added[k].Index = term, i
	}
	l.noteTerms(added)
}

// noteTerms records the terms of entries that were just put at the end. Since terms never fall, entries
// are of the newest term if the last one is.
func (l *raftLog) noteTerms(ents []pb.Entry) {
	first, last := idOf(&ents[0]), idOf(&ents[len(ents)-1])
	if first.index != l.terms.end+1 || l.terms.empty() {
		l.terms.reset(first)
	}
	if l.terms.newest.term == last.term {
		l.terms.end = last.index
		return
	}
	for i := range ents {
		l.terms.push(idOf(&ents[i]))
	}
}

// lastUpTo returns the highest position at or below i whose term is at most term: the only place at
// or below i where the log can agree with one whose entry i has that term. Where the log does not
// reach back or up far enough to tell, the term is 0.
func (l *raftLog) lastUpTo(i, term uint64) entryID {
	edge := l.first() - 1 // its term is known, though the entry is gone
	if i > l.last() || i < edge {
		return entryID{index: i}
	}
	id, found := l.terms.lastUpTo(i, term)
	if !found && l.learnTerms(edge, i) {
		id, found = l.terms.lastUpTo(i, term)
	}
	if found && id.index >= edge {
		return id
	}
	if start := l.terms.start(); i >= start && !l.terms.empty() {
		i = saturatingDec(start)
	}
	if i < edge || i == 0 {
		return entryID{index: saturatingDec(edge)}
	}
	return l.searchStorage(edge, i, term)
}

// Bounds, in entries and bytes, of what is read at once to learn terms.
const (
	termPage      = 256
	termPageBytes = 64 << 10
)

// learnTerms reads the entries just below those whose terms are known, if i is close to them and they are
// small. A search for the place where two logs agree goes back run by run, and so asks Storage once a page.
// It reports whether more terms are known now.
func (l *raftLog) learnTerms(edge, i uint64) bool {
	start := l.terms.start()
	lo := max(edge, start-1-min(start-1, termPage))
	if i < lo || lo+1 >= start || start-1 > l.tail.start || l.tail.snapshot != nil {
		return false
	}
	ents, err := l.storage.Entries(lo+1, start, termPageBytes)
	if err != nil || uint64(len(ents)) != start-1-lo {
		return false // of errors Storage.Term will tell
	}
	for k := len(ents) - 1; k >= 0; k-- {
		l.terms.extend(idOf(&ents[k]))
	}
	return l.terms.start() < start
}

// searchStorage is lastUpTo for [lo, hi] below what terms covers: a binary search, since terms never
// fall along a log.
func (l *raftLog) searchStorage(lo, hi, term uint64) entryID {
	var found entryID
	failed := false
	n := sort.Search(int(hi-lo)+1, func(k int) bool {
		t, err := l.term(hi - uint64(k))
		if err != nil {
			failed = true
			return true
		}
		if t <= term {
			found = entryID{term: t, index: hi - uint64(k)}
		}
		return t <= term
	})
	if failed {
		return entryID{index: hi}
	}
	if n > int(hi-lo) {
		return entryID{index: saturatingDec(lo)}
	}
	if found.index != hi-uint64(n) {
		found.index = hi - uint64(n)
		found.term, _ = l.term(found.index)
	}
	return found
}

func saturatingDec(i uint64) uint64 {
	if i == 0 {
		return 0
	}
	return i - 1
}

// commitTo raises the commit index to i.
func (l *raftLog) commitTo(i uint64) {
	if i > l.committed {
		assert(i <= l.last(), "only what is in the log can be committed")
		l.committed = i
	}
}

// after returns the entries above i, up to maxSize bytes but at least one if there is one. The error
// is ErrCompacted.
func (l *raftLog) after(i, maxSize uint64) ([]pb.Entry, error) {
	if i >= l.last() {
		return nil, nil
	}
	return l.slice(i, l.last(), maxSize)
}

// slice returns the entries in (lo, hi], up to maxSize bytes but at least one. The error is
// ErrCompacted; Storage's other errors are failures.
func (l *raftLog) slice(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	if lo >= l.tail.start {
		return limitSize(l.tail.slice(lo, hi), maxSize), nil
	}
	stored := min(hi, l.tail.start)
	ents, err := l.storage.Entries(lo+1, stored+1, maxSize)
	if err == nil {
		err = checkStored(ents, lo, stored)
	}
	if err != nil {
		if !errors.Is(err, ErrCompacted) {
			l.fail(fmt.Sprintf("Storage.Entries(%d, %d, %d)", lo+1, stored+1, maxSize), err)
		}
		return nil, err
	}
	ents = ents[:len(ents):len(ents)]
	if hi == stored || uint64(len(ents)) < stored-lo {
		return ents, nil
	}
	size := entsSize(ents)
	if size >= maxSize {
		return ents, nil
	}
	rest := limitSize(l.tail.slice(stored, hi), maxSize-size)
	if len(rest) == 1 && entrySize(&rest[0]) > maxSize-size {
		return ents, nil
	}
	return append(ents, rest...), nil
}

// checkStored guards the border to Storage: it may return less than was asked for, but not nothing,
// and not something else.
func checkStored(ents []pb.Entry, lo, hi uint64) error {
	if len(ents) == 0 || uint64(len(ents)) > hi-lo {
		return fmt.Errorf("%d entries returned; allowed: 1 to %d", len(ents), hi-lo)
	}
	if ents[0].Index != lo+1 || ents[len(ents)-1].Index != lo+uint64(len(ents)) {
		return fmt.Errorf("entries %d to %d returned; allowed: from %d on, without a gap",
			ents[0].Index, ents[len(ents)-1].Index, lo+1)
	}
	return nil
}

// snapshot returns the newest snapshot. The error is ErrSnapshotTemporarilyUnavailable.
func (l *raftLog) snapshot() (pb.Snapshot, error) {
	if s := l.tail.snapshot; s != nil {
		return *s, nil
	}
	s, err := l.storage.Snapshot()
	if err == nil && IsEmptySnap(s) {
		err = errors.New("the snapshot is empty, though the log does not start at 1")
	}
	if err != nil && !errors.Is(err, ErrSnapshotTemporarilyUnavailable) {
		l.fail("Storage.Snapshot", err)
	}
	return s, err
}

// restore replaces the whole log by s.
func (l *raftLog) restore(s *pb.Snapshot) {
	i := s.Metadata.Index
	l.committed = i
	l.tail.restore(s)
	l.terms.reset(entryID{term: s.Metadata.Term, index: i})
}

// stableTo notes that the log is durable up to id, if it still holds id.
func (l *raftLog) stableTo(id entryID) {
	if id.index <= l.tail.base || id.index > l.tail.handed || !l.matches(id) {
		return
	}
	l.tail.stable(id.index)
	l.tail.release(l.apply.handed)
}

// hasConfChange reports whether (lo, hi] holds a configuration change. It reads page by page, since
// the range may be long.
func (l *raftLog) hasConfChange(lo, hi, pageSize uint64) bool {
	for lo < hi {
		ents, err := l.slice(lo, hi, pageSize)
		if err != nil {
			l.fail("reading committed entries", err)
			return true
		}
		for i := range ents {
			if isConfChange(&ents[i]) {
				return true
			}
		}
		lo += uint64(len(ents))
	}
	return false
}

func isConfChange(e *pb.Entry) bool {
	return e.Type == pb.EntryConfChange || e.Type == pb.EntryConfChangeV2
}
