package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"quorate.example/raft/examples/kv/internal/wal"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

var _ host.LogStore = (*Store)(nil)

// InitialState implements raft.Storage.
func (s *Store) InitialState() (pb.HardState, pb.ConfState, error) {
	return s.log.HardState(), s.Applied().ConfState, nil
}

// FirstIndex implements raft.Storage.
func (s *Store) FirstIndex() (uint64, error) { return s.log.FirstIndex(), nil }

// LastIndex implements raft.Storage.
func (s *Store) LastIndex() (uint64, error) { return s.log.LastIndex(), nil }

// Term implements raft.Storage. It never reads the disk.
func (s *Store) Term(i uint64) (uint64, error) { return s.log.Term(i) }

// Entries implements raft.Storage. The entries must not be changed.
func (s *Store) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	return s.log.Entries(lo, hi, maxSize)
}

// Save implements host.LogStore. Entries that the log has compacted are passed over: they do not come from a
// sound library, and what is applied must not be undone.
func (s *Store) Save(w host.Write) error {
	if w.Snapshot == nil {
		return s.log.Save(w)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	// The state must have what goes, or have it from a snapshot.
	if applied := s.Applied().Index; w.Snapshot.Index > applied {
		return fmt.Errorf("store: the log cannot begin after %d while the state ends at %d", w.Snapshot.Index, applied)
	}
	return s.leaveBehind(w.Snapshot.Index, func() error { return s.log.Save(w) })
}

// Compact implements host.LogStore: it removes the entries up to index, which must be applied.
func (s *Store) Compact(index uint64) error {
	// The lock keeps the state from being exchanged while its history is written out.
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, err := s.log.Term(index); err != nil || index <= s.log.Start().Index {
		return err
	}
	return s.leaveBehind(index, func() error { return s.log.Compact(index) })
}

// leaveBehind calls remove, which takes the entries up to index out of the log, when the state does not need
// them any more: it is on the disk with all that is applied, and its history with what only the log had.
func (s *Store) leaveBehind(index uint64, remove func() error) error {
	b := s.db.NewBatch()
	defer b.Close()
	if err := s.keepHistory(b, index); err != nil {
		return err
	}
	if b.Empty() {
		if err := b.LogData(nil, nil); err != nil {
			return err
		}
	}
	// Whoever looks at the history finds what it refers to.
	s.removing.Lock()
	defer s.removing.Unlock()
	return errors.Join(b.Commit(pebble.Sync), remove())
}

// openLog opens the log, and checks that it goes on where the state stands.
func (s *Store) openLog() (err error) {
	s.log, err = wal.Open(wal.Options{
		Dir: s.opts.fs().PathJoin(s.opts.Dir, LogDirectory), FS: s.opts.FS,
		SegmentBytes: s.opts.LogSegmentBytes, CacheBytes: s.opts.CacheBytes, MustExist: !s.fresh,
	})
	if err != nil {
		return err
	}
	// The state may have left the log behind: a snapshot was installed, and the log not reset yet.
	start, last, hard := s.log.Start(), s.log.LastIndex(), s.log.HardState()
	applied := s.standing.applied.Index
	if applied < start.Index || hard.Commit > max(last, applied) {
		return fmt.Errorf("store: log (%d, %d] does not cover applied %d and commit %d",
			start.Index, last, applied, hard.Commit)
	}
	if entry := s.history.entry; entry != 0 && entry <= start.Index {
		return fmt.Errorf("%w: it needs entry %d, and the log begins after %d", errBadHistory, entry, start.Index)
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
