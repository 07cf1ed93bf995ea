package rafttest

import (
	"errors"
	"sync"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// storageRules is the contract, in the order of a storage's life. Each rule
// starts from an empty storage.
var storageRules = []storageRule{
	{name: "NewStorageIsEmpty", check: newStorageIsEmpty},
	{name: "AppendedEntriesComeBackUnchanged", check: appendedEntriesComeBack},
	{name: "EntriesStopsBeforeItsUpperBound", check: entriesStopsBeforeUpperBound},
	{name: "EntriesPastTheEndAreRefused", check: entriesPastTheEndAreRefused},
	{name: "SizeLimitIsExactButNeverBelowOneEntry", check: sizeLimitIsExact},
	{name: "TermIsKnownForEachEntry", check: termIsKnownForEachEntry},
	{name: "TermPastTheEndIsUnavailable", check: termPastTheEndIsUnavailable},
	{name: "AppendOfNothingChangesNothing", check: appendOfNothing},
	{name: "ConflictingTailIsReplacedWhole", check: conflictingTailIsReplaced},
	{name: "HardStateComesBackUnchanged", check: hardStateComesBack},
	{name: "HardStateLeavesTheLogAlone", check: hardStateLeavesLogAlone},
	{name: "CompactKeepsWhatIsAboveItsIndex", check: compactKeepsWhatIsAbove},
	{name: "CompactedEntriesAreGone", check: compactedEntriesAreGone},
	{name: "TermAtTheCompactedIndexStaysKnown", check: termAtCompactedIndex},
	{name: "TermBelowTheCompactedIndexIsCompacted", check: termBelowCompactedIndex},
	{name: "CompactNeverMovesBack", check: compactNeverMovesBack},
	{name: "LogCompactedToItsEndGrowsOn", check: logCompactedToItsEnd},
	{name: "AppendPassesOverCompactedEntries", check: appendPassesOverCompacted},
	{name: "SnapshotComesBackUnchanged", check: snapshotComesBack},
	{name: "ConfStateOfSnapshotIsInitialState", check: confStateIsInitialState},
	{name: "SnapshotReplacesTheLog", check: snapshotReplacesLog},
	{name: "LogGoesOnAfterSnapshot", check: logGoesOnAfterSnapshot},
	{name: "OlderSnapshotTakesNothingBack", check: olderSnapshotTakesNothingBack},
	{name: "ReturnedSliceMayBeAppendedTo", check: returnedSliceMayBeAppendedTo},
	{name: "ReturnedSliceStaysAsItWas", check: returnedSliceStays},
	{name: "AppendedSliceMayBeReused", check: appendedSliceMayBeReused},
	{name: "ReadersNeverSeeHalfAWrite", check: readersNeverSeeHalfAWrite},
	{name: "CrashKeepsEntriesAndTerms", check: crashKeepsEntries, crashes: true},
	{name: "CrashKeepsTheHardState", check: crashKeepsHardState, crashes: true},
	{name: "CrashBringsNoOldTailBack", check: crashBringsNoOldTailBack, crashes: true},
	{name: "CrashKeepsTheCompactedIndex", check: crashKeepsCompactedIndex, crashes: true},
	{name: "CrashKeepsTheSnapshot", check: crashKeepsSnapshot, crashes: true},
}

func newStorageIsEmpty(c *storageCheck) {
	c.wantBounds(1, 0)
	c.wantTerm(0, 0)
	c.wantHardState(pb.HardState{})
	c.wantConfState(pb.ConfState{})
}

func appendedEntriesComeBack(c *storageCheck) {
	want := []pb.Entry{
		{Term: 1, Index: 1, Data: []byte("first")},
		{Term: 1, Index: 2},
		{Term: 1, Index: 3, Type: pb.EntryConfChange, Data: []byte{0, 1, 255}},
		{Term: 3, Index: 4, Type: pb.EntryConfChangeV2, Data: []byte("joint")},
	}
	c.append(want[:2]...)
	c.append(want[2:]...)
	c.wantBounds(1, 4)
	c.wantEntries(1, 5, noSizeLimit, want)
}

func entriesStopsBeforeUpperBound(c *storageCheck) {
	log := numbered(1, 1, 6)
	c.append(log...)
	c.wantEntries(1, 2, noSizeLimit, log[:1])
	c.wantEntries(3, 6, noSizeLimit, log[2:5])
	c.wantEntries(6, 7, noSizeLimit, log[5:])
}

func entriesPastTheEndAreRefused(c *storageCheck) {
	c.append(numbered(1, 1, 3)...)
	c.wantRefused(2, 5)
	c.wantRefused(4, 5)
}

func sizeLimitIsExact(c *storageCheck) {
	log := numbered(1, 1, 4)
	log[1].Data = make([]byte, 300) // its length takes two bytes
	c.append(log...)
	size := uint64(0)
	for n := 1; n <= len(log); n++ {
		size += uint64(log[n-1].Size())
		c.wantEntries(1, 5, size, log[:n])
		c.wantEntries(1, 5, size-1, log[:max(n-1, 1)])
	}
	c.wantEntries(1, 5, 0, log[:1])
	c.wantEntries(2, 5, 0, log[1:2])
	c.wantEntries(1, 5, noSizeLimit, log)
}

func termIsKnownForEachEntry(c *storageCheck) {
	c.append(append(numbered(1, 1, 3), numbered(4, 4, 6)...)...)
	for index, term := range map[uint64]uint64{1: 1, 3: 1, 4: 4, 6: 4} {
		c.wantTerm(index, term)
	}
}

func termPastTheEndIsUnavailable(c *storageCheck) {
	c.wantTermError(1, raft.ErrUnavailable)
	c.append(numbered(1, 1, 3)...)
	c.wantTermError(4, raft.ErrUnavailable)
	c.wantTermError(100, raft.ErrUnavailable)
}

func appendOfNothing(c *storageCheck) {
	c.append()
	c.wantBounds(1, 0)
	log := numbered(1, 1, 3)
	c.append(log...)
	c.append()
	c.wantBounds(1, 3)
	c.wantEntries(1, 4, noSizeLimit, log)
}

func conflictingTailIsReplaced(c *storageCheck) {
	c.append(numbered(1, 1, 6)...)
	c.append(numbered(2, 3, 4)...)
	c.wantBounds(1, 4)
	c.wantEntries(1, 5, noSizeLimit, append(numbered(1, 1, 2), numbered(2, 3, 4)...))
	c.wantTerm(2, 1)
	c.wantTerm(3, 2)
	c.wantTermError(5, raft.ErrUnavailable)
	c.append(numbered(3, 1, 1)...)
	c.wantBounds(1, 1)
	c.wantTerm(1, 3)
}

func hardStateComesBack(c *storageCheck) {
	for _, hs := range []pb.HardState{
		{Term: 5, Vote: 2, Commit: 1},
		{Term: 5, Vote: 2, Commit: 3},
		{Term: 6, Vote: 0, Commit: 3},
		{Term: 1<<63 + 1, Vote: 1<<64 - 3, Commit: 1 << 62},
	} {
		c.save(hs)
		c.wantHardState(hs)
	}
}

func hardStateLeavesLogAlone(c *storageCheck) {
	log := numbered(1, 1, 4)
	c.append(log...)
	c.save(pb.HardState{Term: 2, Vote: 1, Commit: 2})
	c.wantBounds(1, 4)
	c.wantEntries(1, 5, noSizeLimit, log)
	c.append(numbered(2, 4, 5)...)
	c.wantHardState(pb.HardState{Term: 2, Vote: 1, Commit: 2})
}

func compactKeepsWhatIsAbove(c *storageCheck) {
	log := numbered(1, 1, 6)
	c.append(log...)
	c.compact(2)
	c.wantBounds(3, 6)
	c.wantEntries(3, 7, noSizeLimit, log[2:])
	c.compact(4)
	c.wantBounds(5, 6)
	c.wantEntries(5, 7, noSizeLimit, log[4:])
	c.wantTerm(5, 1)
}

func compactedEntriesAreGone(c *storageCheck) {
	c.append(numbered(1, 1, 6)...)
	c.compact(3)
	c.wantEntriesError(1, 2, raft.ErrCompacted)
	c.wantEntriesError(3, 4, raft.ErrCompacted)
	c.wantEntriesError(3, 7, raft.ErrCompacted)
}

func termAtCompactedIndex(c *storageCheck) {
	c.append(append(numbered(1, 1, 2), numbered(4, 3, 5)...)...)
	c.compact(2)
	c.wantTerm(2, 1)
	c.compact(3)
	c.wantTerm(3, 4)
}

func termBelowCompactedIndex(c *storageCheck) {
	c.append(numbered(1, 1, 6)...)
	c.compact(4)
	for index := uint64(0); index < 4; index++ {
		c.wantTermError(index, raft.ErrCompacted)
	}
}

func compactNeverMovesBack(c *storageCheck) {
	c.append(numbered(1, 1, 6)...)
	c.compact(4)
	for _, index := range []uint64{4, 2, 0} {
		if err := c.s.Compact(index); err != nil && !errors.Is(err, raft.ErrCompacted) {
			c.Errorf("Compact(%d) below the compacted index has error %q, want %q",
				index, err, raft.ErrCompacted)
		}
		c.wantBounds(5, 6)
	}
}

func logCompactedToItsEnd(c *storageCheck) {
	c.append(numbered(2, 1, 4)...)
	c.compact(4)
	c.wantBounds(5, 4)
	c.wantTerm(4, 2)
	c.wantTermError(5, raft.ErrUnavailable)
	c.append(numbered(3, 5, 6)...)
	c.wantBounds(5, 6)
	c.wantEntries(5, 7, noSizeLimit, numbered(3, 5, 6))
}

func appendPassesOverCompacted(c *storageCheck) {
	c.append(numbered(1, 1, 6)...)
	c.compact(4)
	c.append(numbered(2, 3, 8)...)
	c.wantBounds(5, 8)
	c.wantEntries(5, 9, noSizeLimit, numbered(2, 5, 8))
	c.wantTerm(4, 1)
	c.append(numbered(1, 1, 3)...)
	c.wantBounds(5, 8)
}

func snapshotComesBack(c *storageCheck) {
	c.install(snapshotAt(7, 3))
	c.wantSnapshot(snapshotAt(7, 3))
	c.install(snapshotAt(12, 4))
	c.wantSnapshot(snapshotAt(12, 4))
}

func confStateIsInitialState(c *storageCheck) {
	snap := snapshotAt(7, 3)
	c.save(pb.HardState{Term: 3, Vote: 1, Commit: 5})
	c.install(snap)
	c.wantConfState(snap.Metadata.ConfState)
	c.wantHardState(pb.HardState{Term: 3, Vote: 1, Commit: 5})
}

func snapshotReplacesLog(c *storageCheck) {
	c.append(numbered(1, 1, 10)...)
	c.install(snapshotAt(7, 3))
	c.wantBounds(8, 7)
	c.wantTerm(7, 3)
	c.wantTermError(6, raft.ErrCompacted)
	c.wantTermError(8, raft.ErrUnavailable)
	c.wantEntriesError(7, 8, raft.ErrCompacted)
}

func logGoesOnAfterSnapshot(c *storageCheck) {
	c.install(snapshotAt(7, 3))
	c.append(numbered(3, 8, 10)...)
	c.wantBounds(8, 10)
	c.wantEntries(8, 11, noSizeLimit, numbered(3, 8, 10))
	c.wantTerm(7, 3)
	c.compact(9)
	c.wantBounds(10, 10)
	c.wantSnapshot(snapshotAt(7, 3))
}

func olderSnapshotTakesNothingBack(c *storageCheck) {
	c.install(snapshotAt(7, 3))
	c.append(numbered(3, 8, 9)...)
	err := c.s.ApplySnapshot(snapshotAt(5, 2))
	if err != nil && !errors.Is(err, raft.ErrSnapOutOfDate) {
		c.Errorf("an older snapshot has error %q, want %q", err, raft.ErrSnapOutOfDate)
	}
	c.wantBounds(8, 9)
	c.wantSnapshot(snapshotAt(7, 3))
}

func returnedSliceMayBeAppendedTo(c *storageCheck) {
	log := numbered(1, 1, 6)
	c.append(log...)
	got, err := c.s.Entries(2, 4, noSizeLimit)
	c.noError(err, "Entries(2, 4)")
	_ = append(got, numbered(9, 4, 6)...)
	small, err := c.s.Entries(1, 7, 0)
	c.noError(err, "Entries(1, 7, 0)")
	_ = append(small, numbered(9, 2, 6)...)
	c.wantEntries(1, 7, noSizeLimit, log)
}

func returnedSliceStays(c *storageCheck) {
	log := numbered(1, 1, 6)
	c.append(log...)
	got, err := c.s.Entries(1, 7, noSizeLimit)
	c.noError(err, "Entries(1, 7)")
	c.append(numbered(2, 3, 8)...)
	c.compact(5)
	c.install(snapshotAt(20, 3))
	for i := range log {
		if !sameEntry(got[i], log[i]) {
			c.Errorf("entry %d of an earlier answer changed to %+v, it was %+v",
				i+1, got[i], log[i])
		}
	}
}

func appendedSliceMayBeReused(c *storageCheck) {
	batch := numbered(1, 1, 4)
	c.append(batch...)
	for i := range batch {
		batch[i] = pb.Entry{Term: 9, Index: 99}
	}
	c.wantEntries(1, 5, noSizeLimit, numbered(1, 1, 4))
	again := numbered(1, 3, 6)
	c.append(again...)
	for i := range again {
		again[i] = pb.Entry{Term: 9, Index: 99}
	}
	c.wantEntries(1, 7, noSizeLimit, numbered(1, 1, 6))
}

// readersNeverSeeHalfAWrite reads while one goroutine appends and compacts, as
// a Node does while its host saves.
func readersNeverSeeHalfAWrite(c *storageCheck) {
	const batches, batch, readers = 200, 5, 3
	done := make(chan struct{})
	var wg sync.WaitGroup
	for r := 0; r < readers; r++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				readOnce(c)
				select {
				case <-done:
					return
				default:
				}
			}
		}()
	}
	defer wg.Wait()
	defer close(done)
	for n := uint64(0); n < batches; n++ {
		c.append(numbered(n+1, n*batch+1, (n+1)*batch)...)
		c.save(pb.HardState{Term: n + 1, Commit: n * batch})
		if n%8 == 7 {
			c.compact((n - 4) * batch)
		}
	}
}

