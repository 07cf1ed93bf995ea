package wal

import pb "quorate.example/raft/raftpb"

// slot is what is kept in memory of each entry of the log, so that its term never has to be read.
type slot struct {
	term    uint64
	segment *segment
	place
}

// outline is where the log's entries are, and the newest entries themselves: appends to followers and the
// application of entries nearly always ask for what was written a moment ago.
type outline struct {
	start Position // the entry just before the first one
	slots []slot   // one for each entry from start.Index+1 on
	bytes int

	cache      []pb.Entry // ends with the last entry of the log, may be empty
	cacheBytes int
	cacheLimit int
}

func (o *outline) first() uint64 { return o.start.Index + 1 }
func (o *outline) last() uint64  { return o.start.Index + uint64(len(o.slots)) }

// slot returns what is known of an entry that the log has.
func (o *outline) slot(i uint64) *slot { return &o.slots[i-o.first()] }

// has reports whether the log has an entry.
func (o *outline) has(i uint64) bool { return i >= o.first() && i <= o.last() }

// term returns the term of entry i and whether the log, or the position before it, has it.
func (o *outline) term(i uint64) (uint64, bool) {
	switch {
	case i == o.start.Index:
		return o.start.Term, true
	case !o.has(i):
		return 0, false
	}
	return o.slot(i).term, true
}

// reset empties the log, which goes on after start.
func (o *outline) reset(start Position) { *o = outline{start: start, cacheLimit: o.cacheLimit} }

// append adds an entry that follows the last one.
func (o *outline) append(s slot) {
	o.slots = append(o.slots, s)
	o.bytes += int(s.size)
}

// remember keeps the last entry in memory.
func (o *outline) remember(e pb.Entry) {
	o.cache = append(o.cache, e)
	o.cacheBytes += int(o.slot(e.Index).size)
	if o.cacheBytes > o.cacheLimit {
		o.shrinkCache()
	}
}

// cut removes all entries above last. Capacities are cut as well: what was handed out before must
// not change under its holder.
func (o *outline) cut(last uint64) {
	if last >= o.last() {
		return
	}
	for len(o.cache) > 0 && o.cache[len(o.cache)-1].Index > last {
		n := len(o.cache) - 1
		o.cacheBytes -= int(o.slot(o.cache[n].Index).size)
		o.cache = o.cache[:n:n]
	}
	n := last - o.start.Index
	for i := range o.slots[n:] {
		o.bytes -= int(o.slots[n:][i].size)
	}
	o.slots = o.slots[:n:n]
}

// compact removes all entries up to and including index.
func (o *outline) compact(to Position) {
	drop := 0
	for drop < len(o.cache) && o.cache[drop].Index <= to.Index {
		o.cacheBytes -= int(o.slot(o.cache[drop].Index).size)
		drop++
	}
	o.cache = o.cache[drop:]
	n := to.Index - o.start.Index
	for i := range o.slots[:n] {
		o.bytes -= int(o.slots[i].size)
	}
	o.slots = append([]slot(nil), o.slots[n:]...)
	o.start = to
}

// shrinkCache lets go of the older half of the cached bytes.
func (o *outline) shrinkCache() {
	drop := 0
	for drop < len(o.cache)-1 && o.cacheBytes > o.cacheLimit/2 {
		o.cacheBytes -= int(o.slot(o.cache[drop].Index).size)
		drop++
	}
	o.cache = append([]pb.Entry(nil), o.cache[drop:]...)
}

// cached returns the entries [lo, hi) up to maxSize bytes but at least one, and whether memory has them.
func (o *outline) cached(lo, hi, maxSize uint64) ([]pb.Entry, bool) {
	if len(o.cache) == 0 || lo < o.cache[0].Index {
		return nil, false
	}
	offset := o.cache[0].Index
	entries := o.cache[lo-offset : hi-offset : hi-offset]
	size := uint64(0)
	for i := range entries {
		size += uint64(o.slot(lo + uint64(i)).size)
		if size > maxSize && i > 0 {
			return entries[:i:i], true
		}
	}
	return entries, true
}
