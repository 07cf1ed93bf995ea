package store

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/rafttest"
)

// suiteStore is a Store behind the face that the suite tests. The suite writes parts one at a time and from
// several goroutines; a Store gets them as Readys from its loop, so the adapter takes a lock and packs.
type suiteStore struct {
	mu sync.Mutex
	t  testing.TB
	fs *vfs.MemFS
	s  *Store
}

var _ rafttest.Reopener = (*suiteStore)(nil)

const suiteKey = "data"

func openSuiteStore(t testing.TB, fs *vfs.MemFS) (*suiteStore, error) {
	s, err := Open(Options{FS: fs, Dir: "store", MemberID: 1, Cluster: "suite"})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		s.ReleaseUnclaimed()
		_ = s.Close()
	})
	return &suiteStore{t: t, fs: fs, s: s}, nil
}

// The store keeps the contract of raft.Storage and of its writers, also through power cuts.
func TestStoreKeepsTheStorageContract(t *testing.T) {
	rafttest.TestStorage(t, func(t testing.TB) rafttest.Storage {
		s, err := openSuiteStore(t, vfs.NewCrashableMem())
		require.NoError(t, err)
		return s
	})
}

// Reopen opens what a power cut leaves of what was synced, and nothing else.
func (a *suiteStore) Reopen() (rafttest.Storage, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return openSuiteStore(a.t, a.fs.CrashClone(vfs.CrashCloneCfg{}))
}

func (a *suiteStore) InitialState() (pb.HardState, pb.ConfState, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.s.InitialState()
}

func (a *suiteStore) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.s.Entries(lo, hi, maxSize)
}

func (a *suiteStore) Term(i uint64) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.s.Term(i)
}

func (a *suiteStore) LastIndex() (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.s.LastIndex()
}

func (a *suiteStore) FirstIndex() (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.s.FirstIndex()
}

// Snapshot returns the content where the Store returns a token for it: the transport streams it.
func (a *suiteStore) Snapshot() (pb.Snapshot, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.s.snapshot.Index == 0 {
		return pb.Snapshot{}, nil
	}
	snap, err := a.s.Snapshot()
	if err != nil {
		return snap, err
	}
	out, err := a.s.Claim(snap)
	if err != nil {
		return snap, err
	}
	defer out.Close()
	snap.Data, snap.Metadata = nil, a.s.snapshot
	err = out.Each(func(key, value []byte) error {
		if string(key) == suiteKey {
			snap.Data = append([]byte(nil), value...)
		}
		return nil
	})
	return snap, err
}

// Append leaves out what is compacted, which the library never hands to a host.
func (a *suiteStore) Append(entries []pb.Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(entries) > 0 && entries[0].Index < a.s.tail.first() {
		entries = entries[1:]
	}
	return a.s.Save(raft.Ready{Entries: entries, MustSync: true}, nil)
}

func (a *suiteStore) SetHardState(st pb.HardState) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.s.Save(raft.Ready{HardState: st, MustSync: true}, nil)
}

// ApplySnapshot receives and installs as the loop does; an older one never comes out of the library.
func (a *suiteStore) ApplySnapshot(snap pb.Snapshot) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if snap.Metadata.Index <= a.s.snapshot.Index {
		return raft.ErrSnapOutOfDate
	}
	staging, err := a.s.NewStaging()
	if err != nil {
		return err
	}
	if err := staging.Put([]byte(suiteKey), snap.Data); err != nil {
		return err
	}
	return a.s.Save(raft.Ready{Snapshot: snap, MustSync: true}, staging)
}

// Compact drops the log up to i by the Store's own Compact, which goes by what is applied: to compact says
// that it is. To the suite the snapshot stays the one that was installed, so that is put back.
func (a *suiteStore) Compact(i uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.s
	if i < s.tail.first() {
		return raft.ErrCompacted
	}
	term, _ := s.tail.term(i)
	s.applied.Index, s.applied.Term = i, term
	installed := s.snapshot
	s.opts.SnapshotEntries, s.opts.KeepEntries = 1, 0
	if _, err := s.Compact(); err != nil {
		return err
	}
	s.snapshot = installed
	b := s.db.NewBatch()
	defer b.Close()
	if err := errors.Join(stageMessage(b, keyApplied, &s.applied), stageMessage(b, keySnapshot, &installed)); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}
