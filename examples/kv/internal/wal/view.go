package wal

import (
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

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
