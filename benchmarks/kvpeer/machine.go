package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/hashicorp/raft"
)

// The key space of a member's Pebble instance: the keys of clients, and what is known of the state as a
// whole.
var (
	keyRevision = []byte("mrevision")
	keyApplied  = []byte("mapplied")
	keyLeader   = []byte("mleader")
)

const (
	prefixKey       = 'k'
	blockCacheBytes = 64 << 20
	memTableBytes   = 32 << 20
	restoreBatch    = 1 << 20
)

// machine is the state machine: every put gives its key the next revision. Like the state of kv it lives in
// Pebble and is applied without a sync, because what a crash takes away is applied again from the log.
type machine struct {
	db       *pebble.DB
	applied  uint64
	revision atomic.Uint64
	leader   atomic.Pointer[string] // where the newest leader serves clients
}

var _ raft.BatchingFSM = (*machine)(nil)

func openMachine(dir string) (*machine, error) {
	cache := pebble.NewCache(blockCacheBytes)
	defer cache.Unref()
	options := &pebble.Options{
		Cache:                 cache,
		FormatMajorVersion:    pebble.FormatNewest,
		MemTableSize:          memTableBytes,
		L0CompactionThreshold: 4,
		Logger:                quiet{},
	}
	options.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	db, err := pebble.Open(dir, options)
	if err != nil {
		return nil, err
	}
	m := &machine{db: db}
	if err := m.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return m, nil
}

// quiet drops what Pebble says about its own work.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// load reads what is also held in memory.
func (m *machine) load() error {
	revision, err := m.number(keyRevision)
	if err != nil {
		return err
	}
	m.revision.Store(revision)
	if m.applied, err = m.number(keyApplied); err != nil {
		return err
	}
	address, err := m.value(keyLeader)
	if err == nil && address != nil {
		text := string(address)
		m.leader.Store(&text)
	}
	return err
}

// value returns a copy of a value, nil if there is none.
func (m *machine) value(key []byte) ([]byte, error) {
	value, closer, err := m.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

func (m *machine) number(key []byte) (uint64, error) {
	value, err := m.value(key)
	if err != nil || value == nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("%s takes %d bytes, not 8", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// get returns a client's value and its revision, which is 0 if there is none.
func (m *machine) get(key string) ([]byte, uint64, error) {
	value, err := m.value(stateKey(key))
	if err != nil || value == nil {
		return nil, 0, err
	}
	return value[8:], binary.BigEndian.Uint64(value), nil
}

func stateKey(key string) []byte { return append([]byte{prefixKey}, key...) }

// The commands that entries hold: the operation, and for a put the length of the key, the key, the value.
const (
	opPut    byte = 1
	opLeader byte = 2 // the rest is where the new leader serves clients
)

func encodePut(key string, value []byte) []byte {
	out := make([]byte, 0, 1+binary.MaxVarintLen32+len(key)+len(value))
	out = binary.AppendUvarint(append(out, opPut), uint64(len(key)))
	return append(append(out, key...), value...)
}

func encodeLeader(address string) []byte { return append([]byte{opLeader}, address...) }

// Apply implements raft.FSM.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM: all entries go into one batch of Pebble's. The answer to a put
// is its revision.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	batch := m.db.NewBatch()
	defer batch.Close()
	answers := make([]any, len(logs))
	revision := m.revision.Load()
	for i, l := range logs {
		if l.Index <= m.applied {
			continue // replayed after a start, and in the state already
		}
		m.applied = l.Index
		if l.Type != raft.LogCommand || len(l.Data) == 0 {
			continue
		}
		switch l.Data[0] {
		case opPut:
			revision++
			must(put(batch, l.Data[1:], revision))
			answers[i] = revision
		case opLeader:
			address := string(l.Data[1:])
			must(batch.Set(keyLeader, l.Data[1:], nil))
			m.leader.Store(&address)
		default:
			panic(fmt.Sprintf("entry %d holds operation %d", l.Index, l.Data[0]))
		}
	}
	must(batch.Set(keyRevision, binary.BigEndian.AppendUint64(nil, revision), nil))
	must(batch.Set(keyApplied, binary.BigEndian.AppendUint64(nil, m.applied), nil))
	must(batch.Commit(pebble.NoSync))
	m.revision.Store(revision)
	return answers
}

// must ends a process that cannot go on: the interface has no way to return an error.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func put(batch *pebble.Batch, data []byte, revision uint64) error {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return errors.New("an entry holds a malformed put")
	}
	key, value := data[n:n+int(size)], data[n+int(size):]
	op := batch.SetDeferred(1+len(key), 8+len(value))
	op.Key[0] = prefixKey
	copy(op.Key[1:], key)
	binary.BigEndian.PutUint64(op.Value, revision)
	copy(op.Value[8:], value)
	return op.Finish()
}

// Snapshot implements raft.FSM.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return &view{m.db.NewSnapshot()}, nil }

// view is the state of one moment.
type view struct{ snap *pebble.Snapshot }

// Persist implements raft.FSMSnapshot: each record with two lengths in front, then an empty key.
func (v *view) Persist(sink raft.SnapshotSink) error {
	if err := v.write(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (v *view) write(to io.Writer) error {
	w := bufio.NewWriterSize(to, restoreBatch)
	it, err := v.snap.NewIter(nil)
	if err != nil {
		return err
	}
	var head []byte
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		head = binary.AppendUvarint(head[:0], uint64(len(it.Key())))
		head = binary.AppendUvarint(head, uint64(len(it.Value())))
		_, err = w.Write(append(append(head, it.Key()...), it.Value()...))
	}
	if err == nil {
		err = w.WriteByte(0)
	}
	return errors.Join(err, it.Error(), it.Close(), w.Flush())
}

// Release implements raft.FSMSnapshot.
func (v *view) Release() { _ = v.snap.Close() } // a view of Pebble's has no errors to tell

// Restore implements raft.FSM.
func (m *machine) Restore(from io.ReadCloser) error {
	defer from.Close()
	if err := m.db.DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync); err != nil {
		return err
	}
	r := bufio.NewReaderSize(from, restoreBatch)
	batch := m.db.NewBatch()
	defer func() { batch.Close() }()
	for {
		more, err := readRecord(r, batch)
		if err != nil {
			return err
		}
		if more && batch.Len() < restoreBatch {
			continue
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		if !more {
			return m.load()
		}
		batch.Close()
		batch = m.db.NewBatch()
	}
}

// readRecord adds the next record to the batch, and reports whether there was one.
func readRecord(r *bufio.Reader, batch *pebble.Batch) (bool, error) {
	key, err := binary.ReadUvarint(r)
	if err != nil || key == 0 {
		return false, err
	}
	value, err := binary.ReadUvarint(r)
	if err != nil {
		return false, err
	}
	op := batch.SetDeferred(int(key), int(value))
	if _, err := io.ReadFull(r, op.Key); err != nil {
		return false, err
	}
	if _, err := io.ReadFull(r, op.Value); err != nil {
		return false, err
	}
	return true, op.Finish()
}
