package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	pb "quorate.example/raft/raftpb"
)

// ErrStagingBusy says that another snapshot is arriving at the moment.
var ErrStagingBusy = errors.New("store: another snapshot is being received")

// Staging receives the content of a snapshot, out of sight, under a generation of its own. A crash
// before it is installed leaves the old state; Open removes the remains.
type Staging struct {
	s          *Store
	generation uint64
	batch      *pebble.Batch
	release    sync.Once
}

// NewStaging begins to receive a snapshot. There can be one at a time: the others get ErrStagingBusy.
// Any goroutine may call it, and use what it returns until it hands it to the loop.
func (s *Store) NewStaging() (*Staging, error) {
	if !s.staging.CompareAndSwap(false, true) {
		return nil, ErrStagingBusy
	}
	return &Staging{s: s, generation: s.staged.Add(1), batch: s.db.NewBatch()}, nil
}

// Put adds one record that an Outgoing on the other side visited.
func (g *Staging) Put(key, value []byte) error {
	if err := g.batch.Set(append(generationPrefix(g.generation), key...), value, nil); err != nil {
		return err
	}
	if g.batch.Len() < stagingBatch {
		return nil
	}
	return g.Flush()
}

// Flush writes what was put so far, without waiting for the disk: the synced batch that installs
// the snapshot stands behind it in the same write-ahead log.
func (g *Staging) Flush() error {
	if g.batch.Empty() {
		return nil
	}
	err := errors.Join(g.batch.Commit(pebble.NoSync), g.batch.Close())
	g.batch = g.s.db.NewBatch()
	return err
}

// Discard removes what was received. It does nothing after the snapshot was installed.
func (g *Staging) Discard() error {
	var err error
	g.release.Do(func() {
		low := generationPrefix(g.generation)
		err = errors.Join(g.batch.Close(), g.s.db.DeleteRange(low, prefixEnd(low), pebble.NoSync))
		g.s.staging.Store(false)
	})
	return err
}

// stageInstall puts into b all that turns this member's state into the snapshot's: where it stands,
// an empty log behind it, and the generation.
func (s *Store) stageInstall(b *pebble.Batch, snap pb.Snapshot, staging *Staging) error {
	if staging == nil {
		return fmt.Errorf("store: snapshot %d has no content", snap.Metadata.Index)
	}
	if err := staging.Flush(); err != nil {
		return err
	}
	meta := snap.Metadata
	old := generationPrefix(s.generation)
	return errors.Join(
		stageMessage(b, keyApplied, &meta),
		stageMessage(b, keySnapshot, &meta),
		stageLogStart(b, position{index: meta.Index, term: meta.Term}),
		b.DeleteRange(logKey(0), prefixEnd([]byte{prefixLog}), nil),
		b.Set(keyGeneration, uint64Bytes(staging.generation), nil),
		b.DeleteRange(old, prefixEnd(old), nil),
	)
}

// installed brings what is held in memory up to the snapshot that was just written.
func (s *Store) installed(snap pb.Snapshot, staging *Staging) error {
	s.generation = staging.generation
	s.applied, s.snapshot = snap.Metadata, snap.Metadata
	s.tail.reset(position{index: snap.Metadata.Index, term: snap.Metadata.Term})
	s.logged.set(&s.tail)
	s.sinceSnap = 0
	var err error
	staging.release.Do(func() {
		err = staging.batch.Close()
		s.staging.Store(false)
	})
	if err != nil {
		return err
	}
	if err := s.loadState(); err != nil {
		return err
	}
	s.changes.wake()
	return nil
}
