package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

var _ raft.Storage = (*Store)(nil)

// InitialState implements raft.Storage.
func (s *Store) InitialState() (pb.HardState, pb.ConfState, error) {
	return s.hard, s.applied.ConfState, nil
}

// FirstIndex implements raft.Storage.
func (s *Store) FirstIndex() (uint64, error) { return s.tail.first(), nil }

// LastIndex implements raft.Storage.
func (s *Store) LastIndex() (uint64, error) { return s.tail.last(), nil }

// Term implements raft.Storage. It never reads the disk.
func (s *Store) Term(i uint64) (uint64, error) {
	term, ok := s.tail.term(i)
	switch {
	case ok:
		return term, nil
	case i < s.tail.start.index:
		return 0, raft.ErrCompacted
	}
	return 0, raft.ErrUnavailable
}

// Entries implements raft.Storage. The entries must not be changed.
func (s *Store) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
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

// Save makes durable what rd wants on disk before its messages leave: the snapshot, the entries and
// the hard state, in this order and in one batch, which is synced if rd asks for it. The snapshot's
// content is the state that staging received. One that is not ahead of the applied index gets
// ErrSnapOutOfDate, and entries that the log has compacted are passed over: neither comes from a sound
// library, and what is applied must not be undone.
func (s *Store) Save(rd raft.Ready, staging *Staging) error {
	snapshot := !raft.IsEmptySnap(rd.Snapshot)
	start := s.tail.start.index
	if snapshot {
		if start = rd.Snapshot.Metadata.Index; start <= s.applied.Index {
			return raft.ErrSnapOutOfDate
		}
	}
	rd.Entries = entriesAbove(start, rd.Entries)
	if !snapshot && len(rd.Entries) == 0 && raft.IsEmptyHardState(rd.HardState) {
		return nil
	}
	b := s.db.NewBatch()
	defer b.Close()
	if snapshot {
		if err := s.stageInstall(b, rd.Snapshot, staging); err != nil {
			return err
		}
	}
	last := s.tail.last()
	if snapshot {
		last = start
	}
	if err := stageEntries(b, last, rd.Entries); err != nil {
		return err
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		if err := stageMessage(b, keyHardState, &rd.HardState); err != nil {
			return err
		}
	}
	if err := s.commitSave(b, rd, staging); err != nil {
		return err
	}
	s.remember(rd)
	return nil
}

// commitSave writes the batch. The exchange of one state for another holds readers off.
func (s *Store) commitSave(b *pebble.Batch, rd raft.Ready, staging *Staging) error {
	if raft.IsEmptySnap(rd.Snapshot) {
		return b.Commit(&pebble.WriteOptions{Sync: rd.MustSync})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return s.installed(rd.Snapshot, staging)
}

// remember brings what is held in memory up to what was just written.
func (s *Store) remember(rd raft.Ready) {
	for _, e := range rd.Entries {
		s.tail.append(e)
		s.sinceSnap += e.Size()
	}
	s.logged.set(&s.tail)
	if !raft.IsEmptyHardState(rd.HardState) {
		s.hard = rd.HardState
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
