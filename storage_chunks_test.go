package raft_test

import (
	"math"
	"math/rand"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// A MemoryStorage holds a long log in several pieces. Nobody can tell: any appends, overwrites and compactions
// leave what they would leave of a plain slice, and what once was returned never changes.
func TestLongStorageAgreesWithAPlainSlice(t *testing.T) {
	for seed := int64(0); seed < 4; seed++ {
		rnd := rand.New(rand.NewSource(seed))
		ms := raft.NewMemoryStorage()
		var all []pb.Entry // all[i] has index i+1
		type held struct{ got, copied []pb.Entry }
		var kept []held
		first := uint64(1)
		for step := uint64(1); step <= 60; step++ {
			last := uint64(len(all))
			at := last + 1
			if rnd.Intn(3) == 0 {
				at = first + uint64(rnd.Int63n(int64(last-first+2)))
			}
			fresh := longRun(rnd, at, step)
			require.NoError(t, ms.Append(fresh))
			all = append(all[:at-1:at-1], fresh...)
			clear(fresh)
			last = uint64(len(all))
			if rnd.Intn(6) == 0 {
				i := first + uint64(rnd.Int63n(int64(last-first+1)))
				require.NoError(t, ms.Compact(i))
				first = i + 1
			}
			requireBounds(t, ms, first, last)
			if first > last {
				continue
			}
			lo := first + uint64(rnd.Int63n(int64(last-first+1)))
			hi := lo + 1 + uint64(rnd.Int63n(int64(last-lo+1)))
			limit := uint64(rnd.Intn(30 << 10))
			if rnd.Intn(2) == 0 {
				limit = math.MaxUint64
			}
			got, err := ms.Entries(lo, hi, limit)
			require.NoError(t, err)
			require.True(t, equalEntries(raft.NaiveLimit(all[lo-1:hi-1], limit), got), "seed %d: [%d, %d)", seed, lo, hi)
			require.Equal(t, len(got), cap(got), "an append to it must not reach the storage")
			kept = append(kept, held{got, append([]pb.Entry(nil), got...)})
			term, err := ms.Term(lo)
			require.NoError(t, err)
			require.Equal(t, all[lo-1].Term, term)
		}
		for _, h := range kept {
			require.True(t, equalEntries(h.copied, h.got))
		}
	}
}

// longRun returns entries of the term from at on: few, many or very many.
func longRun(rnd *rand.Rand, at, term uint64) []pb.Entry {
	n := []int{3, 70, 700, 20000, 100000}[min(rnd.Intn(40)/9, 4)]
	ents := make([]pb.Entry, 1+rnd.Intn(n))
	for i := range ents {
		ents[i] = pb.Entry{Index: at + uint64(i), Term: term, Data: make([]byte, rnd.Intn(3))}
	}
	return ents
}

// equalEntries is require.Equal for so many that reflection would take long.
func equalEntries(want, got []pb.Entry) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		w, g := &want[i], &got[i]
		if w.Index != g.Index || w.Term != g.Term || w.Type != g.Type || string(w.Data) != string(g.Data) {
			return false
		}
	}
	return true
}

// A log that grows is not copied, nor is what a page of it holds: a million entries take little more memory
// than they have, also while somebody reads them.
func TestStorageOfALongLogAllocatesEachEntryOnce(t *testing.T) {
	const entrySize, pages, page = 48, 500, 500
	ents := make([]pb.Entry, page)
	before := allocated()
	ms := raft.NewMemoryStorage()
	for n := uint64(0); n < pages*page; n += page {
		for i := range ents {
			ents[i] = pb.Entry{Index: n + uint64(i) + 1, Term: 1}
		}
		require.NoError(t, ms.Append(ents))
	}
	for n := uint64(0); n < pages*page; n += page {
		got, err := ms.Entries(n+1, n+page+1, math.MaxUint64)
		require.NoError(t, err)
		require.Len(t, got, page)
	}
	require.Less(t, allocated()-before, uint64(1.3*entrySize*pages*page))
}

// What is compacted or replaced does not stay in memory, wherever in a long log the border is.
func TestStorageLetsGoOfWhatIsDropped(t *testing.T) {
	const n, payload = 10000, 1 << 10
	for keep := uint64(0); keep <= 3000; keep += 600 {
		held := func(drop func(ms *raft.MemoryStorage) error) int64 {
			before, _ := liveHeap()
			ms := raft.NewMemoryStorage()
			for i := uint64(1); i <= n; i++ {
				require.NoError(t, ms.Append([]pb.Entry{{Index: i, Term: 1, Data: make([]byte, payload)}}))
			}
			require.NoError(t, drop(ms))
			after, _ := liveHeap()
			runtime.KeepAlive(ms)
			return after - before
		}
		most := int64(keep*(payload+2*48) + 1024*48 + 16<<10)
		require.Less(t, held(func(ms *raft.MemoryStorage) error { return ms.Compact(n - keep) }), most, "%d kept", keep)
		replaced := run(keep+1, 2)
		require.Less(t, held(func(ms *raft.MemoryStorage) error { return ms.Append(replaced) }), most, "%d kept", keep)
	}
}
