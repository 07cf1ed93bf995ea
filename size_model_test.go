package raft

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	pb "quorate.example/raft/raftpb"
)

// The size of an entry that quotas count is that of its encoding.
func TestEntrySizeIsTheEncodedSize(t *testing.T) {
	var numbers []uint64
	for shift := 0; shift < 64; shift++ {
		numbers = append(numbers, 1<<shift-1, 1<<shift)
	}
	numbers = append(numbers, math.MaxUint64)
	for _, v := range numbers {
		require.Equal(t, uint64((&pb.Entry{Index: v}).Size()), entrySize(&pb.Entry{Index: v}), "index %d", v)
		require.Equal(t, uint64((&pb.Entry{Term: v}).Size()), entrySize(&pb.Entry{Term: v}), "term %d", v)
	}
	for _, typ := range []pb.EntryType{pb.EntryNormal, pb.EntryConfChangeV2, -1, math.MaxInt32} {
		require.Equal(t, uint64((&pb.Entry{Type: typ}).Size()), entrySize(&pb.Entry{Type: typ}), "type %d", typ)
	}
	for _, data := range [][]byte{nil, {}, make([]byte, 1), make([]byte, 127), make([]byte, 128), make([]byte, 1<<14)} {
		require.Equal(t, uint64((&pb.Entry{Data: data}).Size()), entrySize(&pb.Entry{Data: data}), "%d bytes", len(data))
	}
}
