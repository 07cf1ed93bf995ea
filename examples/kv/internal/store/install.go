package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

var (
	// ErrStagingBusy says that another snapshot is arriving at the moment.
	ErrStagingBusy = errors.New("store: another snapshot is being received")
	errBadSnapshot = errors.New("store: malformed snapshot")
)

// Staging receives the content of a snapshot, out of sight, under a generation of its own. A crash
// before it is installed leaves the old state; Open removes the remains.
type Staging struct {
	s          *Store
	generation uint64
	batch      *pebble.Batch
	release    sync.Once
}

// NewStaging begins to receive a snapshot. There can be one at a time: the others get ErrStagingBusy.
func (s *Store) NewStaging() (*Staging, error) {
	if !s.staging.CompareAndSwap(false, true) {
		return nil, ErrStagingBusy
	}
	return &Staging{s: s, generation: s.staged.Add(1), batch: s.db.NewBatch()}, nil
}

// Stage receives what an Outgoing of another member wrote.
func (s *Store) Stage(content io.Reader) (*Staging, error) {
	g, err := s.NewStaging()
	if err != nil {
		return nil, err
	}
	if err = readRecords(bufio.NewReaderSize(content, streamBytes), g.Put); err == nil {
		return g, nil
	}
	return nil, errors.Join(err, g.Discard())
}

// streamBytes is how much of a stream is read or written at a time, and maxRecord bounds a record, so that
// memory is not taken for whatever length a stream names.
const (
	streamBytes = 256 << 10
	maxRecord   = 1 << 30
)

// readRecords reads what Outgoing.WriteTo wrote, up to its end.
func readRecords(r *bufio.Reader, put func(key, value []byte) error) error {
	var key, value []byte
	for records := uint64(0); ; records++ {
		var err error
		if key, err = readBytes(r, key); err != nil {
			return err
		}
		if len(key) == 0 {
			return readEnd(r, records)
		}
		if value, err = readBytes(r, value); err != nil {
			return err
		}
		if err := put(key, value); err != nil {
			return err
		}
	}
}

// readEnd reads what follows the last record.
func readEnd(r *bufio.Reader, records uint64) error {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return noEOF(err)
	}
	if n != records {
		return fmt.Errorf("%w: it has %d records and names %d", errBadSnapshot, records, n)
	}
	// The end of the stream says that its source found it whole.
	switch _, err := r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: something follows its end", errBadSnapshot)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// readBytes reads a byte string into buffer, or into a larger one. That grows with what arrives.
func readBytes(r *bufio.Reader, buffer []byte) ([]byte, error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, noEOF(err)
	}
	if size > maxRecord {
		return nil, fmt.Errorf("%w: a record of %d bytes", errBadSnapshot, size)
	}
	buffer = buffer[:0]
	for uint64(len(buffer)) < size {
		old, part := len(buffer), int(min(size-uint64(len(buffer)), streamBytes))
		buffer = append(buffer, make([]byte, part)...)
		if _, err := io.ReadFull(r, buffer[old:]); err != nil {
			return nil, noEOF(err)
		}
	}
	return buffer, nil
}

// noEOF turns an end in the middle into an error that nobody takes for success.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
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

// Discard implements host.Staged: it removes what was received. It does nothing after the snapshot was
// installed, or the store closed, whose next life removes it.
func (g *Staging) Discard() error {
	g.s.ending.RLock()
	defer g.s.ending.RUnlock()
	var err error
	g.release.Do(func() {
		err = g.batch.Close()
		if !g.s.closed {
			low := generationPrefix(g.generation)
			err = errors.Join(err, g.s.db.DeleteRange(low, prefixEnd(low), pebble.NoSync))
		}
		g.s.staging.Store(false)
	})
	return err
}

// Install puts a snapshot that was received in place of the state, in one synced write. The log is not
// touched, and has to be reset by a Save of the snapshot's position.
func (s *Store) Install(meta pb.SnapshotMetadata, staging *Staging) error {
	if meta.Index <= s.standing.applied.Index {
		return raft.ErrSnapOutOfDate
	}
	if err := staging.Flush(); err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	old := generationPrefix(s.generation)
	err := errors.Join(
		stageMessage(b, keyApplied, &meta),
		b.Set(keyGeneration, uint64Bytes(staging.generation), nil),
		b.DeleteRange(old, prefixEnd(old), nil))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return s.installed(meta, staging)
}

// installed brings what is held in memory up to the snapshot that was just written.
func (s *Store) installed(meta pb.SnapshotMetadata, staging *Staging) (err error) {
	s.generation = staging.generation
	staging.release.Do(func() {
		err = staging.batch.Close()
		s.staging.Store(false)
	})
	if err != nil {
		return err
	}
	s.position.Lock()
	defer s.position.Unlock()
	s.standing.applied = meta
	if err := s.loadState(); err != nil {
		return err
	}
	s.changes.wake()
	return nil
}
