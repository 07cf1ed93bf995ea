// Package wal keeps a Raft log, with term, vote and commit index, in files of its own. What is saved together
// is one record, which a crash leaves whole or not at all.
//
// Records fill segments, one file after the other, each of full length before it is used. Segments whose
// entries are compacted are used again. So a sync writes data and nothing else; a file that grows, or a tree
// that keeps entries in order, costs several times as much.
//
// A power cut may take what was not synced, in any order of blocks. What was synced must be there: Open tells a
// torn end from damage by the records behind it, each of which says how much was on the disk when it was
// written. See record.go for the layout.
package wal

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quorate.example/raft"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// ErrDamaged says that records are gone that were on the disk. A member that went on without them would have
// forgotten what it promised.
var ErrDamaged = errors.New("wal: the log is damaged")

// Options says where a log lives.
type Options struct {
	// Dir is the directory, which is made if it does not exist. Nothing else may be in it.
	Dir string
	// FS replaces the disk, for tests; nil is the disk.
	FS vfs.FS
	// SegmentBytes is the length of a segment. Zero means 16 MiB. A larger write has a longer one.
	SegmentBytes int
	// MustExist makes it an error that there is no log.
	MustExist bool
	// CacheBytes bounds the newest entries that are also held in memory. Zero means 16 MiB.
	CacheBytes int
}

// Log is a log that is open. One goroutine at a time may call Save, Compact and Close, any number the other
// methods meanwhile.
type Log struct {
	files files

	// The writer's.
	segments []*segment // oldest first; the newest is written to
	offset   int64      // in the newest, of the next record
	number   uint64     // of the last record
	dead     uint64     // the highest that a record had which is not of the log any more, or number
	durable  uint64     // of the last record that is on the disk
	begun    bool       // a record was written in this life
	prepared bool       // there is a spare for the next segment, or will be
	late     bool       // the commit index is not written
	buffer   []byte
	places   []place
	failure  error

	mu      sync.RWMutex // held by the writer to change what follows
	hard    pb.HardState
	outline outline
	views   map[*View]struct{}
}

// Open opens the log in o.Dir, making a new one if there is none. It returns ErrDamaged if the log has lost
// what it once had.
func Open(o Options) (*Log, error) {
	l := newLog(o)
	if err := l.open(o.MustExist); err != nil {
		return nil, errors.Join(fmt.Errorf("wal: open %s: %w", o.Dir, err), l.closeFiles())
	}
	return l, nil
}

func newLog(o Options) *Log {
	return &Log{
		files:   files{fs: cmp.Or(o.FS, vfs.Default), dir: o.Dir, size: int64(cmp.Or(o.SegmentBytes, 16<<20))},
		outline: outline{cacheLimit: cmp.Or(o.CacheBytes, 16<<20)},
		views:   map[*View]struct{}{},
	}
}

func (l *Log) open(mustExist bool) (err error) {
	f := &l.files
	if err := f.openDir(); err != nil {
		return err
	}
	if l.segments, err = f.list(); err != nil {
		return err
	}
	if err := l.replay(); err != nil {
		return err
	}
	switch {
	case len(l.segments) > 0:
		return nil
	case mustExist:
		return fmt.Errorf("%w: it is gone", ErrDamaged)
	}
	return l.nextSegment(1)
}

// FirstIndex returns the index of the first entry that is there, or will be.
func (l *Log) FirstIndex() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.outline.first()
}

// LastIndex returns the index of the last entry, or of the one before the first if there is none.
func (l *Log) LastIndex() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.outline.last()
}

// Start returns the position before the first entry.
func (l *Log) Start() Position {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.outline.start
}

// HardState returns what was saved last.
func (l *Log) HardState() pb.HardState {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.hard
}

// Bytes returns how long all entries are.
func (l *Log) Bytes() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.outline.bytes
}

// Has reports whether the log has an entry.
func (l *Log) Has(index uint64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.outline.has(index)
}

// Term is that of raft.Storage. It never reads the disk.
func (l *Log) Term(i uint64) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	term, ok := l.outline.term(i)
	switch {
	case ok:
		return term, nil
	case i < l.outline.start.Index:
		return 0, raft.ErrCompacted
	}
	return 0, raft.ErrUnavailable
}

// Entries is that of raft.Storage. The entries must not be changed.
func (l *Log) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	o := &l.outline
	switch {
	case lo < o.first():
		return nil, raft.ErrCompacted
	case hi > o.last()+1 || lo > hi:
		return nil, raft.ErrUnavailable
	case lo == hi:
		return nil, nil
	}
	if entries, ok := o.cached(lo, hi, maxSize); ok {
		return entries, nil
	}
	return readEntries(o.slots[lo-o.first():hi-o.first()], lo, maxSize)
}

