package raft

import (
	"math"
	"math/bits"

	pb "quorate.example/raft/raftpb"
)

// noLimit is the size limit that nothing reaches.
const noLimit = math.MaxUint64

// limitSize returns the longest start of ents whose encoded size is at most maxSize bytes, and at
// least one entry if there is one. The result is capped.
func limitSize(ents []pb.Entry, maxSize uint64) []pb.Entry {
	if len(ents) <= 1 || maxSize == noLimit {
		return ents
	}
	var s sizer
	size := s.of(&ents[0])
	for n := 1; n < len(ents); n++ {
		size += s.of(&ents[n])
		if size > maxSize {
			return ents[:n:n]
		}
	}
	return ents
}

// sizer tells the sizes of entries that follow each other faster than entrySize: what is not their data nearly
// always is as long as with the one before.
type sizer struct {
	kind   pb.EntryType
	term   uint64
	first  uint64 // the lowest index that is encoded as long as the last one
	span   uint64 // how many there are of these
	header uint64 // size of an entry like the last one, without data
}

// of returns e.Size().
func (s *sizer) of(e *pb.Entry) uint64 {
	if e.Index-s.first >= s.span || e.Term != s.term || e.Type != s.kind {
		s.learn(e)
	}
	if n := uint64(len(e.Data)); n-1 < 1<<7-1 {
		return s.header + 2 + n
	}
	return s.header + dataSize(e)
}

func (s *sizer) learn(e *pb.Entry) {
	n := varintSize(e.Index)
	s.first, s.span = 0, 1<<7
	if n > 1 {
		s.first = 1 << (7 * (n - 1))
		s.span = s.first<<7 - s.first // right for the longest ones, too
	}
	s.kind, s.term = e.Type, e.Term
	s.header = 3 + varintSize(uint64(e.Type)) + varintSize(e.Term) + n
}

// entrySize is e.Size() without calls.
func entrySize(e *pb.Entry) uint64 {
	return 3 + varintSize(uint64(e.Type)) + varintSize(e.Term) + varintSize(e.Index) + dataSize(e)
}

func dataSize(e *pb.Entry) uint64 {
	if e.Data == nil {
		return 0
	}
	n := uint64(len(e.Data))
	return 1 + n + varintSize(n)
}

// varintSize returns the bytes of v in protobuf's encoding of integers, seven bits in each.
func varintSize(v uint64) uint64 { return uint64(9*bits.Len64(v|1)+64) / 64 }

// entsSize returns the encoded size of ents in bytes.
func entsSize(ents []pb.Entry) uint64 {
	if len(ents) == 1 {
		return entrySize(&ents[0])
	}
	var size uint64
	var s sizer
	for i := range ents {
		size += s.of(&ents[i])
	}
	return size
}

// payloadSize returns the size in bytes of what e carries for the state machine.
func payloadSize(e *pb.Entry) uint64 { return uint64(len(e.Data)) }

// payloadsSize returns the size in bytes of what ents carry for the state machine.
func payloadsSize(ents []pb.Entry) uint64 {
	var size uint64
	for i := range ents {
		size += payloadSize(&ents[i])
	}
	return size
}

// IsEmptyHardState reports whether st is the zero HardState, which says that nothing changed.
func IsEmptyHardState(st pb.HardState) bool { return st == pb.HardState{} }

// IsEmptySnap reports whether sp is no snapshot.
func IsEmptySnap(sp pb.Snapshot) bool { return sp.Metadata.Index == 0 }

// MustSync reports whether st and entsnum new entries must be synced to disk before messages leave,
// where prevst was saved before (thesis Figure 3.1: term, vote and log are persistent; the commit
// index need not be).
func MustSync(st, prevst pb.HardState, entsnum int) bool {
	return entsnum != 0 || st.Vote != prevst.Vote || st.Term != prevst.Term
}
