package raft

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// plainTerms is what termRuns stands for: one term for each index from start on.
type plainTerms struct {
	start uint64
	terms []uint64
}

func (p *plainTerms) end() uint64 { return p.start + uint64(len(p.terms)) - 1 }

func (p *plainTerms) at(i uint64) (uint64, bool) {
	if i < p.start || i > p.end() || len(p.terms) == 0 {
		return 0, false
	}
	return p.terms[i-p.start], true
}

func (p *plainTerms) lastUpTo(i, term uint64) (entryID, bool) {
	for i = min(i, p.end()); len(p.terms) > 0 && i >= p.start; i-- {
		if p.terms[i-p.start] <= term {
			return entryID{term: p.terms[i-p.start], index: i}, true
		}
		if i == 0 {
			break
		}
	}
	return entryID{}, false
}

func (p *plainTerms) truncate(i uint64) {
	switch {
	case i >= p.end():
	case i < p.start:
		p.start, p.terms = i+1, nil
	default:
		p.terms = p.terms[:i-p.start+1]
	}
}

func (p *plainTerms) reset(id entryID) { p.start, p.terms = id.index, []uint64{id.term} }

func requireSameTerms(t *testing.T, want *plainTerms, got *termRuns, seed int64) {
	t.Helper()
	require.Equal(t, want.start, got.start(), "seed %d", seed)
	require.Equal(t, want.end(), got.end, "seed %d", seed)
	var top uint64
	if n := len(want.terms); n > 0 {
		top = want.terms[n-1]
	}
	for i := saturatingDec(want.start); i <= want.end()+2; i++ {
		wantTerm, wantKnown := want.at(i)
		term, known := got.at(i)
		require.Equal(t, wantKnown, known, "seed %d: at(%d)", seed, i)
		require.Equal(t, wantTerm, term, "seed %d: at(%d)", seed, i)
		for upTo := uint64(0); upTo <= top+1; upTo++ {
			wantID, wantFound := want.lastUpTo(i, upTo)
			id, found := got.lastUpTo(i, upTo)
			require.Equal(t, wantFound, found, "seed %d: lastUpTo(%d, %d)", seed, i, upTo)
			require.Equal(t, wantID, id, "seed %d: lastUpTo(%d, %d)", seed, i, upTo)
		}
	}
}

// Term runs say of each index what a list with one term per entry says, and nothing of an index that
// they do not cover, whatever was pushed, truncated, restored or learned afterwards (scenario B54).
func TestTermRunsAgreeWithAPlainList(t *testing.T) {
	for seed := int64(0); seed < 60; seed++ {
		rng := rand.New(rand.NewSource(seed))
		start := uint64(rng.Intn(20))
		want := &plainTerms{start: start + 1}
		terms := noTerms(start)
		got := &terms
		for step := 0; step < 60; step++ {
			stepTermRuns(rng, want, got)
			requireSameTerms(t, want, got, seed)
		}
	}
}

func stepTermRuns(rng *rand.Rand, want *plainTerms, got *termRuns) {
	var last uint64
	if n := len(want.terms); n > 0 {
		last = want.terms[n-1]
	}
	switch action := rng.Intn(10); {
	case action < 5: // an entry follows
		id := entryID{term: last + uint64(rng.Intn(2)), index: want.end() + 1}
		got.push(id)
		want.terms = append(want.terms, id.term)
	case action < 7: // entries are overwritten
		i := saturatingDec(saturatingDec(want.start)) + uint64(rng.Intn(len(want.terms)+4))
		got.truncate(i)
		want.truncate(i)
	case action < 8: // the entry before is looked up
		if want.start == 0 {
			return
		}
		id := entryID{term: last, index: want.start - 1}
		if len(want.terms) > 0 {
			id.term = saturatingDec(want.terms[0]) + uint64(rng.Intn(2))
			id.term = min(id.term, want.terms[0])
		}
		got.extend(id)
		want.start, want.terms = id.index, append([]uint64{id.term}, want.terms...)
	case action < 9: // an entry somewhere else
		id := entryID{term: last + 1, index: want.end() + 2 + uint64(rng.Intn(5))}
		got.push(id)
		want.reset(id)
	default: // a snapshot
		id := entryID{term: last + uint64(rng.Intn(2)), index: uint64(rng.Intn(60))}
		got.reset(id)
		want.reset(id)
	}
}

// The memory for term runs is bounded: the oldest are forgotten, and none that is known is wrong
// (scenario B54).
func TestTermRunsForgetTheOldestBeyondTheirBound(t *testing.T) {
	terms := noTerms(0)
	runs := &terms
	const n = 3*maxTermRuns + 100
	for i := uint64(1); i <= n; i++ {
		runs.push(entryID{term: i + 7, index: i})
		require.LessOrEqual(t, len(runs.older())+1, maxTermRuns)
	}
	require.Equal(t, uint64(n), runs.end)
	require.Greater(t, runs.start(), uint64(1))
	require.LessOrEqual(t, runs.start(), uint64(n-maxTermRuns/2))
	for i := uint64(1); i <= n; i++ {
		term, known := runs.at(i)
		require.Equal(t, i >= runs.start(), known)
		if known {
			require.Equal(t, i+7, term)
		}
	}

	start := runs.start()
	for len(runs.older())+1 < maxTermRuns {
		runs.push(entryID{term: runs.end + 8, index: runs.end + 1})
	}
	runs.extend(entryID{term: start + 6, index: start - 1})
	require.Equal(t, start, runs.start(), "there is no room for an older run")
	runs.extend(entryID{term: start + 7, index: start - 1})
	require.Equal(t, start-1, runs.start(), "the oldest run may still become longer")
}
