package raft

import pb "quorate.example/raft/raftpb"

// Bounds, in entries, of the memory that a tail takes at once; it grows with what has to wait.
const (
	firstChunk = 4
	lastChunk  = 2048
)

// maxKept bounds, in bytes of payload, the durable entries that a tail keeps.
const maxKept = 64 << 10

// logTail is the end of the log that is not known to be durable: a snapshot or entries that the host
// has yet to write, or is writing. The entries that became durable last are kept until they are handed
// out for application, so that Storage is seldom asked for them.
//
//	         start     base      handed          last
//	durable ..|.........|.........|...............|
//	           durable,  written   not handed out
//	           kept      now       yet
//
// Entries are immutable from the moment they are appended. The memory behind them is only ever
// appended to, and slices that leave are capped, so nothing is copied for the host.
type logTail struct {
	start   uint64 // index of the entry before entries[0]
	base    uint64 // entries up to here are durable
	handed  uint64 // entries up to here are with the host
	entries []pb.Entry

	snapshot       *pb.Snapshot // received and not yet durable; base is its index or above
	snapshotHanded bool

	used  bool  // since the last tick
	chunk int32 // size of the newest piece of memory behind entries
}

func (t *logTail) last() uint64 { return t.start + uint64(len(t.entries)) }

// writing reports whether there are entries that are not durable.
func (t *logTail) writing() bool { return t.base < t.last() }

// slice returns the entries in (lo, hi], which must be within the tail.
func (t *logTail) slice(lo, hi uint64) []pb.Entry {
	from, to := lo-t.start, hi-t.start
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
	case after <= t.start:
		t.start, t.base, t.handed = after, after, after
		t.entries = nil
	case after < t.last():
		t.entries = t.slice(t.start, after)
		t.base, t.handed = min(t.base, after), min(t.handed, after)
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
	t.used = true
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
	t.chunk = min(max(2*t.chunk, firstChunk), max(64, int32(min(2*n, lastChunk)), t.chunk), lastChunk)
	fresh := make([]pb.Entry, n, n+max(more, int(t.chunk), n))
	copy(fresh, t.entries)
	t.entries = fresh
}

// stable notes that the entries up to i are durable. Of those it keeps no more than were not before.
func (t *logTail) stable(i uint64) {
	t.release(t.base)
	t.base = i
	t.handed = max(t.handed, i)
	if payloadsSize(t.entries[:i-t.start]) > maxKept {
		t.release(i)
	}
}

// release forgets the durable entries up to i.
func (t *logTail) release(i uint64) {
	if i = min(i, t.base); i > t.start {
		t.entries = t.entries[i-t.start:]
		t.start = i
	}
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
	*t = logTail{start: i, base: i, handed: i, snapshot: s}
}

// rest lets go of memory that only load justifies, at the second tick without any.
func (t *logTail) rest() {
	if t.used {
		t.used = false
		return
	}
	if !t.writing() {
		t.start = t.base
		t.entries, t.chunk = nil, 0
	}
}

// rests reports whether rest has nothing to do.
func (t *logTail) rests() bool { return !t.used && cap(t.entries) == 0 && t.chunk == 0 }
