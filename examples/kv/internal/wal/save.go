package wal

import (
	"errors"
	"fmt"

	"quorate.example/raft"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

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
	case r.reset:
		start := *r.start
		if start.Index < o.start.Index {
			start = o.start
		}
		o.reset(start)
		for _, s := range l.segments[:len(l.segments)-1] {
			s.last = 0
		}
	case r.start != nil && r.start.Index > o.start.Index:
		o.compact(*r.start)
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
