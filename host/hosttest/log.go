// Package hosttest has parts in memory for tests of services that use package host: a log that can crash, a
// store of snapshots, and a network whose links can be cut.
package hosttest

import (
	"bytes"
	"errors"
	"io"
	"math"
	"sync"

	"quorate.example/raft"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// Log is a host.LogStore in memory that knows what a crash would leave.
type Log struct {
	*raft.MemoryStorage // what the process sees

	mu       sync.Mutex
	safe     *raft.MemoryStorage
	unsynced []host.Write
	failing  error
}

var _ host.LogStore = (*Log)(nil)

// NewLog returns an empty log.
func NewLog() *Log {
	return &Log{MemoryStorage: raft.NewMemoryStorage(), safe: raft.NewMemoryStorage()}
}

// Save implements host.LogStore.
func (l *Log) Save(w host.Write) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	w.Entries = append([]pb.Entry(nil), w.Entries...)
	if err := put(l.MemoryStorage, &w); err != nil {
		return err
	}
	l.unsynced = append(l.unsynced, w)
	if !w.Sync {
		return nil
	}
	return l.sync(len(l.unsynced))
}

func (l *Log) sync(n int) error {
	for i := range l.unsynced[:n] {
		if err := put(l.safe, &l.unsynced[i]); err != nil {
			return err
		}
	}
	l.unsynced = append(l.unsynced[:0:0], l.unsynced[n:]...)
	return nil
}

func put(to *raft.MemoryStorage, w *host.Write) error {
	if w.Snapshot != nil {
		if err := to.ApplySnapshot(pb.Snapshot{Metadata: *w.Snapshot}); err != nil {
			return err
		}
	}
	if err := to.Append(w.Entries); err != nil {
		return err
	}
	if raft.IsEmptyHardState(w.HardState) {
		return nil
	}
	return to.SetHardState(w.HardState)
}

// Compact implements host.LogStore.
func (l *Log) Compact(index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.MemoryStorage.Compact(index); err != nil {
		return err
	}
	if last, err := l.safe.LastIndex(); err != nil || last < index {
		return err // it comes back after a crash
	}
	return l.safe.Compact(index)
}

// Fail makes every further Save fail with err.
func (l *Log) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

// Unsynced returns how many writes a crash may take away.
func (l *Log) Unsynced() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unsynced)
}

// Crash returns the log that the next process finds: what was synced, and the first keep of the writes that
// were not.
func (l *Log) Crash(keep int) (*Log, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.sync(min(keep, len(l.unsynced))); err != nil {
		return nil, err
	}
	again, err := clone(l.safe)
	if err != nil {
		return nil, err
	}
	return &Log{MemoryStorage: l.safe, safe: again}, nil
}

func clone(from *raft.MemoryStorage) (*raft.MemoryStorage, error) {
	to := raft.NewMemoryStorage()
	hard, _, err := from.InitialState()
	if err != nil {
		return nil, err
	}
	first, err := from.FirstIndex()
	if err != nil {
		return nil, err
	}
	w := host.Write{HardState: hard}
	if first > 1 {
		term, err := from.Term(first - 1)
		if err != nil {
			return nil, err
		}
		w.Snapshot = &pb.SnapshotMetadata{Index: first - 1, Term: term}
	}
	if last, err := from.LastIndex(); err != nil {
		return nil, err
	} else if last >= first {
		if w.Entries, err = from.Entries(first, last+1, math.MaxUint64); err != nil {
			return nil, err
		}
	}
	return to, put(to, &w)
}

// Snapshots is a host.SnapshotStore in memory, which keeps the newest one.
type Snapshots struct {
	mu      sync.Mutex
	meta    pb.SnapshotMetadata
	content []byte
	failing error
	left    int // times to fail
}

var _ host.SnapshotStore = (*Snapshots)(nil)

// Fail makes the next n calls of Create fail with err.
func (s *Snapshots) Fail(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.failing = n, err
}

// Create implements host.SnapshotStore.
func (s *Snapshots) Create(meta pb.SnapshotMetadata) (host.SnapshotSink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		s.left--
		return nil, s.failing
	}
	return &sink{s: s, meta: meta}, nil
}

// Newest implements host.SnapshotStore.
func (s *Snapshots) Newest() (pb.SnapshotMetadata, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta, nil
}

// ErrReplaced is what Open returns when there is a newer snapshot.
var ErrReplaced = errors.New("hosttest: a newer snapshot has taken its place")

// Open implements host.SnapshotStore.
func (s *Snapshots) Open(meta pb.SnapshotMetadata) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if meta.Index != s.meta.Index {
		return nil, ErrReplaced
	}
	return io.NopCloser(bytes.NewReader(s.content)), nil
}

type sink struct {
	bytes.Buffer
	s    *Snapshots
	meta pb.SnapshotMetadata
}

// Commit implements host.SnapshotSink.
func (k *sink) Commit() error {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if k.meta.Index > k.s.meta.Index {
		k.s.meta, k.s.content = k.meta, k.Bytes()
	}
	return nil
}

// Abort implements host.SnapshotSink.
func (k *sink) Abort() error { return nil }
