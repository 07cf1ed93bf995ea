package tracker_test

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/tracker"
)

// After any sequence, the window holds what a plain list would: the count, and the bytes, which
// show in when it is full. No bytes leak. (Scenario B42.)
func TestWindowCountsWhatAPlainListHolds(t *testing.T) {
	type sent struct{ index, bytes uint64 }
	for seed := int64(0); seed < 300; seed++ {
		rng := rand.New(rand.NewSource(seed))
		limit, maxBytes := 1+rng.Intn(40), uint64(rng.Intn(3))*uint64(rng.Intn(500))
		in := tracker.NewInflights(limit, maxBytes)
		pr := tracker.Progress{Inflights: in}
		var list []sent
		next := uint64(1)
		for step := 0; step < 200; step++ {
			var total uint64
			for _, s := range list {
				total += s.bytes
			}
			full := len(list) == limit || maxBytes > 0 && total >= maxBytes
			require.Equal(t, len(list), in.Count(), "seed %d step %d", seed, step)
			require.Equal(t, full, in.Full(), "seed %d step %d", seed, step)

			switch action := rng.Intn(40); {
			case action == 0:
				pr.ResetState(tracker.StateReplicate)
				list = nil
			case action == 1:
				in = in.Clone()
				pr.Inflights = in
			case action < 25 && !full:
				s := sent{index: next, bytes: uint64(rng.Intn(100))}
				next += 1 + uint64(rng.Intn(3))
				in.Add(s.index, s.bytes)
				list = append(list, s)
			case len(list) > 0:
				to := list[rng.Intn(len(list))].index - uint64(rng.Intn(2))
				in.FreeLE(to)
				for len(list) > 0 && list[0].index <= to {
					list = list[1:]
				}
			}
		}
	}
}

// The limit of bytes is a mark to cross, not a wall: one large append always fits.
func TestTheAppendThatCrossesTheByteLimitFits(t *testing.T) {
	in := tracker.NewInflights(10, 100)
	in.Add(1, 99)
	require.False(t, in.Full())
	in.Add(2, 1000)
	require.True(t, in.Full())
	in.FreeLE(2)
	require.False(t, in.Full())
	in.Add(3, 1000)
	require.True(t, in.Full())
}

func TestAddingToAFullWindowPanics(t *testing.T) {
	in := tracker.NewInflights(1, 0)
	in.Add(1, 0)
	require.Panics(t, func() { in.Add(2, 0) })
	require.Panics(t, func() { tracker.NewInflights(0, 0).Add(1, 0) })
}

// An acknowledgement frees from the oldest on and stops at the first append above it.
func TestFreeingStopsAtTheFirstAppendAbove(t *testing.T) {
	in := tracker.NewInflights(4, 0)
	in.FreeLE(9)
	in.Add(7, 0)
	in.Add(3, 0)
	in.FreeLE(6)
	require.Equal(t, 2, in.Count())
	in.FreeLE(7)
	require.Zero(t, in.Count())
}

func TestACloneOfAWindowGoesItsOwnWay(t *testing.T) {
	in := tracker.NewInflights(3, 0)
	in.Add(1, 5)
	clone := in.Clone()
	clone.Add(2, 5)
	in.FreeLE(1)
	in.Add(9, 0)
	require.Equal(t, 1, in.Count())
	require.Equal(t, 2, clone.Count())
	clone.FreeLE(2)
	require.Zero(t, clone.Count())
}

// The core leaves windows out until they are needed.
func TestANilWindowIsEmptyAndNeverFull(t *testing.T) {
	var in *tracker.Inflights
	in.Add(1, 1)
	in.FreeLE(1)
	require.Zero(t, in.Count())
	require.False(t, in.Full())
	require.Nil(t, in.Clone())
}

// A window that moves on at its limit works in the memory it has.
func TestASteadyWindowDoesNotAllocate(t *testing.T) {
	in := tracker.NewInflights(100, 0)
	next := uint64(0)
	for ; next < 100; next++ {
		in.Add(next, 10)
	}
	require.Zero(t, testing.AllocsPerRun(500, func() {
		in.FreeLE(next - 100)
		in.Add(next, 10)
		next++
	}))
}

func BenchmarkInflights(b *testing.B) {
	in := tracker.NewInflights(256, 0)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if in.Full() {
			in.FreeLE(uint64(i) - 128)
		}
		in.Add(uint64(i), 100)
	}
}