// readOnce reads the whole log as of one moment. Only a compaction in between
// may take entries away, since the writer never shortens the log.
func readOnce(c *storageCheck) {
	first, err1 := c.s.FirstIndex()
	last, err2 := c.s.LastIndex()
	if err1 != nil || err2 != nil {
		c.Errorf("a reader got errors %q and %q for the bounds", textOf(err1), textOf(err2))
		return
	}
	if first > last {
		return
	}
	entries, err := c.s.Entries(first, last+1, noSizeLimit)
	if errors.Is(err, raft.ErrCompacted) {
		return
	}
	if err != nil || uint64(len(entries)) != last+1-first {
		c.Errorf("a reader got %d entries and error %q for %d to %d",
			len(entries), textOf(err), first, last)
		return
	}
	for i, e := range entries {
		if want := numbered(e.Term, first+uint64(i), first+uint64(i))[0]; !sameEntry(e, want) {
			c.Errorf("a reader got %+v at index %d", e, first+uint64(i))
			return
		}
	}
	if _, err := c.s.Term(last); err != nil && !errors.Is(err, raft.ErrCompacted) {
		c.Errorf("a reader got error %q for the term of %d", err, last)
	}
}

func crashKeepsEntries(c *storageCheck) {
	log := append(numbered(1, 1, 3), numbered(4, 4, 6)...)
	c.append(log[:4]...)
	c.append(log[4:]...)
	c.crash()
	c.wantBounds(1, 6)
	c.wantEntries(1, 7, noSizeLimit, log)
	c.wantTerm(3, 1)
	c.wantTerm(6, 4)
}

