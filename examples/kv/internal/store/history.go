package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"quorate.example/raft/examples/kv/internal/wal"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// Change is one change of one key. The changes of one revision belong together.
type Change struct {
	Revision uint64
	Op       Op // OpPut or OpDelete
	Key      string
	Value    []byte
	// Lease is the lease of a key that was put.
	Lease uint64
	// Expired reports whether the key was deleted with its lease.
	Expired bool
}

// CompactedError says that the changes asked for are no longer kept.
type CompactedError struct {
	// Oldest is the first revision whose changes are still there.
	Oldest uint64
}

// Error implements error.
func (e *CompactedError) Error() string {
	return fmt.Sprintf("the history begins at revision %d", e.Oldest)
}

// history is the applier's account of the changes that are kept. A revision's record holds the changes
// whole, or, for the plain write that nearly all of them are, only the index of its log entry, so that a
// value is not written a third time. Compact writes such a record out when its entry goes.
type history struct {
	oldest  uint64
	sizes   []int // of the revisions from oldest on
	bytes   int
	trimmed uint64 // records below are gone
	entry   uint64 // when it was loaded: the first entry that a record named; 0 if none did
}

const (
	historyEntry byte = iota // index of the entry, size of the change
	historyWhole             // the changes

	changeOverhead = 16
	trimEvery      = 512
)

func (c Change) size() int { return changeOverhead + len(c.Key) + len(c.Value) }

// add takes note of the next revision, and lets go of the oldest ones.
func (h *history) add(size int, o *Options) {
	h.sizes = append(h.sizes, size)
	h.bytes += size
	for len(h.sizes) > o.HistoryChanges || h.bytes > o.HistoryBytes && len(h.sizes) > 1 {
		h.bytes -= h.sizes[0]
		h.sizes = h.sizes[1:]
		h.oldest++
	}
}

// recordEntry notes the change that a plain write made.
func (a *Applier) recordEntry(c Change, e *pb.Entry) error {
	if !a.s.log.Has(e.Index) {
		return a.record([]Change{c})
	}
	a.s.history.add(c.size(), &a.s.opts)
	var buffer [1 + 2*binary.MaxVarintLen64]byte
	value := binary.AppendUvarint(append(buffer[:0], historyEntry), e.Index)
	value = binary.AppendUvarint(value, uint64(c.size()))
	return a.batch.Set(numberedKey(a.s.generation, kindHistory, c.Revision), value, nil)
}

// record notes the changes of one revision.
func (a *Applier) record(changes []Change) error {
	size := 0
	for _, c := range changes {
		size += c.size()
	}
	a.s.history.add(size, &a.s.opts)
	key := numberedKey(a.s.generation, kindHistory, changes[0].Revision)
	return a.batch.Set(key, encodeChanges(changes), nil)
}

// trimHistory removes, many at a time, the records that the history has let go of.
func (a *Applier) trimHistory() error {
	h := &a.s.history
	if h.oldest < h.trimmed+trimEvery {
		return nil
	}
	low := numberedKey(a.s.generation, kindHistory, 0)
	high := numberedKey(a.s.generation, kindHistory, h.oldest)
	h.trimmed = h.oldest
	return a.batch.DeleteRange(low, high, nil)
}

// loadHistory reads the sizes of the changes that are kept.
func (s *Store) loadHistory() error {
	h := &s.history
	h.sizes, h.bytes, h.trimmed, h.entry = nil, 0, h.oldest, 0
	next := h.oldest
	err := s.eachOfKind(kindHistory, func(key, value []byte) error {
		if len(key) != 8 {
			return errBadHistory
		}
		revision := binary.BigEndian.Uint64(key)
		if revision < h.oldest {
			return nil
		}
		if revision != next {
			return fmt.Errorf("%w: revision %d follows %d", errBadHistory, revision, next-1)
		}
		next++
		if r := (reader{rest: value}); r.byte() == historyEntry && h.entry == 0 {
			h.entry = r.number()
		}
		size, err := historySize(value)
		h.sizes = append(h.sizes, size)
		h.bytes += size
		return err
	})
	if err == nil && next != s.standing.revision+1 {
		err = fmt.Errorf("%w: it ends at %d, not at %d", errBadHistory, next-1, s.standing.revision)
	}
	return err
}

