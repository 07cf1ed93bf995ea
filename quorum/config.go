package quorum

import (
	"fmt"
	"slices"
	"strings"
)

// onStack is the number of voters up to which the maps' methods get by without the heap.
const onStack = 16

// MajorityConfig is a set of voters that decides by majority, by ID. The nil map is the empty set.
type MajorityConfig map[uint64]struct{}

// String returns the IDs in ascending order, as in "(1 2 3)".
func (c MajorityConfig) String() string {
	return "(" + strings.Trim(fmt.Sprint(c.Slice()), "[]") + ")"
}

// Slice returns the IDs in ascending order; nil when there are none.
func (c MajorityConfig) Slice() []uint64 {
	if len(c) == 0 {
		return nil
	}
	ids := make([]uint64, 0, len(c))
	for id := range c {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// CommittedIndex returns the highest index that a majority has acknowledged, with 0 for each voter
// that was not found. It is the largest Index for the empty set.
func (c MajorityConfig) CommittedIndex(l AckedIndexer) Index {
	var room [onStack]uint64
	acked := room[:0]
	if len(c) > onStack {
		acked = make([]uint64, 0, len(c))
	}
	for id := range c {
		idx, found := l.AckedIndex(id)
		if !found {
			idx = 0
		}
		acked = append(acked, uint64(idx))
	}
	return Index(MajorityIndex(acked))
}

// VoteResult returns the outcome of the votes of c's members: true for granted, false for refused,
// absent for not cast yet. Votes of others are ignored. The empty set is won.
func (c MajorityConfig) VoteResult(votes map[uint64]bool) VoteResult {
	var granted, refused int
	for id := range c {
		switch yes, cast := votes[id]; {
		case !cast:
		case yes:
			granted++
		default:
			refused++
		}
	}
	return MajorityVote(granted, refused, len(c))
}

// Describe returns a chart of several lines for people: for each voter, in order of IDs, its index
// and a bar with one x for each voter that stands behind it. Of voters at the same index only the
// first has a bar; voters that l does not know are marked with a question mark.
func (c MajorityConfig) Describe(l AckedIndexer) string {
	if len(c) == 0 {
		return "<empty majority quorum>"
	}
	type row struct {
		id    uint64
		idx   Index
		found bool
		bar   int
	}
	rows := make([]row, len(c))
	ranked := make([]*row, len(c))
	for i, id := range c.Slice() {
		idx, found := l.AckedIndex(id)
		rows[i] = row{id: id, idx: idx, found: found}
		ranked[i] = &rows[i]
	}
	slices.SortStableFunc(ranked, func(a, b *row) int {
		switch {
		case a.idx < b.idx:
			return -1
		case a.idx > b.idx:
			return 1
		}
		return 0
	})
	for i, r := range ranked {
		if i > 0 && ranked[i-1].idx < r.idx {
			r.bar = i
		}
	}

	var chart strings.Builder
	chart.WriteString(strings.Repeat(" ", len(c)) + "    idx\n")
	for _, r := range rows {
		bar := "?"
		if r.found {
			bar = strings.Repeat("x", r.bar) + ">"
		}
		// The index as a bare number: ∞ stands for no voters, not for a voter far ahead.
		fmt.Fprintf(&chart, "%-*s %5d    (id=%d)\n", len(c)+1, bar, uint64(r.idx), r.id)
	}
	return chart.String()
}

// JointConfig is two sets of voters, each of which has to agree: the incoming configuration and,
// while the membership is changing, the outgoing one. Thesis 4.3.
type JointConfig [2]MajorityConfig

// String returns both sets, as in "(1 2 3)&&(3 4)", or the first alone if the second is empty.
func (c JointConfig) String() string {
	if len(c[1]) == 0 {
		return c[0].String()
	}
	return c[0].String() + "&&" + c[1].String()
}

// IDs returns the members of either set, in a new map.
func (c JointConfig) IDs() map[uint64]struct{} {
	ids := make(map[uint64]struct{}, len(c[0])+len(c[1]))
	for _, half := range c {
		for id := range half {
			ids[id] = struct{}{}
		}
	}
	return ids
}

// Describe returns the chart of [MajorityConfig.Describe] for the members of either set.
func (c JointConfig) Describe(l AckedIndexer) string {
	return MajorityConfig(c.IDs()).Describe(l)
}

// CommittedIndex returns the highest index that majorities of both sets have acknowledged.
func (c JointConfig) CommittedIndex(l AckedIndexer) Index {
	return min(c[0].CommittedIndex(l), c[1].CommittedIndex(l))
}

// VoteResult returns the outcome of an election that has to be won in both sets.
func (c JointConfig) VoteResult(votes map[uint64]bool) VoteResult {
	return Both(c[0].VoteResult(votes), c[1].VoteResult(votes))
}
