package raft

import pb "quorate.example/raft/raftpb"

// applyState is how far the state machine is, and how much it has in hand.
type applyState struct {
	applied uint64 // the host says that all up to here is applied
	handed  uint64 // the host was given all up to here
	bytes   uint64 // encoded size of what is handed out and not yet applied
	limit   uint64 // hand out nothing more once bytes reaches this
	paused  bool
}

// appliable returns the index up to which entries may be handed out. Whether they must be durable
// here first is the one difference between the two storage modes: with synchronous writes the host
// saves a Ready's entries before it applies what is committed, with asynchronous ones nothing
// orders the two.
func (l *raftLog) appliable(unstable bool) uint64 {
	if unstable {
		return l.committed
	}
	return min(l.committed, l.tail.base)
}

// hasCommitted reports whether nextCommitted would return entries.
func (l *raftLog) hasCommitted(unstable bool) bool {
	return !l.apply.paused && l.tail.snapshot == nil && l.apply.handed < l.appliable(unstable)
}

// nextCommitted returns the committed entries to hand out next, as many as the quota allows and at
// least one.
func (l *raftLog) nextCommitted(unstable bool) []pb.Entry {
	if !l.hasCommitted(unstable) {
		return nil
	}
	ents, err := l.slice(l.apply.handed, l.appliable(unstable), l.apply.limit-l.apply.bytes)
	if err != nil {
		// What is not applied must not be compacted.
		l.fail("reading committed entries", err)
		return nil
	}
	return ents
}

// handOutCommitted notes that the host was given ents, which have size bytes. If a part had to stay
// behind, nothing more goes out until the host has applied something.
func (l *raftLog) handOutCommitted(ents []pb.Entry, size uint64, unstable bool) {
	a := &l.apply
	a.handed = ents[len(ents)-1].Index
	a.bytes += size
	a.paused = a.bytes >= a.limit || a.handed < l.appliable(unstable)
	l.tail.release(a.handed)
}

// appliedTo notes that the host applied everything up to i, size bytes of it now.
func (l *raftLog) appliedTo(i, size uint64) {
	a := &l.apply
	a.applied = i
	a.handed = max(a.handed, i)
	a.bytes -= min(a.bytes, size)
	a.paused = a.bytes > 0 && a.bytes >= a.limit
}