func crashKeepsHardState(c *storageCheck) {
	c.save(pb.HardState{Term: 2, Vote: 3, Commit: 0})
	c.append(numbered(2, 1, 2)...)
	c.save(pb.HardState{Term: 5, Vote: 1, Commit: 2})
	c.crash()
	c.wantHardState(pb.HardState{Term: 5, Vote: 1, Commit: 2})
}

func crashBringsNoOldTailBack(c *storageCheck) {
	c.append(numbered(1, 1, 8)...)
	c.append(numbered(2, 3, 4)...)
	c.crash()
	c.wantBounds(1, 4)
	c.wantTerm(4, 2)
	c.append(numbered(2, 5, 5)...)
	c.crash()
	c.wantBounds(1, 5)
}

func crashKeepsCompactedIndex(c *storageCheck) {
	c.append(append(numbered(1, 1, 3), numbered(2, 4, 6)...)...)
	c.compact(3)
	c.crash()
	c.wantBounds(4, 6)
	c.wantTerm(3, 1)
	c.wantEntries(4, 7, noSizeLimit, numbered(2, 4, 6))
	c.compact(6)
	c.crash()
	c.wantBounds(7, 6)
	c.wantTerm(6, 2)
}

func crashKeepsSnapshot(c *storageCheck) {
	snap := snapshotAt(20, 3)
	c.append(numbered(1, 1, 25)...)
	c.install(snap)
	c.crash()
	c.wantBounds(21, 20)
	c.wantTerm(20, 3)
	c.wantSnapshot(snap)
	c.wantConfState(snap.Metadata.ConfState)
}
