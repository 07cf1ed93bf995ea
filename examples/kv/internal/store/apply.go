package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	pb "quorate.example/raft/raftpb"
)

// Applier carries out committed entries on the state. All of them, and the index of the last one,
// become visible together by Commit. After an error the store must not be used any more.
type Applier struct {
	s        *Store
	batch    *pebble.Batch
	applied  pb.SnapshotMetadata
	revision uint64
	// written holds the keys that the batch has changed, with revision 0 those it deleted, so that a
	// later command of the same batch sees them. Values point into the entries.
	written map[string]Item
}

// Apply begins to apply committed entries.
func (s *Store) Apply() *Applier {
	return &Applier{
		s:        s,
		batch:    s.db.NewBatch(),
		applied:  s.standing.applied,
		revision: s.standing.revision,
		written:  map[string]Item{},
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
	return a.command(c, &e)
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
	changed := a.revision != a.s.standing.revision
	if changed {
		key := stateKey(a.s.generation, kindRevision, "")
		value := binary.BigEndian.AppendUint64(uint64Bytes(a.revision), a.s.history.oldest)
		if err := errors.Join(a.batch.Set(key, value, nil), a.trimHistory()); err != nil {
			return err
		}
	}
	if err := a.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	a.s.position.Lock()
	a.s.standing = standing{a.applied, a.revision}
	a.s.position.Unlock()
	if changed {
		a.s.changes.wake()
	}
	return nil
}

func (a *Applier) step(e pb.Entry) error {
	if e.Index != a.applied.Index+1 {
		return fmt.Errorf("store: entry %d cannot be applied after entry %d", e.Index, a.applied.Index)
	}
	a.applied.Index, a.applied.Term = e.Index, e.Term
	return nil
}

// command carries out the command of an entry.
func (a *Applier) command(c Command, e *pb.Entry) (Result, error) {
	switch c.Op {
	case OpPut, OpDelete:
		return a.write(c, e)
	case OpTxn:
		return a.txn(c)
	}
	return a.lease(c, e.Term)
}

func (a *Applier) write(c Command, e *pb.Entry) (Result, error) {
	result := Result{ID: c.ID, Revision: a.revision}
	if c.Expect != nil || c.Op == OpDelete {
		item, err := a.current(c.Key, false)
		if err != nil {
			return result, err
		}
		result.Found = item.Revision
	}
	result.Conflict = c.Expect != nil && *c.Expect != result.Found
	if c.Op == OpPut && !result.Conflict {
		result.Refusal = a.s.leases.mayAttach(c.Lease, c.Key)
	}
	result.Changed = !result.Conflict && result.Refusal == "" && (c.Op == OpPut || result.Found != 0)
	if !result.Changed {
		return result, nil
	}
	a.revision++
	result.Revision = a.revision
	change := Change{Revision: a.revision, Op: c.Op, Key: c.Key, Value: c.Value, Lease: c.Lease}
	if err := a.change(change); err != nil {
		return result, err
	}
	return result, a.recordEntry(change, e)
}

// change writes one change to the state.
func (a *Applier) change(c Change) error {
	if err := a.attach(c.Key, c.Lease); err != nil {
		return err
	}
	key := stateKey(a.s.generation, kindKey, c.Key)
	if c.Op == OpDelete {
		a.written[c.Key] = Item{}
		return a.batch.Delete(key, nil)
	}
	a.written[c.Key] = Item{Key: c.Key, Value: c.Value, Revision: c.Revision}
	op := a.batch.SetDeferred(len(key), 8+len(c.Value))
	copy(op.Key, key)
	binary.BigEndian.PutUint64(op.Value, c.Revision)
	copy(op.Value[8:], c.Value)
	return op.Finish()
}

// current returns the item at key, with revision 0 if it does not exist.
func (a *Applier) current(key string, withValue bool) (Item, error) {
	if item, ok := a.written[key]; ok {
		return item, nil
	}
	value, closer, err := a.s.db.Get(stateKey(a.s.generation, kindKey, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return Item{}, nil
	}
	if err != nil {
		return Item{}, err
	}
	defer closer.Close()
	item, err := decodeItem(key, value)
	item.Value = pick(withValue, item.Value)
	return item, err
}
