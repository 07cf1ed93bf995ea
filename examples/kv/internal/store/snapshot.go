package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Outgoing is the state of one moment, on its way to a follower. It does not follow later changes,
// and keeps Pebble from dropping what it refers to, so it must be closed.
type Outgoing struct {
	snap       *pebble.Snapshot
	generation uint64
	streaming  *atomic.Int32
}

// Snapshot implements raft.Storage. The state machine is in the same instance as the log, so
// a snapshot is Pebble's view of this moment, which costs nothing to make; its Data is only the
// number under which Claim hands the view to the transport.
func (s *Store) Snapshot() (pb.Snapshot, error) {
	if s.applied.Index == 0 || len(s.outgoing)+int(s.streaming.Load()) >= maxOutgoing {
		return pb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	s.nextToken++
	s.outgoing[s.nextToken] = &Outgoing{
		snap:       s.db.NewSnapshot(),
		generation: s.generation,
		streaming:  s.streaming,
	}
	return pb.Snapshot{Data: uint64Bytes(s.nextToken), Metadata: s.applied}, nil
}

// Claim returns the content of a snapshot that Snapshot gave out. The caller closes it.
func (s *Store) Claim(snap pb.Snapshot) (*Outgoing, error) {
	if len(snap.Data) == 8 {
		token := binary.BigEndian.Uint64(snap.Data)
		if o := s.outgoing[token]; o != nil {
			delete(s.outgoing, token)
			s.streaming.Add(1)
			return o, nil
		}
	}
	return nil, fmt.Errorf("store: no snapshot prepared for index %d", snap.Metadata.Index)
}

// ReleaseUnclaimed drops the snapshots that were prepared for messages which were never sent.
func (s *Store) ReleaseUnclaimed() {
	for token, o := range s.outgoing {
		delete(s.outgoing, token)
		o.snap.Close()
	}
}

// Each calls visit with each record of the state. Key and value are valid during the call only. What
// the history leaves to the log is written out, and what it has let go of is left out, so that the
// records are the same whichever member they come from.
func (o *Outgoing) Each(visit func(key, value []byte) error) error {
	prefix := generationPrefix(o.generation)
	it, err := o.snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return err
	}
	h, err := newHistoryReader(o.snap, o.generation)
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

// Close lets go of the state.
func (o *Outgoing) Close() error {
	o.streaming.Add(-1)
	return o.snap.Close()
}

// Compact takes a snapshot if enough was applied since the last one, and removes the log entries that
// it makes superfluous, except for a tail. It reports whether it did.
//
// Taking a snapshot means writing down its position: the content is the state itself.
func (s *Store) Compact() (bool, error) {
	entries := s.applied.Index - s.snapshot.Index
	if entries < s.opts.SnapshotEntries && (s.sinceSnap < s.opts.SnapshotBytes || entries == 0) {
		return false, nil
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := stageMessage(b, keySnapshot, &s.applied); err != nil {
		return false, err
	}
	start := s.compactionPoint()
	if start > s.tail.start.index {
		if err := s.keepHistory(b, start); err != nil {
			return false, err
		}
		if err := b.DeleteRange(logKey(s.tail.first()), logKey(start+1), nil); err != nil {
			return false, err
		}
		term, _ := s.tail.term(start)
		if err := stageLogStart(b, position{index: start, term: term}); err != nil {
			return false, err
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return false, err
	}
	s.snapshot, s.sinceSnap = s.applied, 0
	if start > s.tail.start.index {
		s.tail.compact(start)
		s.logged.set(&s.tail)
	}
	return true, nil
}

// compactionPoint returns the last entry that need not be kept.
func (s *Store) compactionPoint() uint64 {
	i, entries, bytes := s.applied.Index, uint64(0), 0
	for i > s.tail.start.index && entries < s.opts.KeepEntries && bytes < s.opts.KeepBytes {
		bytes += s.tail.slots[i-s.tail.first()].bytes
		entries++
		i--
	}
	return i
}

func stageLogStart(b *pebble.Batch, start position) error {
	value := binary.BigEndian.AppendUint64(uint64Bytes(start.index), start.term)
	return b.Set(keyLogStart, value, nil)
}

// Position describes where a store stands. It belongs to the loop.
type Position struct {
	Applied   uint64
	Revision  uint64
	Snapshot  uint64
	FirstLog  uint64
	LastLog   uint64
	LogBytes  int
	ConfState pb.ConfState
}

// Position returns where the store stands.
func (s *Store) Position() Position {
	return Position{
		Applied:   s.applied.Index,
		Revision:  s.revision,
		Snapshot:  s.snapshot.Index,
		FirstLog:  s.tail.first(),
		LastLog:   s.tail.last(),
		LogBytes:  s.tail.bytes,
		ConfState: s.applied.ConfState,
	}
}
