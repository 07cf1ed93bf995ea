package store

import (
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"quorate.example/raft/examples/kv/internal/wal"
	pb "quorate.example/raft/raftpb"
)

// Outgoing is the state of one moment, on its way to a follower or to somebody's file. It does not follow
// later changes, and keeps Pebble and the log from dropping what it refers to, so it must be released.
type Outgoing struct {
	snap       *pebble.Snapshot
	log        *wal.View // the history refers to it
	generation uint64
	count      *atomic.Int32 // of its kind; may be nil
}

// Snapshot implements raft.Storage: it says where the state stands. The content is what Capture returns.
func (s *Store) Snapshot() (pb.Snapshot, error) {
	return pb.Snapshot{Metadata: s.Applied()}, nil
}

// Applied returns where the state stands.
func (s *Store) Applied() pb.SnapshotMetadata { return s.where().applied }

func (s *Store) where() standing {
	s.position.Lock()
	defer s.position.Unlock()
	return s.standing
}

// Capture returns the state of this moment, which costs nothing: it is Pebble's view of it.
func (s *Store) Capture() *Outgoing {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.removing.RLock()
	defer s.removing.RUnlock()
	return &Outgoing{snap: s.db.NewSnapshot(), log: s.log.View(), generation: s.generation}
}

// Checkpoint returns up to which index the state does not need the log any more. That is all that is applied:
// before the log is made shorter the state is synced.
func (s *Store) Checkpoint() (uint64, error) { return s.Applied().Index, nil }

// Each calls visit with each record of the state. Key and value are valid during the call only. What
// the history leaves to the log is written out, and what it has let go of is left out, so that the
// records are the same whichever member they come from.
func (o *Outgoing) Each(visit func(key, value []byte) error) error {
	prefix := generationPrefix(o.generation)
	it, err := o.snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return err
	}
	h, err := newHistoryReader(o.snap, o.log, o.generation)
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		key := it.Key()[len(prefix):]
		if key[0] == kindHistory {
			if value, err = h.whole(key[1:], value); value == nil {
				continue
			}
		}
		if err == nil {
			err = visit(key, value)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// WriteTo writes all records, as Stage reads them: each key and value with its length in front, then an
// empty key, which no record has, and the number of records.
func (o *Outgoing) WriteTo(w io.Writer) (written int64, err error) {
	buffer := make([]byte, 0, 2*streamBytes)
	flush := func() error {
		n, err := w.Write(buffer)
		written += int64(n)
		buffer = buffer[:0]
		return err
	}
	records := uint64(0)
	err = o.Each(func(key, value []byte) error {
		records++
		buffer = appendBytes(appendBytes(buffer, key), value)
		if len(buffer) < streamBytes {
			return nil
		}
		return flush()
	})
	if err != nil {
		return written, err
	}
	buffer = binary.AppendUvarint(append(buffer, 0), records)
	return written, flush()
}

// Close lets go of the state.
func (o *Outgoing) Close() error {
	if o.count != nil {
		o.count.Add(-1)
	}
	o.log.Close()
	return o.snap.Close()
}

// Release is Close for those who have no use for its error: Pebble's views of a moment have none.
func (o *Outgoing) Release() { _ = o.Close() }

// Position describes where a store stands.
type Position struct {
	Applied   uint64
	Revision  uint64
	FirstLog  uint64
	LastLog   uint64
	LogBytes  int
	ConfState pb.ConfState
}

// Position returns where the store stands.
func (s *Store) Position() Position {
	at := s.where()
	return Position{
		Applied:   at.applied.Index,
		Revision:  at.revision,
		FirstLog:  s.log.FirstIndex(),
		LastLog:   s.log.LastIndex(),
		LogBytes:  s.log.Bytes(),
		ConfState: at.applied.ConfState,
	}
}
