package raft

import (
	"sort"

	pb "quorate.example/raft/raftpb"
)

// Bounds, in entries, of a chunk. A shorter one is copied when there is no room left behind it; a longer log
// grows by a half of itself at a time.
const (
	minChunk = 64
	maxChunk = 1 << 16
)

// maxSpare bounds the room for entries that is taken in advance after a compaction.
const maxSpare = 1024

// chunks holds entries that follow each other, in pieces of memory that are only ever appended to: slices of
// them may leave, and a log that grows is not copied.
type chunks struct {
	newest []pb.Entry    // empty only if there are no entries
	before *[][]pb.Entry // the chunks before the newest one, if there ever were any
}

func (c *chunks) empty() bool { return len(c.newest) == 0 }

func (c *chunks) older() [][]pb.Entry {
	if c.before == nil {
		return nil
	}
	return *c.before
}

// find returns the place of entry i, which must be there: the number of its chunk, and the position in it.
func (c *chunks) find(i uint64) (k int, pos uint64) {
	older := c.older()
	if first := c.newest[0].Index; i >= first {
		return len(older), i - first
	}
	k = sort.Search(len(older), func(k int) bool { return older[k][0].Index > i }) - 1
	return k, i - older[k][0].Index
}

// chunk returns chunk k, the newest one behind the older ones.
func (c *chunks) chunk(k int) []pb.Entry {
	if older := c.older(); k < len(older) {
		return older[k]
	}
	return c.newest
}

func (c *chunks) at(i uint64) *pb.Entry {
	k, pos := c.find(i)
	return &c.chunk(k)[pos]
}

// slice returns the entries in [lo, hi), up to maxSize bytes and at least one, of a log that has them. It copies
// them if they are in several chunks.
func (c *chunks) slice(lo, hi, maxSize uint64) []pb.Entry {
	k, pos := c.find(lo)
	ents := c.chunk(k)[pos:]
	if n := hi - lo; n <= uint64(len(ents)) {
		return limitSize(ents[:n:n], maxSize)
	}
	n, size := uint64(0), uint64(0)
	for next := k; n < hi-lo; next++ {
		if next > k {
			ents = c.chunk(next)
		}
		ents = ents[:min(uint64(len(ents)), hi-lo-n)]
		fit := fitting(ents, &size, maxSize)
		n += uint64(fit)
		if fit < len(ents) {
			break
		}
	}
	return c.copied(k, pos, max(n, 1))
}

// fitting returns how many entries at the start of ents fit into maxSize bytes together with what has *size
// bytes, which it adds theirs to.
func fitting(ents []pb.Entry, size *uint64, maxSize uint64) int {
	if maxSize == noLimit {
		return len(ents)
	}
	var s sizer
	for i := range ents {
		if *size += s.of(&ents[i]); *size > maxSize {
			return i
		}
	}
	return len(ents)
}

// copied returns n entries from position pos in chunk k on: a copy if they are not all in that one.
func (c *chunks) copied(k int, pos, n uint64) []pb.Entry {
	ents := c.chunk(k)[pos:]
	if n <= uint64(len(ents)) {
		return ents[:n:n]
	}
	all := make([]pb.Entry, 0, n)
	for left := n; left > 0; left = n - uint64(len(all)) {
		all = append(all, ents[:min(left, uint64(len(ents)))]...)
		if k++; uint64(len(all)) < n {
			ents = c.chunk(k)
		}
	}
	return all
}

// append adds copies of ents to a log of n entries.
func (c *chunks) append(ents []pb.Entry, n int) {
	for len(ents) > 0 {
		room := cap(c.newest) - len(c.newest)
		if room < len(ents) && len(c.newest) < minChunk || room == 0 {
			c.grow(min(len(ents), maxChunk), n)
			room = cap(c.newest) - len(c.newest)
		}
		room = min(room, len(ents))
		c.newest = append(c.newest, ents[:room]...)
		ents, n = ents[room:], n+room
	}
}

// grow makes room for more entries in a log of n.
func (c *chunks) grow(more, n int) {
	kept := c.newest
	if len(kept) >= minChunk {
		if c.before == nil {
			c.before = new([][]pb.Entry)
		}
		*c.before = append(*c.before, kept)
		kept = nil
	}
	room := max(more, len(kept))
	if n >= minChunk {
		room = max(room, min(max(n/2, minChunk), maxChunk))
	}
	c.newest = append(make([]pb.Entry, 0, len(kept)+room), kept...)
}

// truncate drops the entries from first on, which is there. Those that are replaced stay as they are for whoever
// holds them, and are not kept by what precedes them: that is copied, up to the start of its chunk.
func (c *chunks) truncate(first uint64) {
	k, pos := c.find(first)
	if pos == 0 && k > 0 {
		k--
		c.newest = c.chunk(k)
	} else {
		c.newest = append(make([]pb.Entry, 0, pos), c.chunk(k)[:pos]...)
	}
	c.keepOlder(0, k)
}

// dropTo drops the entries up to i, which is there, and lets go of their memory: the rest of its chunk is
// copied. Who compacts again and again will append as much again.
func (c *chunks) dropTo(i uint64) {
	k, pos := c.find(i)
	dropped := i + 1 - c.chunk(0)[0].Index
	older := c.older()
	rest := c.chunk(k)[pos+1:]
	if k == len(older) {
		c.newest = append(make([]pb.Entry, 0, len(rest)+int(min(dropped, maxSpare))), rest...)
	} else if len(rest) == 0 {
		k++
	} else {
		older[k] = append(make([]pb.Entry, 0, len(rest)), rest...)
	}
	c.keepOlder(k, len(older))
}

// keepOlder drops the older chunks before from and from to on.
func (c *chunks) keepOlder(from, to int) {
	older := c.older()
	if from == to {
		c.before = nil
		return
	}
	n := copy(older, older[from:to])
	clear(older[n:])
	*c.before = older[:n]
}
