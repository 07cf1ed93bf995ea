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
	if len(ents) == 0 || maxSize == noLimit {
		return ents
	}
	size := entrySize(&ents[0])
	for n := 1; n < len(ents); n++ {
		size += entrySize(&ents[n])
		if size > maxSize {
			return ents[:n:n]
		}
	}
	return ents
}

// entrySize is e.Size() without calls.
func entrySize(e *pb.Entry) uint64 {
	size := 3 + varintSize(uint64(e.Type)) + varintSize(e.Term) + varintSize(e.Index)
	if e.Data != nil {
		n := uint64(len(e.Data))
		size += 1 + n + varintSize(n)
	}
	return size
}

// varintSize returns the bytes of v in protobuf's encoding of integers, seven bits in each.
func varintSize(v uint64) uint64 { return uint64(9*bits.Len64(v|1)+64) / 64 }

// entsSize returns the encoded size of ents in bytes.
func entsSize(ents []pb.Entry) uint64 {
	var size uint64
	for i := range ents {
		size += entrySize(&ents[i])
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
