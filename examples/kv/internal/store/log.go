package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"quorate.example/raft"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

var _ host.LogStore = (*Store)(nil)

// InitialState implements raft.Storage.
func (s *Store) InitialState() (pb.HardState, pb.ConfState, error) {
	s.log.RLock()
	defer s.log.RUnlock()
	return s.hard, s.Applied().ConfState, nil
}

// FirstIndex implements raft.Storage.
func (s *Store) FirstIndex() (uint64, error) {
	s.log.RLock()
	defer s.log.RUnlock()
	return s.tail.first(), nil
}

// LastIndex implements raft.Storage.
func (s *Store) LastIndex() (uint64, error) {
	s.log.RLock()
	defer s.log.RUnlock()
	return s.tail.last(), nil
}

// Term implements raft.Storage. It never reads the disk.
func (s *Store) Term(i uint64) (uint64, error) {
	s.log.RLock()
	defer s.log.RUnlock()
	term, ok := s.tail.term(i)
	switch {
	case ok:
		return term, nil
	case i < s.tail.start.index:
		return 0, raft.ErrCompacted
	}
	return 0, raft.ErrUnavailable
}

// Entries implements raft.Storage. The entries must not be changed. While they are read from the disk nothing
// is removed there.
func (s *Store) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	s.log.RLock()
	defer s.log.RUnlock()
	switch {
	case lo < s.tail.first():
		return nil, raft.ErrCompacted
	case hi > s.tail.last()+1 || lo > hi:
		return nil, raft.ErrUnavailable
	case lo == hi:
		return nil, nil
	}
	if entries, ok := s.tail.cached(lo, hi, maxSize); ok {
		return entries, nil
	}
	var out []pb.Entry
	size := uint64(0)
	err := s.scanLog(lo, hi, func(e pb.Entry) bool {
		size += uint64(e.Size())
		if size > maxSize && len(out) > 0 {
			return false
		}
		out = append(out, e)
		return true
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("store: entry %d is gone", lo)
	}
	return out, err
}

// holds reports whether the log has an entry.
func (s *Store) holds(index uint64) bool {
	s.log.RLock()
	defer s.log.RUnlock()
	return index >= s.tail.first() && index <= s.tail.last()
}

// scanLog decodes the entries [lo, hi) in order until visit returns false. A gap is an error.
func (s *Store) scanLog(lo, hi uint64, visit func(pb.Entry) bool) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: logKey(lo), UpperBound: logKey(hi)})
	if err != nil {
		return err
	}
	next := lo
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		var e pb.Entry
		if err = e.Unmarshal(value); err == nil && e.Index != next {
			err = fmt.Errorf("store: entry %d follows entry %d", e.Index, next-1)
		}
		next++
		if err == nil && !visit(e) {
			break
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// Save implements host.LogStore: the end of the log so far if there is a snapshot, the entries and the hard
// state go into one batch, in this order. Entries that the log has compacted are passed over: they do not come
// from a sound library, and what is applied must not be undone.
func (s *Store) Save(w host.Write) error {
	start, last := s.tail.start, s.tail.last() // only the log writer changes them
	if w.Snapshot != nil {
		start = position{index: w.Snapshot.Index, term: w.Snapshot.Term}
		last = start.index
	}
	w.Entries = entriesAbove(start.index, w.Entries)
	if w.Snapshot == nil && len(w.Entries) == 0 {
		if raft.IsEmptyHardState(w.HardState) {
			return s.flush(w.Sync)
		}
		// A commit index alone is not worth a sync: it comes again with the next entries.
		w.Sync = w.Sync && (s.votes(&w) || s.dirty)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if w.Snapshot != nil {
		if err := s.stageReset(b, start); err != nil {
			return err
		}
	}
	if err := stageEntries(b, last, w.Entries); err != nil {
		return err
	}
	if !raft.IsEmptyHardState(w.HardState) {
		if err := stageMessage(b, keyHardState, &w.HardState); err != nil {
			return err
		}
	}
	if w.Snapshot != nil || len(w.Entries) > 0 && w.Entries[0].Index <= last {
		// What goes must not be looked for in between.
		s.log.Lock()
		defer s.log.Unlock()
		return s.saveBatch(b, &w)
	}
	if err := s.commit(b, w.Sync); err != nil {
		return err
	}
	s.log.Lock()
	defer s.log.Unlock()
	s.remember(&w)
	return nil
}

func (s *Store) saveBatch(b *pebble.Batch, w *host.Write) error {
	if err := s.commit(b, w.Sync); err != nil {
		return err
	}
	s.remember(w)
	return nil
}

// votes reports whether w has another term or vote than the log.
func (s *Store) votes(w *host.Write) bool {
	return !raft.IsEmptyHardState(w.HardState) && (w.HardState.Term != s.hard.Term || w.HardState.Vote != s.hard.Vote)
}

// flush syncs what Save has written without.
func (s *Store) flush(wanted bool) error {
	if !wanted || !s.dirty {
		return nil
	}
	s.dirty = false
	return s.db.LogData(nil, pebble.Sync)
}

// stageReset empties the log. The state must have what goes, or have it from a snapshot.
func (s *Store) stageReset(b *pebble.Batch, start position) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if applied := s.Applied().Index; start.index > applied {
		return fmt.Errorf("store: the log cannot begin after %d while the state ends at %d", start.index, applied)
	}
	return errors.Join(
		s.keepHistory(b, start.index),
		stageLogStart(b, start),
		b.DeleteRange(logKey(0), prefixEnd([]byte{prefixLog}), nil))
}

// remember brings what is held in memory up to what was just written.
func (s *Store) remember(w *host.Write) {
	s.dirty = !w.Sync && (s.dirty || s.votes(w) || len(w.Entries) > 0)
	if w.Snapshot != nil {
		s.tail.reset(position{index: w.Snapshot.Index, term: w.Snapshot.Term})
	}
	for _, e := range w.Entries {
		s.tail.append(e)
	}
	if !raft.IsEmptyHardState(w.HardState) {
		s.hard = w.HardState
	}
}

// entriesAbove returns the entries after index.
func entriesAbove(index uint64, entries []pb.Entry) []pb.Entry {
	for len(entries) > 0 && entries[0].Index <= index {
		entries = entries[1:]
	}
	return entries
}

// stageEntries puts entries into the batch and removes those that they overwrite; last is the last
// index of the log so far.
func stageEntries(b *pebble.Batch, last uint64, entries []pb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	first, end := entries[0].Index, entries[len(entries)-1].Index
	if first > last+1 {
		return fmt.Errorf("store: entries from %d on leave a gap after %d", first, last)
	}
	if end < last {
		if err := b.DeleteRange(logKey(end+1), logKey(last+1), nil); err != nil {
			return err
		}
	}
	for i := range entries {
		e := &entries[i]
		op := b.SetDeferred(len(logKey(0)), e.Size())
		copy(op.Key, logKey(e.Index))
		if _, err := e.MarshalToSizedBuffer(op.Value); err != nil {
			return err
		}
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}

func stageMessage(b *pebble.Batch, key []byte, m interface{ Marshal() ([]byte, error) }) error {
	data, err := m.Marshal()
	if err != nil {
		return err
	}
	return b.Set(key, data, nil)
}
