package store

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/rafttest"
)

// Claim: the Store keeps every rule of the storage contract, whether its entries are in memory or have
// to be read from the disk. Where it is meant to differ, the methods of suiteStorage say how.
func TestStoreKeepsTheStorageContract(t *testing.T) {
	for name, cacheBytes := range map[string]int{"EntriesInMemory": 0, "EntriesOnDisk": 1} {
		t.Run(name, func(t *testing.T) {
			rafttest.TestStorage(t, func(t testing.TB) rafttest.Storage {
				return newSuiteStorage(t, vfs.NewCrashableMem(), cacheBytes)
			})
		})
	}
}

// Claim: what the Store gives out as a snapshot is its state as of the applied index, which a
// compaction never overtakes. It is the one answer that the adapter translates for the suite.
func TestSnapshotIsNeverBehindTheLogsStart(t *testing.T) {
	c := newSuiteStorage(t, vfs.NewCrashableMem(), 0)
	meta := pb.SnapshotMetadata{Index: 7, Term: 3, ConfState: pb.ConfState{Voters: []uint64{1}}}
	require.NoError(t, c.ApplySnapshot(pb.Snapshot{Data: []byte("state"), Metadata: meta}))
	require.NoError(t, c.Append([]pb.Entry{{Index: 8, Term: 4}, {Index: 9, Term: 5}}))
	require.NoError(t, c.Compact(9))
	snap, err := c.stateAsSnapshot()
	require.NoError(t, err)
	meta.Index, meta.Term = 9, 5
	require.Equal(t, pb.Snapshot{Data: []byte("state"), Metadata: meta}, snap)
}

var _ rafttest.Reopener = (*suiteStorage)(nil)

// suiteStorage gives a Store the write methods that the suite calls, by way of those that the member's
// loop calls.
type suiteStorage struct {
	t          testing.TB
	fs         *vfs.MemFS
	cacheBytes int

	// The suite writes from several goroutines, but the log writer and the applier of a Store are one each.
	// The lock stands for both. Reads need none.
	mu sync.Mutex
	s  *Store

	received  pb.SnapshotMetadata // of the last ApplySnapshot since the store was opened
	compacted uint64              // the last index that a Compact applied, likewise
}

func newSuiteStorage(t testing.TB, fs *vfs.MemFS, cacheBytes int) *suiteStorage {
	s, err := Open(Options{Dir: "data", FS: fs, CacheBytes: cacheBytes, LogSegmentBytes: 16 << 10})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &suiteStorage{t: t, fs: fs, cacheBytes: cacheBytes, s: s}
}

// Reopen opens what the disk holds after a power cut that takes all that was not synced. The store that
// is given up stays open on its own disk until the test ends.
func (c *suiteStorage) Reopen() (rafttest.Storage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return newSuiteStorage(c.t, c.fs.CrashClone(vfs.CrashCloneCfg{}), c.cacheBytes), nil
}

func (c *suiteStorage) Append(entries []pb.Entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.Save(host.Write{Entries: entries, Sync: true})
}

func (c *suiteStorage) SetHardState(hs pb.HardState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.s.Save(host.Write{HardState: hs, Sync: true}); err != nil {
		return err
	}
	return c.s.log.Flush() // the store does not sync for a commit index alone
}

// snapshotRecord is the key of the replicated state under which a snapshot's data is kept.
const snapshotRecord = "data of the snapshot"

// ApplySnapshot receives a state of one key. In a Store the Data of a snapshot is only the number under
// which the transport finds the content, so what the suite puts there travels as content.
func (c *suiteStorage) ApplySnapshot(snap pb.Snapshot) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	staging, err := c.s.NewStaging()
	if err != nil {
		return err
	}
	defer func() { require.NoError(c.t, staging.Discard()) }()
	head := len(generationPrefix(0))
	key := stateKey(0, kindKey, snapshotRecord)[head:]
	if err := staging.Put(key, append(uint64Bytes(1), snap.Data...)); err != nil {
		return err
	}
	if err := staging.Put(stateKey(0, kindRevision, "")[head:], uint64Bytes(1)); err != nil {
		return err
	}
	if err := c.s.Install(snap.Metadata, staging); err != nil {
		return err
	}
	if err := c.s.Save(host.Write{Snapshot: &snap.Metadata, Sync: true}); err != nil {
		return err
	}
	c.received, c.compacted = snap.Metadata, 0
	return nil
}

// Compact applies the entries up to index first: a Store keeps what it has not applied.
func (c *suiteStorage) Compact(index uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.applyTo(index); err != nil {
		return err
	}
	return c.s.Compact(index)
}

// applyTo applies entries without carrying out what they say: the suite's are no commands.
func (c *suiteStorage) applyTo(index uint64) error {
	if index <= c.s.standing.applied.Index {
		return nil
	}
	entries, err := c.s.Entries(c.s.standing.applied.Index+1, index+1, math.MaxUint64)
	if err != nil {
		return err
	}
	a := c.s.Apply()
	for _, e := range entries {
		if err := a.Configuration(e, c.s.standing.applied.ConfState, nil); err != nil {
			return err
		}
	}
	c.compacted = index
	return a.Commit()
}

// Snapshot gives the snapshot that was received last, as the suite wants it even when the log was
// compacted since. By design a Store does not keep that one: its snapshot is the state, which has moved
// on to the compacted index. Nothing but index and term is translated, and those are checked first.
func (c *suiteStorage) Snapshot() (pb.Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	snap, err := c.stateAsSnapshot()
	if err != nil || c.received.Index == 0 || c.compacted == 0 {
		return snap, err
	}
	term, err := c.s.Term(c.compacted)
	if err != nil {
		return snap, err
	}
	if snap.Metadata.Index != c.compacted || snap.Metadata.Term != term {
		return snap, fmt.Errorf("snapshot at index %d, term %d, after a compaction to index %d, term %d",
			snap.Metadata.Index, snap.Metadata.Term, c.compacted, term)
	}
	snap.Metadata.Index, snap.Metadata.Term = c.received.Index, c.received.Term
	return snap, nil
}

// stateAsSnapshot is the Store's own snapshot, with the content in place of its number.
func (c *suiteStorage) stateAsSnapshot() (pb.Snapshot, error) {
	snap, err := c.s.Snapshot()
	if err != nil {
		return snap, err
	}
	out := c.s.Capture()
	defer func() { require.NoError(c.t, out.Close()) }()
	snap.Data = nil
	want := stateKey(0, kindKey, snapshotRecord)[len(generationPrefix(0)):]
	return snap, out.Each(func(key, value []byte) error {
		if bytes.Equal(key, want) {
			snap.Data = bytes.Clone(value[8:])
		}
		return nil
	})
}

func (c *suiteStorage) InitialState() (pb.HardState, pb.ConfState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.InitialState()
}

func (c *suiteStorage) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.Entries(lo, hi, maxSize)
}

func (c *suiteStorage) Term(i uint64) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.Term(i)
}

func (c *suiteStorage) FirstIndex() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.FirstIndex()
}

func (c *suiteStorage) LastIndex() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.LastIndex()
}
