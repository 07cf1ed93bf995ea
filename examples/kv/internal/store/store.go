// Package store keeps everything one member of the cluster has to remember: the Raft log and the hard state in
// files of their own (package wal), the key-value state itself in a Pebble instance.
//
// Applied entries and the index up to which they are applied are one batch, and a crash leaves either all of it
// or nothing. It is not synced: what a crash takes away is applied again from the log, which gives up nothing
// before the state without it is on the disk.
//
// A Store is a host.LogStore, and most of what a host.DurableStateMachine needs. So three goroutines work
// with it at once: the loop reads the log, the log writer calls Save and Compact, and the applier calls Apply,
// Checkpoint, Capture and Install. All other methods may be called by any goroutine.
package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"quorate.example/raft/examples/kv/internal/wal"
	pb "quorate.example/raft/raftpb"
)

// Options says where a store lives and how much it keeps.
type Options struct {
	// Dir is the directory, which is made if it does not exist.
	Dir string
	// MemberID is written into a new store and must match that of an old one.
	MemberID uint64
	// Cluster is the cluster's name, treated like MemberID.
	Cluster string
	// FS replaces the disk, for tests; nil is the disk.
	FS vfs.FS
	// LogSegmentBytes is the length of the log's files. Zero means 16 MiB.
	LogSegmentBytes int
	// CacheBytes bounds the newest entries that are also held in memory. Zero means 16 MiB.
	CacheBytes int
	// HistoryChanges and HistoryBytes bound the changes that Changes can still tell of. They are part of
	// what the cluster agrees on, so they must be the same on all members. Zero means 4,096 revisions
	// and 16 MiB, less than what stays in the log.
	HistoryChanges int
	HistoryBytes   int
}

// LogDirectory is where the log is, below Options.Dir, which is Pebble's.
const LogDirectory = "log"

const (
	blockCacheBytes = 64 << 20
	memTableBytes   = 16 << 20 // Pebble keeps some logs of this size, to use them again
	stagingBatch    = 1 << 20
	maxExports      = 2
	identityFormat  = "quorate-kv 2 member %d cluster %q"
)

func (o Options) withDefaults() Options {
	if o.HistoryChanges == 0 {
		o.HistoryChanges = 4096
	}
	if o.HistoryBytes == 0 {
		o.HistoryBytes = 16 << 20
	}
	return o
}

func (o *Options) fs() vfs.FS { return cmp.Or(o.FS, vfs.Default) }

// Store is one member's memory. See the package comment for who may call what.
type Store struct {
	db   *pebble.DB
	opts Options

	// generation is written by the applier under the lock; the others take the lock shared for as long
	// as they must find the generation alive.
	mu         sync.RWMutex
	generation uint64
	staged     atomic.Uint64 // the newest generation given out
	staging    atomic.Bool   // whether a snapshot is arriving
	leases     leaseTable
	changes    waker
	exports    exports
	ending     sync.RWMutex // held shared by those who may come late
	closed     bool
	fresh      bool // nothing was ever stored

	log *wal.Log
	// removing is held while entries leave the log, and what the history needs of them goes into the state.
	removing sync.RWMutex

	// standing belongs to the applier, who alone changes it, under the lock.
	position sync.Mutex
	standing standing
	history  history // the applier's
}

// standing is where the state stands.
type standing struct {
	applied  pb.SnapshotMetadata // index, term and configuration
	revision uint64
}

