package raft

import pb "quorate.example/raft/raftpb"

// Bounds, in entries, of the memory that a tail takes at once; it grows under load.
const (
	firstChunk = 4
	lastChunk  = 64
)

// logTail is the end of the log that is not known to be durable: a snapshot or entries that the host
// has yet to write, or is writing.
//
//	         base      handed          last
//	durable ..|........|...............|
//	           written  not handed out
//	           now      yet
//
// Entries are immutable from the moment they are appended. The memory behind them is only ever
// appended to, and slices that leave are capped, so nothing is copied for the host.
type logTail struct {
	base    uint64 // index of the entry before entries[0]
	handed  uint64 // entries up to here are with the host
	entries []pb.Entry

	snapshot       *pb.Snapshot // received and not yet durable; base is its index or above
	snapshotHanded bool

	chunk int // size of the newest piece of memory behind entries
}

func (t *logTail) last() uint64 { return t.base + uint64(len(t.entries)) }

// slice returns the entries in (lo, hi], which must be within the tail.
func (t *logTail) slice(lo, hi uint64) []pb.Entry {
	from, to := lo-t.base, hi-t.base
	return t.entries[from:to:to]
}

// waiting returns the entries that the host has not been given.
func (t *logTail) waiting() []pb.Entry {
	if t.handed == t.last() {
		return nil
	}
	return t.slice(t.handed, t.last())
}

func (t *logTail) snapshotWaits() bool { return t.snapshot != nil && !t.snapshotHanded }

// handOut notes that the host was given all there is.
func (t *logTail) handOut() {
	t.handed = t.last()
	t.snapshotHanded = t.snapshot != nil
}

// replace makes ents the entries that follow index ents[0].Index-1 and drops what stood there. The
// tail may keep ents itself, so the caller must not write to it again.
func (t *logTail) replace(ents []pb.Entry) {
	after := ents[0].Index - 1
	switch {
	case after <= t.base:
		t.base, t.handed = after, after
		t.entries = nil
	case after < t.last():
		t.entries = t.slice(t.base, after)
		t.handed = min(t.handed, after)
	}
	if len(t.entries) == 0 && cap(t.entries) < len(ents) {
		t.entries = ents[:len(ents):len(ents)]
		return
	}
	t.append(ents)
}

// append adds copies of ents and returns the copies, which the caller may finish before anything
// else sees them.
func (t *logTail) append(ents []pb.Entry) []pb.Entry {
	n := len(t.entries)
	if n+len(ents) > cap(t.entries) {
		t.grow(len(ents))
	}
	t.entries = append(t.entries, ents...)
	return t.entries[n:]
}

// grow makes room for more entries in a new piece of memory: slices of the old one have left.
func (t *logTail) grow(more int) {
	n := len(t.entries)
	t.chunk = min(max(2*t.chunk, firstChunk), max(lastChunk, n))
	fresh := make([]pb.Entry, n, n+max(more, t.chunk))
	copy(fresh, t.entries)
	t.entries = fresh
}

// stable notes that the entries up to i are durable.
func (t *logTail) stable(i uint64) {
	t.entries = t.entries[i-t.base:]
	t.base = i
	t.handed = max(t.handed, i)
}

// snapshotStable notes that the snapshot at index i is durable.
func (t *logTail) snapshotStable(i uint64) {
	if t.snapshot != nil && t.snapshot.Metadata.Index == i {
		t.snapshot = nil
		t.snapshotHanded = false
	}
}

// restore makes s all that the tail holds.
func (t *logTail) restore(s *pb.Snapshot) {
	i := s.Metadata.Index
	*t = logTail{base: i, handed: i, snapshot: s}
}

// rest lets go of memory that only load justifies.
func (t *logTail) rest() {
	if len(t.entries) == 0 {
		t.entries, t.chunk = nil, 0
	}
}
