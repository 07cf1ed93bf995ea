package tracker

import "slices"

// firstRing is the number of slots a window starts with; most never need more.
const firstRing = 8

// Inflights is a window of appends that were sent to a follower and not acknowledged yet, each
// known by its last index and its bytes. It is limited by their number and, optionally, by their
// bytes. Thesis 10.2.1.
//
// A nil *Inflights is a window that is empty and never full: it remembers nothing.
type Inflights struct {
	limit      int    // appends
	limitBytes uint64 // 0: no limit

	ring  []sent // a circle; grows up to limit
	head  int    // position of the oldest
	count int
	bytes uint64 // of all in the window
}

// sent is one append on its way.
type sent struct {
	last  uint64 // index of its last entry
	bytes uint64
}

// NewInflights returns an empty window for size appends and maxBytes bytes; a maxBytes of zero
// sets no limit to the bytes. Memory is taken as the window fills.
func NewInflights(size int, maxBytes uint64) *Inflights {
	return &Inflights{limit: size, limitBytes: maxBytes}
}

// Clone returns a copy that shares nothing with in; nil for nil.
func (in *Inflights) Clone() *Inflights {
	if in == nil {
		return nil
	}
	clone := *in
	clone.ring = slices.Clone(in.ring)
	return &clone
}

// Add puts an append into the window: its last index, above those of the appends before it, and
// its bytes. The append that crosses the limit of bytes still has room. Adding to a window that is
// full panics; adding to a nil one does nothing.
func (in *Inflights) Add(index, bytes uint64) {
	if in == nil {
		return
	}
	if in.Full() {
		panic("tracker: append added to a full window")
	}
	if in.count == len(in.ring) {
		in.grow()
	}
	in.ring[in.at(in.count)] = sent{last: index, bytes: bytes}
	in.count++
	in.bytes += bytes
}

// FreeLE takes the appends whose last index is at most to out of the window, oldest first, up to
// the first that lies above.
func (in *Inflights) FreeLE(to uint64) {
	if in == nil {
		return
	}
	for in.count > 0 && in.ring[in.head].last <= to {
		in.bytes -= in.ring[in.head].bytes
		in.head = in.at(1)
		in.count--
	}
}

// Full reports whether no further append may be sent: there are as many as the window takes, or
// their bytes have reached the limit.
func (in *Inflights) Full() bool {
	return in != nil &&
		(in.count == in.limit || in.limitBytes != 0 && in.bytes >= in.limitBytes)
}

// Count returns the number of appends in the window.
func (in *Inflights) Count() int {
	if in == nil {
		return 0
	}
	return in.count
}

// Bytes returns how many bytes the appends in the window have.
func (in *Inflights) Bytes() uint64 {
	if in == nil {
		return 0
	}
	return in.bytes
}

// clear empties the window and keeps its memory.
func (in *Inflights) clear() {
	if in != nil {
		in.head, in.count, in.bytes = 0, 0, 0
	}
}

// at returns the position of the append that has k older ones before it.
func (in *Inflights) at(k int) int {
	if k += in.head; k >= len(in.ring) {
		k -= len(in.ring)
	}
	return k
}

// grow makes room in a ring that has none, with the oldest append at its start.
func (in *Inflights) grow() {
	room := max(firstRing, 2*len(in.ring))
	if in.limit > 0 {
		room = min(room, in.limit)
	}
	larger := make([]sent, room)
	n := copy(larger, in.ring[in.head:])
	copy(larger[n:], in.ring[:in.head])
	in.ring, in.head = larger, 0
}
