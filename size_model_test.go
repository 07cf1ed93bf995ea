package raft

import (
	"math"
	"math/rand"
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

// Entries that follow each other are measured with what one learnt from the last: it makes no difference in what
// order they come.
func TestSizesOfManyAreTheEncodedSizes(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	sizes := []int{0, 1, 127, 128, 300, 1 << 14}
	for round := 0; round < 200; round++ {
		ents := make([]pb.Entry, 1+rng.Intn(200))
		var want uint64
		e := pb.Entry{Index: 1<<rng.Intn(64) - uint64(rng.Intn(150)), Term: 1 << rng.Intn(64)}
		for i := range ents {
			e.Index++
			switch rng.Intn(30) {
			case 0:
				e.Index = rng.Uint64() >> rng.Intn(64)
			case 1:
				e.Term = rng.Uint64() >> rng.Intn(64)
			case 2:
				e.Type = pb.EntryType(rng.Intn(400) - 200)
			case 3:
				e.Data = make([]byte, sizes[rng.Intn(len(sizes))])
			case 4:
				e.Data = nil
			}
			ents[i] = e
			want += uint64(e.Size())
		}
		require.Equal(t, want, entsSize(ents))
		limit := rng.Uint64() % (want + 10)
		require.Len(t, limitSize(ents, limit), len(NaiveLimit(ents, limit)))
	}
}
