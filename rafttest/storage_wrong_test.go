package rafttest

import (
	"runtime"
	"sync/atomic"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// wrongStorages has for each rule of the suite a storage that breaks it, and
// what the suite then says.
var wrongStorages = map[string]struct {
	bend func(*bent)
	want string
}{
	"NewStorageIsEmpty": {startsAtZero, "FirstIndex is 0, want 1"},
	"AppendedEntriesComeBackUnchanged": {
		losesType, "want {Term:1 Index:3 Type:EntryConfChange"},
	"EntriesStopsBeforeItsUpperBound":       {includesUpperBound, "Entries(1, 2, no limit) has 2 entries"},
	"EntriesPastTheEndAreRefused":           {cutsShortAtTheEnd, "Entries(2, 5) past the end has 2 entries"},
	"SizeLimitIsExactButNeverBelowOneEntry": {countsDataOnly, "entries (1 to 3), want 2 (1 to 2)"},
	"TermIsKnownForEachEntry":               {termOfNeighbour, "Term(3) is 4, want 1"},
	"TermPastTheEndIsUnavailable":           {zeroTermPastTheEnd, `Term(1) has error "none"`},
	"AppendOfNothingChangesNothing":         {emptyAppendTruncates, "LastIndex is 0, want 3"},
	"ConflictingTailIsReplacedWhole":        {keepsOldTail, "LastIndex is 6, want 4"},
	"HardStateComesBackUnchanged":           {skipsCommitOnlyWrites, "want {Term:5 Vote:2 Commit:3}"},
	"HardStateLeavesTheLogAlone":            {hardStateCutsLogToCommit, "LastIndex is 2, want 4"},
	"CompactKeepsWhatIsAboveItsIndex":       {compactsOneTooMany, "FirstIndex is 4, want 3"},
	"CompactedEntriesAreGone": {
		answersCompactedWithNothing, `Entries(1, 2) has 0 entries and error "none"`},
	"TermAtTheCompactedIndexStaysKnown":     {forgetsBoundaryTerm, "Term(2) failed"},
	"TermBelowTheCompactedIndexIsCompacted": {zeroTermBelow, `Term(0) has error "none"`},
	"CompactNeverMovesBack":                 {compactPretendsOlder, "FirstIndex is 3, want 5"},
	"LogCompactedToItsEndGrowsOn":           {emptyLogStartsOver, "FirstIndex is 1, want 5"},
	"AppendPassesOverCompactedEntries":      {bringsCompactedBack, "FirstIndex is 3, want 5"},
	"SnapshotComesBackUnchanged":            {snapshotWithoutData, `Snapshot has data "", want "state at 7"`},
	"ConfStateOfSnapshotIsInitialState":     {forgetsOutgoingVoters, "VotersOutgoing:[]"},
	"SnapshotReplacesTheLog":                {snapshotKeepsTail, "LastIndex is 10, want 7"},
	"LogGoesOnAfterSnapshot":                {compactForgetsSnapshot, "Snapshot is at index 0"},
	"OlderSnapshotTakesNothingBack":         {takesOlderSnapshot, "FirstIndex is 6, want 8"},
	"ReturnedSliceMayBeAppendedTo":          {returnsRoomBehind, "Term:9 Index:4"},
	"ReturnedSliceStaysAsItWas":             {returnsItsOwnArray, "entry 3 of an earlier answer changed"},
	"AppendedSliceMayBeReused":              {keepsCallersSlice, "is {Term:9 Index:99"},
	"ReadersNeverSeeHalfAWrite":             {boundsBeforeEntries, "a reader got"},
	"CrashKeepsEntriesAndTerms":             {losesLastBatch, "LastIndex is 4, want 6"},
	"CrashKeepsTheHardState":                {losesHardState, "InitialState has HardState {Term:0"},
	"CrashBringsNoOldTailBack":              {oldTailComesBack, "LastIndex is 8, want 4"},
	"CrashKeepsTheCompactedIndex":           {losesCompaction, "FirstIndex is 1, want 4"},
	"CrashKeepsTheSnapshot":                 {losesSnapshotAtCrash, "LastIndex is 0, want 20"},
}

func startsAtZero(s *bent) {
	s.first = func() (uint64, error) { return 0, nil }
}

func losesType(s *bent) {
	s.append = func(entries []pb.Entry) error {
		plain := append([]pb.Entry(nil), entries...)
		for i := range plain {
			plain[i].Type = pb.EntryNormal
		}
		return s.MemoryStorage.Append(plain)
	}
}

func includesUpperBound(s *bent) {
	s.entries = func(lo, hi, maxSize uint64) ([]pb.Entry, error) {
		last, _ := s.MemoryStorage.LastIndex()
		return s.MemoryStorage.Entries(lo, min(hi+1, last+1), maxSize)
	}
}

func cutsShortAtTheEnd(s *bent) {
	s.entries = func(lo, hi, maxSize uint64) ([]pb.Entry, error) {
		last, _ := s.MemoryStorage.LastIndex()
		if lo > last {
			return nil, nil
		}
		return s.MemoryStorage.Entries(lo, min(hi, last+1), maxSize)
	}
}

// countsDataOnly leaves index, term and type out of an entry's size.
func countsDataOnly(s *bent) {
	s.entries = func(lo, hi, maxSize uint64) ([]pb.Entry, error) {
		entries, err := s.MemoryStorage.Entries(lo, hi, noSizeLimit)
		size := uint64(0)
		for i := range entries {
			size += uint64(len(entries[i].Data))
			if i > 0 && size > maxSize {
				return entries[:i], err
			}
		}
		return entries, err
	}
}

func termOfNeighbour(s *bent) {
	s.term = func(i uint64) (uint64, error) {
		if last, _ := s.MemoryStorage.LastIndex(); i > 0 && i < last {
			i++
		}
		return s.MemoryStorage.Term(i)
	}
}

func zeroTermPastTheEnd(s *bent) {
	s.term = func(i uint64) (uint64, error) {
		term, err := s.MemoryStorage.Term(i)
		if err == raft.ErrUnavailable {
			return 0, nil
		}
		return term, err
	}
}

func emptyAppendTruncates(s *bent) {
	s.append = func(entries []pb.Entry) error {
		if len(entries) == 0 {
			return reset(s, pb.Snapshot{}, nil)
		}
		return s.MemoryStorage.Append(entries)
	}
}

func keepsOldTail(s *bent) {
	s.append = func(entries []pb.Entry) error {
		if len(entries) == 0 {
			return nil
		}
		last, _ := s.MemoryStorage.LastIndex()
		end := entries[len(entries)-1].Index
		if end < last {
			tail, _ := s.MemoryStorage.Entries(end+1, last+1, noSizeLimit)
			entries = append(entries[:len(entries):len(entries)], tail...)
		}
		return s.MemoryStorage.Append(entries)
	}
}

func skipsCommitOnlyWrites(s *bent) {
	s.save = func(hs pb.HardState) error {
		old, _, _ := s.MemoryStorage.InitialState()
		if old.Term == hs.Term && old.Vote == hs.Vote {
			return nil
		}
		return s.MemoryStorage.SetHardState(hs)
	}
}

func hardStateCutsLogToCommit(s *bent) {
	s.save = func(hs pb.HardState) error {
		last, _ := s.MemoryStorage.LastIndex()
		if hs.Commit > 0 && hs.Commit < last {
			kept, _ := s.MemoryStorage.Entries(1, hs.Commit+1, noSizeLimit)
			if err := reset(s, pb.Snapshot{}, kept); err != nil {
				return err
			}
		}
		return s.MemoryStorage.SetHardState(hs)
	}
}

func compactsOneTooMany(s *bent) {
	s.compact = func(i uint64) error { return s.MemoryStorage.Compact(i + 1) }
}

func answersCompactedWithNothing(s *bent) {
	s.entries = func(lo, hi, maxSize uint64) ([]pb.Entry, error) {
		entries, err := s.MemoryStorage.Entries(lo, hi, maxSize)
		if err == raft.ErrCompacted {
			return nil, nil
		}
		return entries, err
	}
}

func forgetsBoundaryTerm(s *bent) {
	s.term = func(i uint64) (uint64, error) {
		if first, _ := s.MemoryStorage.FirstIndex(); i > 0 && i < first {
			return 0, raft.ErrCompacted
		}
		return s.MemoryStorage.Term(i)
	}
}

func zeroTermBelow(s *bent) {
	s.term = func(i uint64) (uint64, error) {
		term, err := s.MemoryStorage.Term(i)
		if err == raft.ErrCompacted {
			return 0, nil
		}
		return term, err
	}
}

func compactPretendsOlder(s *bent) {
	pretended := uint64(0)
	s.compact = func(i uint64) error {
		err := s.MemoryStorage.Compact(i)
		pretended = 0
		if err == raft.ErrCompacted && i > 0 {
			pretended, err = i+1, nil
		}
		return err
	}
	s.first = func() (uint64, error) {
		if pretended == 3 {
			return pretended, nil
		}
		return s.MemoryStorage.FirstIndex()
	}
}

func emptyLogStartsOver(s *bent) {
	s.first = func() (uint64, error) {
		first, err := s.MemoryStorage.FirstIndex()
		if last, _ := s.MemoryStorage.LastIndex(); last < first {
			return 1, nil
		}
		return first, err
	}
}

func bringsCompactedBack(s *bent) {
	s.append = func(entries []pb.Entry) error {
		first, _ := s.MemoryStorage.FirstIndex()
		if len(entries) > 0 && entries[0].Index < first {
			base := entries[0]
			return reset(s, snapshotAt(base.Index-1, base.Term), entries)
		}
		return s.MemoryStorage.Append(entries)
	}
}

func snapshotWithoutData(s *bent) {
	s.snap = func() (pb.Snapshot, error) {
		snap, err := s.MemoryStorage.Snapshot()
		snap.Data = nil
		return snap, err
	}
}

func forgetsOutgoingVoters(s *bent) {
	s.initial = func() (pb.HardState, pb.ConfState, error) {
		hs, cs, err := s.MemoryStorage.InitialState()
		cs.VotersOutgoing = nil
		return hs, cs, err
	}
}

func snapshotKeepsTail(s *bent) {
	s.install = func(snap pb.Snapshot) error {
		at := snap.Metadata.Index
		last, _ := s.MemoryStorage.LastIndex()
		var tail []pb.Entry
		if last > at {
			tail, _ = s.MemoryStorage.Entries(at+1, last+1, noSizeLimit)
		}
		if err := s.MemoryStorage.ApplySnapshot(snap); err != nil {
			return err
		}
		return s.MemoryStorage.Append(tail)
	}
}

func compactForgetsSnapshot(s *bent) {
	forgotten := false
	s.compact = func(i uint64) error {
		forgotten = true
		return s.MemoryStorage.Compact(i)
	}
	s.snap = func() (pb.Snapshot, error) {
		if forgotten {
			return pb.Snapshot{}, nil
		}
		return s.MemoryStorage.Snapshot()
	}
}

func takesOlderSnapshot(s *bent) {
	s.install = func(snap pb.Snapshot) error {
		err := s.MemoryStorage.ApplySnapshot(snap)
		if err == raft.ErrSnapOutOfDate {
			return reset(s, snap, nil)
		}
		return err
	}
}

// sliceLog replaces the log by one plain slice from index 1 on, for the rules
// about who may write where.
type sliceLog struct{ log []pb.Entry }

func (l *sliceLog) bounds(s *bent) {
	s.first = func() (uint64, error) { return 1, nil }
	s.last = func() (uint64, error) { return uint64(len(l.log)), nil }
	s.compact = func(uint64) error { return nil }
	s.install = func(pb.Snapshot) error { return nil }
	s.entries = func(lo, hi, maxSize uint64) ([]pb.Entry, error) {
		if maxSize == 0 {
			hi = lo + 1
		}
		return l.log[lo-1 : hi-1 : hi-1], nil
	}
	s.append = func(entries []pb.Entry) error {
		at := entries[0].Index - 1
		l.log = append(l.log[:at:at], entries...)
		return nil
	}
}

func returnsRoomBehind(s *bent) {
	l := &sliceLog{}
	l.bounds(s)
	s.entries = func(lo, hi, maxSize uint64) ([]pb.Entry, error) {
		if maxSize == 0 {
			hi = lo + 1
		}
		return l.log[lo-1 : hi-1], nil
	}
}

func returnsItsOwnArray(s *bent) {
	l := &sliceLog{log: make([]pb.Entry, 0, 100)}
	l.bounds(s)
	s.append = func(entries []pb.Entry) error {
		l.log = append(l.log[:entries[0].Index-1], entries...)
		return nil
	}
}

func keepsCallersSlice(s *bent) {
	l := &sliceLog{}
	l.bounds(s)
	s.append = func(entries []pb.Entry) error {
		if len(l.log) == 0 {
			l.log = entries
			return nil
		}
		at := entries[0].Index - 1
		l.log = append(l.log[:at:at], entries...)
		return nil
	}
}

// boundsBeforeEntries publishes the new last index, waits until a reader has
// asked for it, and only then has the entries.
func boundsBeforeEntries(s *bent) {
	var ahead, asked atomic.Uint64
	s.last = func() (uint64, error) {
		last, err := s.MemoryStorage.LastIndex()
		if early := ahead.Load(); early > last {
			asked.Add(1)
			return early, err
		}
		return last, err
	}
	s.entries = func(lo, hi, maxSize uint64) ([]pb.Entry, error) {
		last, _ := s.MemoryStorage.LastIndex()
		if hi > last+1 {
			return nil, raft.ErrUnavailable
		}
		return s.MemoryStorage.Entries(lo, hi, maxSize)
	}
	s.append = func(entries []pb.Entry) error {
		before := asked.Load()
		ahead.Store(entries[len(entries)-1].Index)
		for spins := 0; asked.Load() < before+3 && spins < 1e6; spins++ {
			runtime.Gosched()
		}
		return s.MemoryStorage.Append(entries)
	}
}

func losesLastBatch(s *bent) {
	before := uint64(0)
	s.append = func(entries []pb.Entry) error {
		before, _ = s.MemoryStorage.LastIndex()
		return s.MemoryStorage.Append(entries)
	}
	s.reopen = func() (Storage, error) {
		kept, err := s.MemoryStorage.Entries(1, before+1, noSizeLimit)
		if err != nil {
			return nil, err
		}
		return s, reset(s, pb.Snapshot{}, kept)
	}
}

func losesHardState(s *bent) {
	s.reopen = func() (Storage, error) {
		return s, s.MemoryStorage.SetHardState(pb.HardState{})
	}
}

// oldTailComesBack is a log file that was overwritten and not cut off.
func oldTailComesBack(s *bent) {
	file := map[uint64]pb.Entry{}
	s.append = func(entries []pb.Entry) error {
		for _, e := range entries {
			file[e.Index] = e
		}
		return s.MemoryStorage.Append(entries)
	}
	s.reopen = func() (Storage, error) {
		var all []pb.Entry
		for i := uint64(1); file[i].Index == i; i++ {
			all = append(all, file[i])
		}
		return s, s.MemoryStorage.Append(all)
	}
}

func losesCompaction(s *bent) {
	var all []pb.Entry
	s.append = func(entries []pb.Entry) error {
		all = append(all, entries...)
		return s.MemoryStorage.Append(entries)
	}
	s.reopen = func() (Storage, error) { return s, reset(s, pb.Snapshot{}, all) }
}

func losesSnapshotAtCrash(s *bent) {
	s.reopen = func() (Storage, error) { return s, reset(s, pb.Snapshot{}, nil) }
}

// reset makes s hold snap and entries, and nothing else.
func reset(s *bent, snap pb.Snapshot, entries []pb.Entry) error {
	fresh := raft.NewMemoryStorage()
	if snap.Metadata.Index > 0 {
		if err := fresh.ApplySnapshot(snap); err != nil {
			return err
		}
	}
	if err := fresh.Append(entries); err != nil {
		return err
	}
	s.MemoryStorage = fresh
	s.first, s.last = fresh.FirstIndex, fresh.LastIndex
	s.entries, s.term = fresh.Entries, fresh.Term
	s.initial, s.snap = fresh.InitialState, fresh.Snapshot
	return nil
}
