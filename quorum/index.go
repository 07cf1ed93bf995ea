package quorum

import (
	"math"
	"slices"
)

// insertionMax is the number of voters up to which sorting by insertion beats selection.
const insertionMax = 12

// MajorityIndex returns the highest index that a majority has acknowledged, given what each voter
// did; math.MaxUint64 for no voters, so that the absent half of a configuration never holds back.
// It may reorder acked, and does not allocate.
func MajorityIndex(acked []uint64) uint64 {
	n := len(acked)
	switch {
	case n == 0:
		return math.MaxUint64
	case n == 3:
		return median(acked[0], acked[1], acked[2])
	case n <= insertionMax:
		sortByInsertion(acked)
		return acked[(n-1)/2]
	}
	return selectRank(acked, (n-1)/2)
}

// JointIndex returns the highest index that majorities of both sets of voters have acknowledged.
// Like MajorityIndex it may reorder what it is given.
func JointIndex(incoming, outgoing []uint64) uint64 {
	return min(MajorityIndex(incoming), MajorityIndex(outgoing))
}

func median(a, b, c uint64) uint64 {
	return max(min(a, b), min(max(a, b), c))
}

func sortByInsertion(v []uint64) {
	for i := 1; i < len(v); i++ {
		x, j := v[i], i
		for ; j > 0 && v[j-1] > x; j-- {
			v[j] = v[j-1]
		}
		v[j] = x
	}
}

// selectRank returns the value that sorting v would put at position k. Followers tend to stand at
// a few equal indexes, so the values equal to the pivot are kept apart from the rest: when the
// answer is among them, one pass finds it.
func selectRank(v []uint64, k int) uint64 {
	for passes := 0; len(v) > insertionMax; passes++ {
		if passes == 16 {
			// Pivots this unlucky are no accident; give up linear time, keep n log n.
			slices.Sort(v)
			return v[k]
		}
		pivot := median(v[0], v[len(v)/2], v[len(v)-1])
		below, upTo := partition(v, pivot)
		switch {
		case k < below:
			v = v[:below]
		case k < upTo:
			return pivot
		default:
			v, k = v[upTo:], k-upTo
		}
	}
	sortByInsertion(v)
	return v[k]
}

// partition reorders v into values below, equal to and above pivot, and returns where the second
// and the third part start.
func partition(v []uint64, pivot uint64) (below, upTo int) {
	above := len(v)
	for upTo < above {
		switch x := v[upTo]; {
		case x < pivot:
			v[below], v[upTo] = x, v[below]
			below++
			upTo++
		case x > pivot:
			above--
			v[above], v[upTo] = x, v[above]
		default:
			upTo++
		}
	}
	return below, upTo
}
