package quorum_test

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"sort"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/quorum"
)

// byDefinition returns the highest index that more than half of the voters have reached.
func byDefinition(acked []uint64) uint64 {
	best := uint64(0)
	for _, candidate := range acked {
		reached := 0
		for _, a := range acked {
			if a >= candidate {
				reached++
			}
		}
		if 2*reached > len(acked) {
			best = max(best, candidate)
		}
	}
	return best
}

// sortAndPick is the plain way: the last index of the shortest majority, best first.
func sortAndPick(acked []uint64) uint64 {
	sorted := slices.Clone(acked)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] > sorted[j] })
	return sorted[len(sorted)/2]
}

// forEach calls f with each of the base^n lists of n digits, always in the same slice.
func forEach(n, base int, f func(digits []uint64)) {
	digits := make([]uint64, n)
	for {
		f(digits)
		i := 0
		for ; i < n && digits[i] == uint64(base-1); i++ {
			digits[i] = 0
		}
		if i == n {
			return
		}
		digits[i]++
	}
}

// All assignments of small groups agree with the definition. Thesis 3.6.2.
func TestMajorityIndexIsWhatMoreThanHalfReached(t *testing.T) {
	for n := 1; n <= 6; n++ {
		forEach(n, 5, func(acked []uint64) {
			got := quorum.MajorityIndex(slices.Clone(acked))
			if want := byDefinition(acked); got != want {
				t.Fatalf("acked %v: got %d, want %d", acked, got, want)
			}
		})
	}
}

func TestJointIndexIsWhatBothHalvesReached(t *testing.T) {
	forEach(6, 4, func(acked []uint64) {
		for cut := 1; cut < len(acked); cut++ {
			in, out := slices.Clone(acked[:cut]), slices.Clone(acked[cut:])
			want := min(byDefinition(in), byDefinition(out))
			if got := quorum.JointIndex(in, out); got != want {
				t.Fatalf("acked %v && %v: got %d, want %d", in, out, got, want)
			}
		}
	})
}

// A voter that moves must not let a shortcut commit what no majority has: the fast ways agree with
// sort-and-pick for random groups, and after each single step of one voter.
func TestMajorityIndexEqualsSortAndPick(t *testing.T) {
	agrees := func(acked []uint64) bool {
		return len(acked) == 0 || quorum.MajorityIndex(slices.Clone(acked)) == sortAndPick(acked)
	}
	require.NoError(t, quick.Check(agrees, &quick.Config{MaxCount: 2000}))

	rng := rand.New(rand.NewSource(47))
	for n := 1; n <= 130; n++ {
		acked := make([]uint64, n)
		for step := 0; step < 60; step++ {
			acked[rng.Intn(n)] += uint64(rng.Intn(4))
			require.True(t, agrees(acked), "acked %v", acked)
		}
	}
}

func TestMajorityIndexOfLargeGroupsInAnyOrder(t *testing.T) {
	for _, n := range []int{13, 50, 101, 1000, 20000} {
		shapes := map[string]func(i int) uint64{
			"rising":  func(i int) uint64 { return uint64(i) },
			"falling": func(i int) uint64 { return uint64(n - i) },
			"equal":   func(int) uint64 { return 7 },
			"two":     func(i int) uint64 { return uint64(i % 2) },
			"organ":   func(i int) uint64 { return uint64(min(i, n-i)) },
			"zigzag":  func(i int) uint64 { return uint64(i * 7919 % n) },
			"highest": func(i int) uint64 { return math.MaxUint64 - uint64(i%3) },
		}
		for name, at := range shapes {
			acked := make([]uint64, n)
			for i := range acked {
				acked[i] = at(i)
			}
			require.Equal(t, sortAndPick(acked), quorum.MajorityIndex(slices.Clone(acked)), "%s %d", name, n)
		}
	}
}

// Values that make every pivot the second lowest of what is left cost no more than sorting.
func TestMajorityIndexSurvivesTheWorstOrder(t *testing.T) {
	const n = 400
	// Found by playing against the choice of pivots: unset values are larger than all set ones,
	// and get their rank only when the search has to compare them.
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	acked := make([]uint64, n)
	rank := uint64(1)
	left := order
	for len(left) > 2 {
		for _, at := range []int{len(left) / 2, 0} {
			acked[left[at]] = rank
			rank++
		}
		rest := append([]int(nil), left[1:len(left)/2]...)
		left = append(rest, left[len(left)/2+1:]...)
	}
	for _, at := range left {
		acked[at] = rank
		rank++
	}
	require.Equal(t, sortAndPick(acked), quorum.MajorityIndex(slices.Clone(acked)))
}

// The absent half of a configuration never holds back.
func TestNoVotersHaveReachedEverything(t *testing.T) {
	require.Equal(t, uint64(math.MaxUint64), quorum.MajorityIndex(nil))
	require.Equal(t, uint64(5), quorum.JointIndex([]uint64{5}, nil))
	require.Equal(t, uint64(math.MaxUint64), quorum.JointIndex(nil, nil))
}

func TestMajorityIndexDoesNotAllocate(t *testing.T) {
	for _, n := range []int{3, 7, 31, 101} {
		acked := make([]uint64, n)
		rng := rand.New(rand.NewSource(int64(n)))
		require.Zero(t, testing.AllocsPerRun(50, func() {
			for i := range acked {
				acked[i] = rng.Uint64()
			}
			quorum.MajorityIndex(acked)
		}))
	}
}

func BenchmarkMajorityIndex(b *testing.B) {
	for _, n := range []int{3, 5, 7, 12, 31, 101} {
		rng := rand.New(rand.NewSource(int64(n)))
		acked, work := make([]uint64, n), make([]uint64, n)
		for i := range acked {
			acked[i] = uint64(1000 + rng.Intn(100))
		}
		b.Run(fmt.Sprintf("voters=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				copy(work, acked)
				quorum.MajorityIndex(work)
			}
		})
	}
}
