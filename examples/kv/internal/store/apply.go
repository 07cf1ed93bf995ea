package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	pb "quorate.example/raft/raftpb"
)

// Applier carries out committed entries on the state. All of them, and the index of the last one,
// become visible together by Commit.
type Applier struct {
	s        *Store
	batch    *pebble.Batch
	applied  pb.SnapshotMetadata
	revision uint64
	// written holds the revisions of keys that the batch has changed, 0 for those it deleted, so that
	// a later command of the same batch sees them.
	written map[string]uint64
}

// Apply begins to apply committed entries.
func (s *Store) Apply() *Applier {
	return &Applier{
		s:        s,
		batch:    s.db.NewBatch(),
		applied:  s.applied,
		revision: s.revision,
		written:  map[string]uint64{},
	}
}

// Entry applies an ordinary entry and returns the result of its command; an entry without data, as
// every leader writes one when it begins, has none. Entries at or below the applied index are an error.
func (a *Applier) Entry(e pb.Entry) (Result, error) {
	if err := a.step(e); err != nil || len(e.Data) == 0 {
		return Result{}, err
	}
	c, err := DecodeCommand(e.Data)
	if err != nil {
		// Skipping it could make this member differ from one that understands it.
		return Result{}, fmt.Errorf("store: entry %d: %w", e.Index, err)
	}
	return a.command(c)
}

// Configuration applies a configuration entry: conf is the configuration from now on, and peers are
// addresses to remember, with an empty one for a member to forget.
func (a *Applier) Configuration(e pb.Entry, conf pb.ConfState, peers map[uint64]string) error {
	if err := a.step(e); err != nil {
		return err
	}
	a.applied.ConfState = conf
	for id, address := range peers {
		key := peerKey(a.s.generation, id)
		var err error
		if address == "" {
			err = a.batch.Delete(key, nil)
		} else {
			err = a.batch.Set(key, []byte(address), nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Commit makes what was applied visible. It does not wait for the disk: what a crash takes away is
// applied again from the log, which is durable.
func (a *Applier) Commit() error {
	defer a.batch.Close()
	if err := stageMessage(a.batch, keyApplied, &a.applied); err != nil {
		return err
	}
	if a.revision != a.s.revision {
		key := stateKey(a.s.generation, kindRevision, "")
		if err := a.batch.Set(key, uint64Bytes(a.revision), nil); err != nil {
			return err
		}
	}
	if err := a.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	a.s.applied, a.s.revision = a.applied, a.revision
	return nil
}

func (a *Applier) step(e pb.Entry) error {
	if e.Index != a.applied.Index+1 {
		return fmt.Errorf("store: entry %d cannot be applied after entry %d", e.Index, a.applied.Index)
	}
	a.applied.Index, a.applied.Term = e.Index, e.Term
	return nil
}

func (a *Applier) command(c Command) (Result, error) {
	result := Result{ID: c.ID}
	if c.Expect != nil || c.Op == OpDelete {
		found, err := a.revisionOf(c.Key)
		if err != nil {
			return result, err
		}
		result.Found = found
	}
	result.Conflict = c.Expect != nil && *c.Expect != result.Found
	result.Changed = !result.Conflict && (c.Op == OpPut || result.Found != 0)
	if result.Changed {
		a.revision++
		if err := a.change(c); err != nil {
			return result, err
		}
	}
	result.Revision = a.revision
	return result, nil
}

func (a *Applier) change(c Command) error {
	key := stateKey(a.s.generation, kindKey, c.Key)
	if c.Op == OpDelete {
		a.written[c.Key] = 0
		return a.batch.Delete(key, nil)
	}
	a.written[c.Key] = a.revision
	op := a.batch.SetDeferred(len(key), 8+len(c.Value))
	copy(op.Key, key)
	binary.BigEndian.PutUint64(op.Value, a.revision)
	copy(op.Value[8:], c.Value)
	return op.Finish()
}

// revisionOf returns the revision at which the key was last written, 0 if it does not exist.
func (a *Applier) revisionOf(key string) (uint64, error) {
	if revision, ok := a.written[key]; ok {
		return revision, nil
	}
	value, closer, err := a.s.db.Get(stateKey(a.s.generation, kindKey, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if len(value) < 8 {
		return 0, fmt.Errorf("store: the record of key %q is damaged", key)
	}
	return binary.BigEndian.Uint64(value), nil
}
