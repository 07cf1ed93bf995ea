package wal

import (
	"fmt"
	"hash/crc32"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

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

// View is the log of one moment, for those who read for long. Its entries stay on the disk until it is closed.
type View struct {
	log   *Log
	from  uint64 // of the oldest segment that it reads
	start uint64
	slots []slot
}

// View returns the log of this moment.
func (l *Log) View() *View {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &l.outline
	v := &View{log: l, from: ^uint64(0), start: o.start.Index, slots: o.slots[:len(o.slots):len(o.slots)]}
	if len(v.slots) > 0 {
		v.from = v.slots[0].segment.from // segments are in the order of their entries
	}
	l.views[v] = struct{}{}
	return v
}

// Entry returns the entry at index. The error is raft.ErrCompacted or raft.ErrUnavailable if the log had none.
func (v *View) Entry(index uint64) (e pb.Entry, err error) {
	switch {
	case index <= v.start:
		return e, raft.ErrCompacted
	case index-v.start > uint64(len(v.slots)):
		return e, raft.ErrUnavailable
	}
	err = v.slots[index-v.start-1].read(&e, index)
	return e, err
}

// Close lets go of the entries. What only the view kept is removed by the next compaction.
func (v *View) Close() {
	v.log.mu.Lock()
	defer v.log.mu.Unlock()
	delete(v.log.views, v)
}

// viewed reports whether a view may read in a segment.
func (l *Log) viewed(s *segment) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for v := range l.views {
		if v.from <= s.from {
			return true
		}
	}
	return false
}
