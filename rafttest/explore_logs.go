package rafttest

import pb "quorate.example/raft/raftpb"

// logID names a whole log: all its entries, from the first on. Logs that agree up to an index share
// what they agree in, as the branches of a tree, so that two logs are equal if their logIDs are.
type logID uint32

const (
	emptyLog logID = 0
	noLog          = ^logID(0)
)

// logNode is the last entry of a log.
type logNode struct {
	before logID
	entry  pb.Entry
	digest uint64 // of the whole log; what a snapshot of it holds
}

// logs has all logs of an exploration.
type logs struct {
	nodes    []logNode
	next     map[logKey]logID
	byDigest map[uint64]logID
}

type logKey struct {
	before logID
	typ    pb.EntryType
	term   uint64
	data   string
}

func newLogs() *logs {
	l := &logs{next: map[logKey]logID{}, byDigest: map[uint64]logID{}}
	l.nodes = []logNode{{before: noLog}}
	l.byDigest[0] = emptyLog
	return l
}

// extend returns the log that is e after before. The index of e is not looked at.
func (l *logs) extend(before logID, e *pb.Entry) logID {
	key := logKey{before, e.Type, e.Term, string(e.Data)}
	id, known := l.next[key]
	if !known {
		id = logID(len(l.nodes))
		entry := *e
		entry.Index = l.last(before) + 1
		digest := hashMix(l.nodes[before].digest, hashEntry(&entry))
		l.nodes = append(l.nodes, logNode{before: before, entry: entry, digest: digest})
		l.next[key], l.byDigest[digest] = id, id
	}
	return id
}

// last returns the index of the last entry.
func (l *logs) last(id logID) uint64 { return l.nodes[id].entry.Index }

// lastTerm returns the term of the last entry.
func (l *logs) lastTerm(id logID) uint64 { return l.nodes[id].entry.Term }

// upTo returns the log that id begins with and that ends at index; noLog if id is shorter.
func (l *logs) upTo(id logID, index uint64) logID {
	if index > l.last(id) {
		return noLog
	}
	for l.last(id) > index {
		id = l.nodes[id].before
	}
	return id
}

// extends reports whether id begins with prefix.
func (l *logs) extends(id, prefix logID) bool { return l.upTo(id, l.last(prefix)) == prefix }

// after returns the entries of id above index.
func (l *logs) after(id logID, index uint64) []pb.Entry {
	n := l.last(id)
	if n <= index {
		return nil
	}
	entries := make([]pb.Entry, n-index)
	for ; n > index; n-- {
		entries[n-index-1] = l.nodes[id].entry
		id = l.nodes[id].before
	}
	return entries
}

// conflict returns the first index at which a and b hold different entries of one term, or the same
// entry after different ones: what log matching forbids. Zero means that there is none.
func (l *logs) conflict(a, b logID) uint64 {
	n := min(l.last(a), l.last(b))
	a, b = l.upTo(a, n), l.upTo(b, n)
	var first uint64
	for ; a != b; n-- {
		if l.lastTerm(a) == l.lastTerm(b) {
			first = n
		}
		a, b = l.nodes[a].before, l.nodes[b].before
	}
	return first
}