// keepHistory writes out, into b, the records whose entries up to last are about to go. The applier may let go
// of the oldest ones meanwhile: then some are written that are below the history, until the next trimming. The
// caller holds the lock of the generation.
func (s *Store) keepHistory(b *pebble.Batch, last uint64) error {
	log := s.log.View()
	defer log.Close()
	h, err := newHistoryReader(s.db, log, s.generation)
	if err != nil {
		return err
	}
	low := numberedKey(s.generation, kindHistory, h.oldest)
	high := prefixEnd(stateKey(s.generation, kindHistory, ""))
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		r := reader{rest: it.Value()}
		if r.byte() != historyEntry {
			continue
		}
		if r.number() > last {
			break // the records are in the order of their entries
		}
		var changes []Change
		revision := binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:])
		if changes, err = decodeHistory(log, revision, it.Value()); err == nil {
			err = b.Set(it.Key(), encodeChanges(changes), nil)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// ChangesOptions says which changes Changes returns.
type ChangesOptions struct {
	// From is the first revision wanted.
	From uint64
	// Key is the one key wanted; empty means all that start with Prefix.
	Key    string
	Prefix string
	// MaxBytes bounds the changes in memory; those of at least one revision are returned.
	MaxBytes int
}

// Changes returns the wanted changes in their order, and the revision up to which there are no others.
// It returns a *CompactedError if the history does not reach back to opts.From.
func (s *Store) Changes(opts ChangesOptions) ([]Change, uint64, error) {
	o := s.Capture()
	out, last, err := o.changes(opts)
	return out, last, errors.Join(err, o.Close())
}

func (o *Outgoing) changes(opts ChangesOptions) ([]Change, uint64, error) {
	h, err := newHistoryReader(o.snap, o.log, o.generation)
	if err != nil {
		return nil, 0, err
	}
	if opts.From < h.oldest {
		return nil, 0, &CompactedError{Oldest: h.oldest}
	}
	if opts.From > h.revision {
		return nil, opts.From - 1, nil
	}
	it, err := o.snap.NewIter(&pebble.IterOptions{
		LowerBound: numberedKey(o.generation, kindHistory, opts.From),
		UpperBound: prefixEnd(stateKey(o.generation, kindHistory, "")),
	})
	if err != nil {
		return nil, 0, err
	}
	var out []Change
	last, bytes := h.revision, 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		revision := binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:])
		var found []Change
		if found, err = decodeHistory(o.log, revision, it.Value()); err != nil {
			break
		}
		for _, c := range found {
			if opts.Key != "" && c.Key != opts.Key || opts.Key == "" && !strings.HasPrefix(c.Key, opts.Prefix) {
				continue
			}
			out = append(out, c)
			bytes += c.size()
		}
		if bytes > opts.MaxBytes {
			last = revision
			break
		}
	}
	return out, last, errors.Join(err, it.Error(), it.Close())
}

// historyReader writes out the records of a snapshot's history.
type historyReader struct {
	log              *wal.View
	revision, oldest uint64
}

func newHistoryReader(from pebble.Reader, log *wal.View, generation uint64) (h historyReader, err error) {
	h.log = log
	value, closer, err := from.Get(stateKey(generation, kindRevision, ""))
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return h, err
	}
	h.revision, h.oldest, err = decodeRevision(value)
	if closer != nil {
		err = errors.Join(err, closer.Close())
	}
	return h, err
}

// whole returns a record with the changes in it, nil if the history has let go of it.
func (h historyReader) whole(revision, value []byte) ([]byte, error) {
	if len(revision) != 8 {
		return nil, errBadHistory
	}
	n := binary.BigEndian.Uint64(revision)
	if n < h.oldest {
		return nil, nil
	}
	changes, err := decodeHistory(h.log, n, value)
	if err != nil {
		return nil, err
	}
	return encodeChanges(changes), nil
}

var errBadHistory = errors.New("store: the history is damaged")

func encodeChanges(changes []Change) []byte {
	out := binary.AppendUvarint([]byte{historyWhole}, uint64(len(changes)))
	for _, c := range changes {
		expired := byte(0)
		if c.Expired {
			expired = 1
		}
		out = append(out, byte(c.Op), expired)
		out = binary.AppendUvarint(out, c.Lease)
		out = appendBytes(appendBytes(out, c.Key), c.Value)
	}
	return out
}

// historySize returns the size of a record's changes.
func historySize(value []byte) (int, error) {
	r := reader{rest: value}
	if r.byte() == historyEntry {
		r.number()
		return int(r.number()), badHistory(&r)
	}
	changes, err := decodeHistory(nil, 0, value)
	size := 0
	for _, c := range changes {
		size += c.size()
	}
	return size, err
}

// decodeHistory returns the changes of a revision, from its record or from the log entry that it names.
func decodeHistory(log *wal.View, revision uint64, value []byte) ([]Change, error) {
	r := reader{rest: value}
	switch r.byte() {
	case historyEntry:
		return changesOfEntry(log, revision, r.number())
	case historyWhole:
	default:
		return nil, errBadHistory
	}
	var out []Change
	for range r.count() {
		c := Change{Revision: revision, Op: Op(r.byte()), Expired: r.byte() != 0, Lease: r.number()}
		c.Key = string(r.bytes())
		c.Value = append([]byte{}, r.bytes()...)
		out = append(out, c)
	}
	return out, badHistory(&r)
}

func changesOfEntry(log *wal.View, revision, index uint64) ([]Change, error) {
	e, err := log.Entry(index)
	if err != nil {
		return nil, fmt.Errorf("%w: entry %d of revision %d: %w", errBadHistory, index, revision, err)
	}
	c, err := DecodeCommand(proposed(e.Data))
	if err != nil {
		return nil, err
	}
	return []Change{{
		Revision: revision, Op: c.Op, Key: c.Key, Value: c.Value, Lease: c.Lease,
	}}, nil
}

// frameBytes is the length of the frame that host puts before what a follower forwarded; see there.
const frameBytes = len(host.FrameMagic) + 3*8

// proposed returns what was proposed, of the data of an entry as the log has it.
func proposed(data []byte) []byte {
	if len(data) >= frameBytes && string(data[:len(host.FrameMagic)]) == host.FrameMagic {
		return data[frameBytes:]
	}
	return data
}

func badHistory(r *reader) error {
	if r.bad {
		return errBadHistory
	}
	return nil
}
