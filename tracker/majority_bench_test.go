package tracker_test

import (
	"fmt"
	"math/rand"
	"testing"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// group returns n voters with IDs stride, 2*stride, ..., at slightly different indexes, as in a
// busy group.
func group(tb testing.TB, n int, stride uint64) tracker.Peers {
	tb.Helper()
	var cs pb.ConfState
	for id := uint64(1); id <= uint64(n); id++ {
		cs.Voters = append(cs.Voters, id*stride)
	}
	ps, err := tracker.RestorePeers(cs, 0)
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewSource(int64(n)))
	for i := range ps.All() {
		ps.All()[i].Match = 1000 + uint64(rng.Intn(100))
	}
	return ps
}

func BenchmarkCommitted(b *testing.B) {
	for _, n := range []int{1, 3, 5, 7, 31, 101} {
		ps := group(b, n, 1)
		b.Run(fmt.Sprintf("voters=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				ps.Committed()
			}
		})
	}
}

func BenchmarkCommittedAbove(b *testing.B) {
	for _, n := range []int{3, 7, 31, 101} {
		ps := group(b, n, 1)
		b.Run(fmt.Sprintf("voters=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				ps.CommittedAbove(1050)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{3, 7, 31, 101} {
		ps := group(b, n, 1000)
		b.Run(fmt.Sprintf("voters=%d", n), func(b *testing.B) {
			for i := 0; i < b.N; i++ {
				ps.Get(uint64(1+i%n) * 1000)
			}
		})
	}
}
