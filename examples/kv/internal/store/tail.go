package store

import pb "quorate.example/raft/raftpb"

// position names one entry of the log.
type position struct {
	index uint64
	term  uint64
}

// slot is what is kept in memory of each entry in the log, so that Term never reads the disk.
type slot struct {
	term  uint64
	bytes int
}

// logTail is the log's outline, and the newest entries themselves: appends to followers and the
// application of entries nearly always ask for what was written a moment ago.
type logTail struct {
	start position // the entry just before the first one
	slots []slot   // one for each entry from start.index+1 on
	bytes int

	cache      []pb.Entry // ends with the last entry of the log, may be empty
	cacheBytes int
	cacheLimit int
}

func (t *logTail) first() uint64 { return t.start.index + 1 }
func (t *logTail) last() uint64  { return t.start.index + uint64(len(t.slots)) }

// term returns the term of entry i and whether the log, or the position before it, has it.
func (t *logTail) term(i uint64) (uint64, bool) {
	switch {
	case i == t.start.index:
		return t.start.term, true
	case i < t.first() || i > t.last():
		return 0, false
	}
	return t.slots[i-t.first()].term, true
}

// reset empties the log, which goes on after start.
func (t *logTail) reset(start position) {
	*t = logTail{start: start, cacheLimit: t.cacheLimit}
}

// append adds an entry, first cutting off what it overwrites. The caller has checked that it leaves no gap.
func (t *logTail) append(e pb.Entry) {
	if e.Index <= t.last() {
		t.cut(e.Index - 1)
	}
	size := e.Size()
	t.slots = append(t.slots, slot{term: e.Term, bytes: size})
	t.bytes += size
	t.cache = append(t.cache, e)
	t.cacheBytes += size
	if t.cacheBytes > t.cacheLimit {
		t.shrinkCache()
	}
}

// cut removes all entries above last. Capacities are cut as well: what was handed out before must
// not change under its holder.
func (t *logTail) cut(last uint64) {
	for _, s := range t.slots[last-t.start.index:] {
		t.bytes -= s.bytes
	}
	n := last - t.start.index
	t.slots = t.slots[:n:n]
	for len(t.cache) > 0 && t.cache[len(t.cache)-1].Index > last {
		n := len(t.cache) - 1
		t.cacheBytes -= t.cache[n].Size()
		t.cache = t.cache[:n:n]
	}
}

// compact removes all entries up to and including index.
func (t *logTail) compact(index uint64) {
	term, _ := t.term(index)
	n := index - t.start.index
	for _, s := range t.slots[:n] {
		t.bytes -= s.bytes
	}
	t.slots = append([]slot(nil), t.slots[n:]...)
	t.start = position{index: index, term: term}
}

// shrinkCache lets go of the older half of the cached bytes.
func (t *logTail) shrinkCache() {
	drop := 0
	for drop < len(t.cache)-1 && t.cacheBytes > t.cacheLimit/2 {
		t.cacheBytes -= t.cache[drop].Size()
		drop++
	}
	t.cache = append([]pb.Entry(nil), t.cache[drop:]...)
}

// cached returns the entries [lo, hi) up to max bytes but at least one, and whether memory has them.
func (t *logTail) cached(lo, hi, max uint64) ([]pb.Entry, bool) {
	if len(t.cache) == 0 || lo < t.cache[0].Index {
		return nil, false
	}
	offset := t.cache[0].Index
	entries := t.cache[lo-offset : hi-offset : hi-offset]
	size := uint64(0)
	for i, e := range entries {
		size += uint64(e.Size())
		if size > max && i > 0 {
			return entries[:i:i], true
		}
	}
	return entries, true
}