// Open opens the store in opts.Dir, making a new one if there is none, and removes what an
// interrupted snapshot left behind.
func Open(opts Options) (*Store, error) {
	opts = opts.withDefaults()
	cache := pebble.NewCache(blockCacheBytes)
	defer cache.Unref()
	db, err := pebble.Open(opts.Dir, pebbleOptions(opts, cache))
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", opts.Dir, err)
	}
	s := &Store{db: db, opts: opts}
	for _, step := range []func() error{s.checkIdentity, s.loadMeta, s.openLog, s.claim, s.dropOtherGenerations} {
		if err := step(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func pebbleOptions(opts Options, cache *pebble.Cache) *pebble.Options {
	o := &pebble.Options{
		Cache:                 cache,
		FS:                    opts.FS,
		FormatMajorVersion:    pebble.FormatNewest,
		MemTableSize:          memTableBytes,
		L0CompactionThreshold: 4,
		Logger:                quietLogger{},
	}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	return o
}

// quietLogger drops Pebble's chatter about opening and replaying; what it calls fatal stops the
// process, because a store that could not write must not go on.
type quietLogger struct{}

func (quietLogger) Infof(string, ...any)  {}
func (quietLogger) Errorf(string, ...any) {}
func (quietLogger) Fatalf(format string, args ...any) {
	panic("store: " + fmt.Sprintf(format, args...))
}

// Close closes the store. All readers and outgoing snapshots must be done.
func (s *Store) Close() error {
	s.ending.Lock()
	defer s.ending.Unlock()
	s.closed = true
	return s.close()
}

func (s *Store) close() error {
	var err error
	if s.log != nil {
		err = s.log.Close()
	}
	return errors.Join(err, s.db.Close())
}

// Empty reports whether the store has never held an entry, a vote or a snapshot.
func (s *Store) Empty() bool {
	return s.log.HardState() == (pb.HardState{}) && s.log.LastIndex() == 0
}

func (s *Store) identity() string {
	return fmt.Sprintf(identityFormat, s.opts.MemberID, s.opts.Cluster)
}

// checkIdentity keeps a member from running on the memory of another one.
func (s *Store) checkIdentity() error {
	have, err := s.get(keyIdentity)
	if s.fresh = have == nil; err != nil || s.fresh {
		return err
	}
	if want := s.identity(); string(have) != want {
		return fmt.Errorf("store: %s belongs to %q, not to %q", s.opts.Dir, have, want)
	}
	return nil
}

// claim writes into a new store whose it is. From then on it has a log.
func (s *Store) claim() error {
	if !s.fresh {
		return nil
	}
	return s.db.Set(keyIdentity, []byte(s.identity()), pebble.Sync)
}

func (s *Store) loadMeta() error {
	err := s.load(keyApplied, &s.standing.applied)
	if err != nil {
		return err
	}
	if s.generation, err = s.getUint64(keyGeneration); err != nil {
		return err
	}
	s.staged.Store(s.generation)
	return s.loadState()
}

// loadState reads what is held in memory of the present generation.
func (s *Store) loadState() error {
	value, err := s.get(stateKey(s.generation, kindRevision, ""))
	if err != nil {
		return err
	}
	if s.standing.revision, s.history.oldest, err = decodeRevision(value); err != nil {
		return err
	}
	return errors.Join(s.loadHistory(), s.loadLeases())
}

// decodeRevision reads the store revision and the oldest one in the history. Before there was a history
// the record had no second number.
func decodeRevision(value []byte) (revision, oldest uint64, err error) {
	switch len(value) {
	case 0:
		return 0, 1, nil
	case 8:
		revision = binary.BigEndian.Uint64(value)
		return revision, revision + 1, nil
	case 16:
		return binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:]), nil
	}
	return 0, 0, fmt.Errorf("store: the revision takes %d bytes, not 8 or 16", len(value))
}

// dropOtherGenerations removes half-received snapshots and states that were replaced.
func (s *Store) dropOtherGenerations() error {
	b := s.db.NewBatch()
	defer b.Close()
	low, high := generationPrefix(0), prefixEnd([]byte{prefixState})
	for _, r := range [][2][]byte{
		{low, generationPrefix(s.generation)},
		{generationPrefix(s.generation + 1), high},
	} {
		used, err := s.holdsKeys(r[0], r[1])
		if err != nil {
			return err
		}
		if used {
			if err := b.DeleteRange(r[0], r[1], nil); err != nil {
				return err
			}
		}
	}
	if b.Empty() {
		return nil
	}
	return b.Commit(pebble.NoSync)
}

func (s *Store) holdsKeys(low, high []byte) (bool, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return false, err
	}
	found := it.First()
	return found, errors.Join(it.Error(), it.Close())
}

// get returns a copy of the value, nil if the key does not exist.
func (s *Store) get(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := append([]byte{}, value...)
	return out, closer.Close()
}

func (s *Store) getUint64(key []byte) (uint64, error) {
	value, err := s.get(key)
	if err != nil || value == nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("store: %q holds %d bytes, not 8", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

func (s *Store) load(key []byte, to interface{ Unmarshal([]byte) error }) error {
	value, err := s.get(key)
	if err != nil || value == nil {
		return err
	}
	if err := to.Unmarshal(value); err != nil {
		return fmt.Errorf("store: %q: %w", key, err)
	}
	return nil
}
