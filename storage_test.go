package raft_test

import (
	"errors"
	"math"
	"math/rand"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// run returns entries with the given terms at indexes from first on.
func run(first uint64, terms ...uint64) []pb.Entry {
	ents := make([]pb.Entry, len(terms))
	for i, term := range terms {
		ents[i] = pb.Entry{Index: first + uint64(i), Term: term}
	}
	return ents
}

func snapshotAt(index, term uint64, voters ...uint64) pb.Snapshot {
	return pb.Snapshot{Metadata: pb.SnapshotMetadata{
		Index: index, Term: term, ConfState: pb.ConfState{Voters: voters},
	}}
}

// storageWith returns a storage with a snapshot at 3 of term 3 and entries 4, 5, 6 of terms 4, 5, 6.
func storageWith(t testing.TB) *raft.MemoryStorage {
	t.Helper()
	ms := raft.NewMemoryStorage()
	require.NoError(t, ms.ApplySnapshot(snapshotAt(3, 3, 1, 2)))
	require.NoError(t, ms.Append(run(4, 4, 5, 6)))
	return ms
}

func requireBounds(t *testing.T, ms *raft.MemoryStorage, first, last uint64) {
	t.Helper()
	gotFirst, err := ms.FirstIndex()
	require.NoError(t, err)
	gotLast, err := ms.LastIndex()
	require.NoError(t, err)
	require.Equal(t, [2]uint64{first, last}, [2]uint64{gotFirst, gotLast})
}

func requireEntries(t *testing.T, ms *raft.MemoryStorage, want []pb.Entry) {
	t.Helper()
	first, _ := ms.FirstIndex()
	last, _ := ms.LastIndex()
	got, err := ms.Entries(first, last+1, math.MaxUint64)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestStorageErrorsHaveTheTextsOfV36(t *testing.T) {
	require.EqualError(t, raft.ErrCompacted, "requested index is unavailable due to compaction")
	require.EqualError(t, raft.ErrSnapOutOfDate, "requested index is older than the existing snapshot")
	require.EqualError(t, raft.ErrUnavailable, "requested entry at index is unavailable")
	require.EqualError(t, raft.ErrSnapshotTemporarilyUnavailable, "snapshot is temporarily unavailable")
}

func TestNewStorageIsEmpty(t *testing.T) {
	ms := raft.NewMemoryStorage()
	requireBounds(t, ms, 1, 0)
	term, err := ms.Term(0)
	require.NoError(t, err)
	require.Zero(t, term)
	_, err = ms.Term(1)
	require.ErrorIs(t, err, raft.ErrUnavailable)
	_, err = ms.Entries(1, 1, math.MaxUint64)
	require.ErrorIs(t, err, raft.ErrUnavailable)
	snap, err := ms.Snapshot()
	require.NoError(t, err)
	require.True(t, raft.IsEmptySnap(snap))
}

func TestInitialStateIsTheHardStateAndTheSnapshotsMembers(t *testing.T) {
	ms := storageWith(t)
	require.NoError(t, ms.SetHardState(pb.HardState{Term: 6, Vote: 2, Commit: 5}))
	hs, cs, err := ms.InitialState()
	require.NoError(t, err)
	require.Equal(t, pb.HardState{Term: 6, Vote: 2, Commit: 5}, hs)
	require.Equal(t, pb.ConfState{Voters: []uint64{1, 2}}, cs)
}

func TestTermIsKnownFromTheSnapshotToTheEnd(t *testing.T) {
	ms := storageWith(t)
	_, err := ms.Term(2)
	require.ErrorIs(t, err, raft.ErrCompacted)
	for i := uint64(3); i <= 6; i++ {
		term, err := ms.Term(i)
		require.NoError(t, err)
		require.Equal(t, i, term)
	}
	_, err = ms.Term(7)
	require.ErrorIs(t, err, raft.ErrUnavailable)
}

func TestEntriesStayWithinTheirBounds(t *testing.T) {
	all := run(4, 4, 5, 6)
	size := uint64(all[0].Size())
	for _, tc := range []struct {
		lo, hi, maxSize uint64
		want            []pb.Entry
		err             error
	}{
		{2, 6, math.MaxUint64, nil, raft.ErrCompacted},
		{3, 4, math.MaxUint64, nil, raft.ErrCompacted},
		{4, 5, math.MaxUint64, all[:1], nil},
		{4, 7, math.MaxUint64, all, nil},
		{5, 5, math.MaxUint64, []pb.Entry{}, nil},
		{4, 7, 0, all[:1], nil},
		{4, 7, 2*size - 1, all[:1], nil},
		{4, 7, 2 * size, all[:2], nil},
		{4, 7, 3*size - 1, all[:2], nil},
		{4, 7, 3 * size, all, nil},
		{6, 5, math.MaxUint64, nil, raft.ErrUnavailable},
	} {
		got, err := storageWith(t).Entries(tc.lo, tc.hi, tc.maxSize)
		require.ErrorIs(t, err, tc.err, "%+v", tc)
		require.Equal(t, tc.want, got, "%+v", tc)
	}
	require.PanicsWithValue(t, "raft: MemoryStorage.Entries: hi is 8; allowed: up to 7", func() {
		_, _ = storageWith(t).Entries(4, 8, math.MaxUint64)
	})
}

func TestAppendReplacesFromItsFirstEntryOn(t *testing.T) {
	for _, tc := range []struct{ ents, want []pb.Entry }{
		{nil, run(4, 4, 5, 6)},
		{run(7, 7), run(4, 4, 5, 6, 7)},
		{run(5, 8, 9), run(4, 4, 8, 9)},
		{run(5, 8), run(4, 4, 8)},
		{run(4, 8), run(4, 8)},
		{run(1, 1, 2), run(4, 4, 5, 6)},             // compacted
		{run(2, 2, 3, 4), run(4, 4)},                // the compacted part is skipped
		{run(3, 3, 8, 8, 8, 8), run(4, 8, 8, 8, 8)}, // the same, and on beyond the end
	} {
		ms := storageWith(t)
		require.NoError(t, ms.Append(tc.ents))
		requireEntries(t, ms, tc.want)
	}
	require.PanicsWithValue(t, "raft: MemoryStorage.Append: entries[0].Index is 8; allowed: up to 7", func() {
		_ = storageWith(t).Append(run(8, 8))
	})
}

// Hosts and messages hold on to what Entries returned, while the log goes on.
func TestEntriesOnceReturnedNeverChange(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	ms := raft.NewMemoryStorage()
	type held struct{ got, copied []pb.Entry }
	var all []held
	for step := uint64(1); step <= 300; step++ {
		first, _ := ms.FirstIndex()
		last, _ := ms.LastIndex()
		at := first + uint64(rnd.Int63n(int64(last-first+2)))
		require.NoError(t, ms.Append(run(at, step, step, step)))
		if rnd.Intn(10) == 0 {
			require.NoError(t, ms.Compact(at))
			first = at + 1
		}
		got, err := ms.Entries(first, at+3, math.MaxUint64)
		require.NoError(t, err)
		all = append(all, held{got, append([]pb.Entry(nil), got...)})
		require.Equal(t, len(got), cap(got), "an append to it must not reach the storage")
	}
	for _, h := range all {
		require.Equal(t, h.copied, h.got)
	}
}

func TestAppendKeepsNoHandOnItsArgument(t *testing.T) {
	ms := raft.NewMemoryStorage()
	ents := run(1, 1, 2)
	require.NoError(t, ms.Append(ents))
	ents[0].Term = 9
	requireEntries(t, ms, run(1, 1, 2))
}

func TestCompactDropsUpToItsIndex(t *testing.T) {
	for _, tc := range []struct {
		index, first uint64
		err          error
	}{
		{2, 4, raft.ErrCompacted}, {3, 4, raft.ErrCompacted}, {4, 5, nil}, {5, 6, nil}, {6, 7, nil},
	} {
		ms := storageWith(t)
		require.ErrorIs(t, ms.Compact(tc.index), tc.err)
		requireBounds(t, ms, tc.first, 6)
		term, err := ms.Term(tc.first - 1)
		require.NoError(t, err)
		require.Equal(t, tc.first-1, term, "the term before the first entry stays known")
	}
	require.PanicsWithValue(t, "raft: MemoryStorage.Compact: compactIndex is 7; allowed: up to 6", func() {
		_ = storageWith(t).Compact(7)
	})
}

func TestCreateSnapshotTakesTheTermOfItsIndex(t *testing.T) {
	ms := storageWith(t)
	snap, err := ms.CreateSnapshot(4, nil, []byte("a"))
	require.NoError(t, err)
	want := snapshotAt(4, 4, 1, 2)
	want.Data = []byte("a")
	require.Equal(t, want, snap, "without a configuration the last one stays")

	snap, err = ms.CreateSnapshot(6, &pb.ConfState{Voters: []uint64{5}}, nil)
	require.NoError(t, err)
	require.Equal(t, snapshotAt(6, 6, 5), snap)
	stored, err := ms.Snapshot()
	require.NoError(t, err)
	require.Equal(t, snap, stored)
	requireBounds(t, ms, 4, 6)

	_, err = ms.CreateSnapshot(6, nil, nil)
	require.ErrorIs(t, err, raft.ErrSnapOutOfDate)
	require.PanicsWithValue(t, "raft: MemoryStorage.CreateSnapshot: i is 7; allowed: up to 6", func() {
		_, _ = ms.CreateSnapshot(7, nil, nil)
	})
}

// The term is part of the snapshot; where it is gone there can be no snapshot.
func TestCreateSnapshotBelowTheCompactedIndexIsRefused(t *testing.T) {
	ms := storageWith(t)
	require.NoError(t, ms.Compact(5))
	_, err := ms.CreateSnapshot(4, nil, nil)
	require.ErrorIs(t, err, raft.ErrCompacted)
	snap, err := ms.CreateSnapshot(5, nil, nil)
	require.NoError(t, err)
	require.Equal(t, snapshotAt(5, 5, 1, 2), snap)
}

func TestApplySnapshotReplacesTheLog(t *testing.T) {
	ms := storageWith(t)
	require.NoError(t, ms.ApplySnapshot(snapshotAt(5, 9, 7)))
	requireBounds(t, ms, 6, 5)
	term, err := ms.Term(5)
	require.NoError(t, err)
	require.Equal(t, uint64(9), term)
	for _, index := range []uint64{4, 5} {
		require.ErrorIs(t, ms.ApplySnapshot(snapshotAt(index, 9, 7)), raft.ErrSnapOutOfDate)
	}
}

// As in v3.7: it says who the first members are, and nothing else.
func TestNewStorageTakesABootstrapSnapshotOfIndexZero(t *testing.T) {
	ms := raft.NewMemoryStorage()
	require.NoError(t, ms.ApplySnapshot(snapshotAt(0, 0, 1, 2, 3)))
	_, cs, err := ms.InitialState()
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2, 3}, cs.Voters)
	requireBounds(t, ms, 1, 0)

	require.NoError(t, ms.Append(run(1, 1)))
	require.ErrorIs(t, ms.ApplySnapshot(snapshotAt(0, 0, 9)), raft.ErrSnapOutOfDate)
	require.ErrorIs(t, storageWith(t).ApplySnapshot(snapshotAt(0, 0, 9)), raft.ErrSnapOutOfDate)
}