// readEntries reads the entries that slots stand for, the first of which is at index, up to maxSize bytes but
// at least one.
func readEntries(slots []slot, index, maxSize uint64) ([]pb.Entry, error) {
	n, size := 0, uint64(0)
	for n < len(slots) && (n == 0 || size+uint64(slots[n].size) <= maxSize) {
		size += uint64(slots[n].size)
		n++
	}
	out := make([]pb.Entry, n)
	for i := range out {
		if err := slots[i].read(&out[i], index+uint64(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// read reads the entry at index, which s stands for.
func (s *slot) read(e *pb.Entry, index uint64) error {
	raw := make([]byte, s.size)
	if _, err := s.segment.file.ReadAt(raw, int64(s.offset)); err != nil {
		return fmt.Errorf("wal: entry %d in %s: %w", index, s.segment.path, err)
	}
	if crc32.Checksum(raw, castagnoli) != s.checksum {
		return fmt.Errorf("%w: entry %d in %s, byte %d", ErrDamaged, index, s.segment.path, s.offset)
	}
	if err := e.Unmarshal(raw); err != nil {
		return fmt.Errorf("%w: entry %d in %s: %w", ErrDamaged, index, s.segment.path, err)
	}
	return nil
}

// Save writes w as one record, and returns when it is on the disk if w.Sync is set. With w.Snapshot the log is
// emptied first, and goes on after it. Entries that are compacted already are passed over. A commit index that
// comes alone is written with the next record: losing it does no harm.
//
// After an error the log is of no use any more: what is on the disk is not known.
func (l *Log) Save(w host.Write) error {
	r := record{}
	start, last := l.outline.start, l.outline.last() // only the writer changes them
	if w.Snapshot != nil {
		start = Position{Index: w.Snapshot.Index, Term: w.Snapshot.Term}
		last = start.Index
		r.start, r.reset = &start, true
	}
	r.entries = above(start.Index, w.Entries)
	if len(r.entries) > 0 && r.entries[0].Index > last+1 {
		return fmt.Errorf("wal: entries from %d on leave a gap after %d", r.entries[0].Index, last)
	}
	hard := l.hard
	if !raft.IsEmptyHardState(w.HardState) {
		hard = w.HardState
	}
	if hard.Term == l.hard.Term && hard.Vote == l.hard.Vote && !r.reset && len(r.entries) == 0 {
		l.setHard(hard)
		return l.sync(w.Sync)
	}
	if hard != l.hard || l.late {
		r.hard = &hard
	}
	if err := l.write(&r, w.Sync || r.reset); err != nil {
		return err
	}
	if err := l.written(&r, hard); err != nil {
		return err
	}
	if r.reset {
		return l.dropSegments()
	}
	return nil
}

// written brings what is in memory up to a record.
func (l *Log) written(r *record, hard pb.HardState) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hard, l.late = hard, false
	if err := l.take(r, l.places); err != nil {
		return err
	}
	l.remember(r.entries)
	return nil
}

// setHard takes note of a commit index that is not written yet.
func (l *Log) setHard(hard pb.HardState) {
	if hard != l.hard {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.hard, l.late = hard, true
	}
}

// above returns the entries after index.
func above(index uint64, entries []pb.Entry) []pb.Entry {
	for len(entries) > 0 && entries[0].Index <= index {
		entries = entries[1:]
	}
	return entries
}

// take brings the outline up to what a record says that is in the newest segment.
func (l *Log) take(r *record, places []place) error {
	o, newest := &l.outline, l.segments[len(l.segments)-1]
	switch {
	case r.reset && r.start.Index < o.start.Index:
		o.reset(o.start)
	case r.reset:
		o.reset(*r.start)
	case r.start != nil && r.start.Index > o.start.Index:
		o.compact(*r.start)
	}
	if r.reset {
		for _, s := range l.segments[:len(l.segments)-1] {
			s.last = 0
		}
	}
	if len(r.entries) == 0 {
		return nil
	}
	newest.last = max(newest.last, r.entries[len(r.entries)-1].Index)
	o.cut(max(r.entries[0].Index-1, o.start.Index))
	for i := range r.entries {
		switch e := &r.entries[i]; {
		case e.Index <= o.start.Index:
		case e.Index != o.last()+1:
			return errGap(e.Index, o.last())
		default:
			o.append(slot{term: e.Term, segment: newest, place: places[i]})
		}
	}
	return nil
}

// remember keeps new entries in memory.
func (l *Log) remember(entries []pb.Entry) {
	o := &l.outline
	if n := len(o.cache); n > 0 && len(entries) > 0 && o.cache[n-1].Index+1 != entries[0].Index {
		o.cache, o.cacheBytes = nil, 0
	}
	for i := range entries {
		o.remember(entries[i])
	}
}

// Compact removes the entries up to index, and returns when it is certain that they are gone.
func (l *Log) Compact(index uint64) error {
	term, err := l.Term(index)
	if err != nil || index <= l.outline.start.Index {
		return err
	}
	r := record{start: &Position{Index: index, Term: term}}
	if err := l.write(&r, true); err != nil {
		return err
	}
	if err := l.written(&r, l.hard); err != nil {
		return err
	}
	return l.dropSegments()
}

// write writes a record, whose entries are at l.places then.
func (l *Log) write(r *record, sync bool) error {
	if l.failure != nil {
		return l.failure
	}
	if err := l.append(r); err != nil {
		l.failure = fmt.Errorf("wal: %w", err)
		return l.failure
	}
	return l.sync(sync)
}

// lifeJump is how much higher than all that are there the first record of a life is numbered. A crash may also
// have left records half: these are no records, and never will be.
const lifeJump = 1 << 32

// append writes a record behind the last one.
func (l *Log) append(r *record) error {
	number := l.number + 1
	if !l.begun {
		number = l.dead + lifeJump
		l.makeHead(r)
	}
	var err error
	l.buffer, l.places, err = r.encode(l.buffer[:0], l.places[:0], l.offset, number, l.durable)
	if err != nil {
		return err
	}
	if l.offset > 0 && l.offset+int64(len(l.buffer)) > l.files.size {
		if err := l.nextSegment(number); err != nil {
			return err
		}
		l.makeHead(r)
		if l.buffer, l.places, err = r.encode(l.buffer[:0], l.places[:0], 0, number, l.durable); err != nil {
			return err
		}
	}
	if _, err := l.newest().file.WriteAt(l.buffer, l.offset); err != nil {
		return err
	}
	l.number, l.begun = number, true
	l.offset += int64(len(l.buffer))
	if !l.prepared && l.offset >= l.files.size/2 {
		l.prepared = true
		l.files.prepare()
	}
	if cap(l.buffer) > maxBuffer {
		l.buffer = nil
	}
	return nil
}

// maxBuffer bounds the memory that is kept for the next record.
const maxBuffer = 4 << 20

// makeHead has a record say what those before it said, so that they are not needed for it.
func (l *Log) makeHead(r *record) {
	r.head, r.before = true, l.number
	if r.start == nil {
		start := l.outline.start
		r.start = &start
	}
	if r.hard == nil {
		hard := l.hard
		r.hard = &hard
	}
}

func (l *Log) newest() *segment { return l.segments[len(l.segments)-1] }

// nextSegment goes on in a new segment, whose first record is to have a number. All in the one before is on the disk then.
func (l *Log) nextSegment(number uint64) error {
	if len(l.segments) > 0 {
		if err := l.newest().file.SyncData(); err != nil {
			return err
		}
		l.durable = l.number
	}
	s, err := l.files.create(number, l.number)
	if err != nil {
		return err
	}
	l.segments = append(l.segments, s)
	l.offset, l.prepared = 0, false
	return nil
}

// sync brings to the disk what is not there yet, if that is wanted.
func (l *Log) sync(wanted bool) error {
	if !wanted || l.durable == l.number || l.failure != nil {
		return l.failure
	}
	if err := l.newest().file.SyncData(); err != nil {
		l.failure = fmt.Errorf("wal: %w", err)
		return l.failure
	}
	l.durable = l.number
	return nil
}

// dropSegments lets go of segments that hold nothing that is needed, unless somebody still reads there.
func (l *Log) dropSegments() error {
	for len(l.segments) > 1 && l.segments[0].last <= l.outline.start.Index && !l.viewed(l.segments[0]) {
		if err := l.files.drop(l.segments[0]); err != nil {
			l.failure = fmt.Errorf("wal: %w", err)
			return l.failure
		}
		l.segments = l.segments[1:]
	}
	return nil
}

// Flush returns when everything is on the disk, also a commit index that came alone.
func (l *Log) Flush() error {
	return errors.Join(l.writeLate(), l.sync(true))
}

// writeLate writes a commit index that came alone.
func (l *Log) writeLate() error {
	if !l.late || l.failure != nil {
		return nil
	}
	hard := l.hard
	r := record{hard: &hard}
	if err := l.write(&r, false); err != nil {
		return err
	}
	return l.written(&r, hard)
}

// Close closes the log, and returns when everything is on the disk. Nobody may be reading.
func (l *Log) Close() error {
	if l.failure != nil {
		return l.closeFiles()
	}
	return errors.Join(l.Flush(), l.closeFiles())
}

func (l *Log) closeFiles() error {
	var err error
	for _, s := range l.segments {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
	}
	if l.files.root != nil {
		err = errors.Join(err, l.files.close())
	}
	return err
}
