package rafttest

import (
	"fmt"

	pb "quorate.example/raft/raftpb"
)

// shadowLog is a log without its contents: a term and a hash per entry.
type shadowLog struct {
	base     uint64 // index just below the first entry
	baseTerm uint64
	entries  []shadowEntry
}

type shadowEntry struct {
	term, hash uint64
	conf       bool // a configuration change
}

func (l *shadowLog) reset(index, term uint64) {
	l.base, l.baseTerm = index, term
	l.entries = l.entries[:0]
}

func (l *shadowLog) last() uint64 { return l.base + uint64(len(l.entries)) }

// at returns the entry at index, which must be in the log.
func (l *shadowLog) at(index uint64) *shadowEntry { return &l.entries[index-l.base-1] }

// term returns the term at index, 0 if that is outside of the log.
func (l *shadowLog) term(index uint64) uint64 {
	switch {
	case index == l.base:
		return l.baseTerm
	case index < l.base || index > l.last():
		return 0
	}
	return l.at(index).term
}

// put writes an entry at its index and cuts off what follows.
func (l *shadowLog) put(e *pb.Entry, hash uint64) {
	l.entries = append(l.entries[:e.Index-l.base-1], shadowEntry{
		term: e.Term, hash: hash, conf: e.Type != pb.EntryNormal,
	})
}

func (l *shadowLog) push(e shadowEntry) { l.entries = append(l.entries, e) }

func hashEntry(e *pb.Entry) uint64 { return hashBytes(e.Term<<8|uint64(e.Type), e.Data) }

// registry knows every entry that ever entered a log. An index and a term name
// one entry with one predecessor; by induction, logs that agree in one entry
// agree in all before it.
type registry struct{ byIndex [][]registered }

type registered struct{ term, hash, before uint64 }

// add registers an entry and says what contradicts an earlier one.
func (r *registry) add(e *pb.Entry, hash, termBefore uint64) string {
	for uint64(len(r.byIndex)) <= e.Index {
		r.byIndex = append(r.byIndex, nil)
	}
	for _, known := range r.byIndex[e.Index] {
		switch {
		case known.term != e.Term:
		case known.hash != hash:
			return "another entry of this index and term is elsewhere"
		case known.before != termBefore:
			return fmt.Sprintf("follows an entry of term %d here and of term %d elsewhere",
				termBefore, known.before)
		default:
			return ""
		}
	}
	r.byIndex[e.Index] = append(r.byIndex[e.Index], registered{e.Term, hash, termBefore})
	return ""
}