// The race detector is the judge.
func TestStorageMayBeUsedByManyGoroutines(t *testing.T) {
	ms := storageWith(t)
	uses := []func(i uint64) error{
		func(i uint64) error { return ms.Append(run(i, i)) },
		func(i uint64) error { return ms.SetHardState(pb.HardState{Commit: i}) },
		func(i uint64) error { _, err := ms.CreateSnapshot(i-1, nil, nil); return ignoreOld(err) },
		func(i uint64) error { return ignoreOld(ms.Compact(i - 2)) },
		func(i uint64) error { return ignoreOld(ms.ApplySnapshot(snapshotAt(1, 1))) },
		func(uint64) error { _, _, err := ms.InitialState(); return err },
		func(uint64) error { _, err := ms.Snapshot(); return err },
		func(uint64) error {
			last, err := ms.LastIndex()
			if err == nil {
				_, err = ms.Term(last)
			}
			return err
		},
		func(uint64) error {
			first, err := ms.FirstIndex()
			if err == nil {
				_, err = ms.Entries(first, first+1, 0)
			}
			return ignoreOld(err)
		},
	}
	for i := uint64(7); i < 40; i++ {
		errs := make([]error, len(uses))
		var done sync.WaitGroup
		done.Add(len(uses))
		for n := range uses {
			go func(n int) {
				defer done.Done()
				errs[n] = uses[n](i)
			}(n)
		}
		done.Wait()
		require.Equal(t, make([]error, len(uses)), errs)
	}
}

// ignoreOld returns err unless it says that another goroutine was faster.
func ignoreOld(err error) error {
	if errors.Is(err, raft.ErrCompacted) || errors.Is(err, raft.ErrSnapOutOfDate) {
		return nil
	}
	return err
}
