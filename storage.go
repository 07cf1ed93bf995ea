package raft

import (
	"errors"
	"fmt"
	"sync"

	pb "quorate.example/raft/raftpb"
)

// Errors that a Storage returns. The library tells them apart with errors.Is.
var (
	// ErrCompacted is returned for entries and terms that are gone because a snapshot covers them.
	ErrCompacted = errors.New("requested index is unavailable due to compaction")
	// ErrSnapOutOfDate is returned when a snapshot is not newer than the one that is there.
	ErrSnapOutOfDate = errors.New("requested index is older than the existing snapshot")
	// ErrUnavailable is returned for entries and terms that are not there yet.
	ErrUnavailable = errors.New("requested entry at index is unavailable")
	// ErrSnapshotTemporarilyUnavailable is returned by Snapshot while it prepares one; it is asked
	// again later.
	ErrSnapshotTemporarilyUnavailable = errors.New("snapshot is temporarily unavailable")
)

// Storage is what a member reads of what its host has saved. The library never writes through it. It
// may be called inside any call on the member, by whichever goroutine makes it. An error other than
// those named here stops the member; see Config.OnStorageError.
type Storage interface {
	// InitialState returns the saved HardState, and the configuration as of the last applied entry or
	// snapshot. It is called once, at start.
	InitialState() (pb.HardState, pb.ConfState, error)
	// Entries returns entries from lo up to but not including hi, as many as fit into maxSize bytes of
	// encoded size, and at least one. ErrCompacted if lo is below FirstIndex; ErrUnavailable if they
	// are not there. The caller does not change what it gets, nor may Storage later.
	Entries(lo, hi, maxSize uint64) ([]pb.Entry, error)
	// Term returns the term of entry i, which is in FirstIndex-1 to LastIndex: the term of the entry
	// before the first one is kept, for the consistency check. ErrCompacted below, ErrUnavailable above.
	Term(i uint64) (uint64, error)
	// LastIndex returns the index of the last entry, or of the snapshot if there is no entry after it.
	LastIndex() (uint64, error)
	// FirstIndex returns the index of the first entry that Entries can return, or would return: one
	// more than the snapshot's index if there is none.
	FirstIndex() (uint64, error)
	// Snapshot returns the newest snapshot, or ErrSnapshotTemporarilyUnavailable.
	Snapshot() (pb.Snapshot, error)
}

// MemoryStorage is a Storage in memory, for tests and for hosts that keep the log elsewhere and only
// mirror it here. All methods may be used by several goroutines at once.
type MemoryStorage struct {
	sync.Mutex // guards all that follows

	hardState pb.HardState
	// edge is the position before the first entry: of the snapshot, or of what was compacted.
	edge entryID
	log  chunks

	// The snapshot. One at edge with nothing but voters in it, as most small groups start from, is only
	// these; any other one is whole. With neither, there is none.
	voters   []uint64
	snapshot *pb.Snapshot
}

// NewMemoryStorage returns an empty MemoryStorage.
func NewMemoryStorage() *MemoryStorage { return &MemoryStorage{} }

// snap returns the snapshot.
func (ms *MemoryStorage) snap() pb.Snapshot {
	switch {
	case ms.snapshot != nil:
		return *ms.snapshot
	case ms.voters != nil:
		return pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: ms.edge.index, Term: ms.edge.term,
			ConfState: pb.ConfState{Voters: ms.voters}}}
	}
	return pb.Snapshot{}
}

func (ms *MemoryStorage) snapIndex() uint64 {
	switch {
	case ms.snapshot != nil:
		return ms.snapshot.Metadata.Index
	case ms.voters != nil:
		return ms.edge.index
	}
	return 0
}

func (ms *MemoryStorage) setSnap(s pb.Snapshot) {
	conf := &s.Metadata.ConfState
	if conf.Voters != nil && s.Data == nil && conf.Learners == nil && conf.VotersOutgoing == nil && conf.LearnersNext == nil &&
		!conf.AutoLeave && s.Metadata.Index == ms.edge.index && s.Metadata.Term == ms.edge.term {
		ms.voters, ms.snapshot = conf.Voters, nil
		return
	}
	ms.keepWhole(s)
}

func (ms *MemoryStorage) keepWhole(s pb.Snapshot) {
	whole := s // on the heap here, and only if one gets here
	ms.voters, ms.snapshot = nil, &whole
}

func (ms *MemoryStorage) last() uint64 {
	if n := len(ms.log.newest); n > 0 {
		return ms.log.newest[n-1].Index
	}
	return ms.edge.index
}

// InitialState returns what SetHardState saved, and the configuration of the snapshot.
func (ms *MemoryStorage) InitialState() (pb.HardState, pb.ConfState, error) {
	ms.Lock()
	defer ms.Unlock()
	return ms.hardState, ms.snap().Metadata.ConfState, nil
}

// SetHardState saves st.
func (ms *MemoryStorage) SetHardState(st pb.HardState) error {
	ms.Lock()
	defer ms.Unlock()
	ms.hardState = st
	return nil
}

// Entries returns the entries in [lo, hi), up to maxSize bytes and at least one, none if lo is hi. It
// panics if hi is more than one above the last index. The result may share memory with the storage, which never
// changes an entry once it is there.
func (ms *MemoryStorage) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	ms.Lock()
	defer ms.Unlock()
	switch {
	case lo <= ms.edge.index:
		return nil, ErrCompacted
	case hi > ms.last()+1:
		panic(fmt.Sprintf("raft: MemoryStorage.Entries: hi is %d; allowed: up to %d", hi, ms.last()+1))
	case ms.log.empty() || lo > hi:
		return nil, ErrUnavailable
	}
	return ms.log.slice(lo, hi, maxSize), nil
}

// Term returns the term of entry i; that of the entry before the first is known too.
func (ms *MemoryStorage) Term(i uint64) (uint64, error) {
	ms.Lock()
	defer ms.Unlock()
	return ms.term(i)
}

func (ms *MemoryStorage) term(i uint64) (uint64, error) {
	switch {
	case i < ms.edge.index:
		return 0, ErrCompacted
	case i == ms.edge.index:
		return ms.edge.term, nil
	case i > ms.last():
		return 0, ErrUnavailable
	}
	return ms.log.at(i).Term, nil
}

// LastIndex returns the index of the last entry, or of the snapshot if there is none.
func (ms *MemoryStorage) LastIndex() (uint64, error) {
	ms.Lock()
	defer ms.Unlock()
	return ms.last(), nil
}

// FirstIndex returns the index of the first entry, or the one it would have.
func (ms *MemoryStorage) FirstIndex() (uint64, error) {
	ms.Lock()
	defer ms.Unlock()
	return ms.edge.index + 1, nil
}

// Snapshot returns the snapshot; it is empty if there never was one.
func (ms *MemoryStorage) Snapshot() (pb.Snapshot, error) {
	ms.Lock()
	defer ms.Unlock()
	return ms.snap(), nil
}

// ApplySnapshot replaces everything by snap. It returns ErrSnapOutOfDate unless snap is newer than the
// one that is there. A new storage also takes one with index 0 that only holds the first ConfState.
func (ms *MemoryStorage) ApplySnapshot(snap pb.Snapshot) error {
	ms.Lock()
	defer ms.Unlock()
	meta := snap.Metadata
	isNew := ms.snapIndex() == 0 && ms.edge.index == 0 && ms.log.empty()
	if ms.snapIndex() >= meta.Index && !(isNew && meta.Index == 0) {
		return ErrSnapOutOfDate
	}
	ms.edge = entryID{term: meta.Term, index: meta.Index}
	ms.setSnap(snap)
	ms.log = chunks{}
	return nil
}

// CreateSnapshot makes a snapshot of the state at index i, with data as the state machine's part; cs,
// if not nil, is the configuration at i. It returns ErrSnapOutOfDate unless i is above the last
// snapshot's index, ErrCompacted if the term of i is no longer known, and panics if i is beyond the log.
func (ms *MemoryStorage) CreateSnapshot(i uint64, cs *pb.ConfState, data []byte) (pb.Snapshot, error) {
	ms.Lock()
	defer ms.Unlock()
	if i <= ms.snapIndex() {
		return pb.Snapshot{}, ErrSnapOutOfDate
	}
	if i > ms.last() {
		panic(fmt.Sprintf("raft: MemoryStorage.CreateSnapshot: i is %d; allowed: up to %d", i, ms.last()))
	}
	term, err := ms.term(i)
	if err != nil {
		return pb.Snapshot{}, err
	}
	snap := ms.snap()
	snap.Metadata.Index, snap.Metadata.Term = i, term
	if cs != nil {
		snap.Metadata.ConfState = *cs
	}
	snap.Data = data
	ms.setSnap(snap)
	return snap, nil
}

// Compact drops the entries up to compactIndex, which must be applied. It returns ErrCompacted if they
// are gone already, and panics if compactIndex is beyond the log.
func (ms *MemoryStorage) Compact(compactIndex uint64) error {
	ms.Lock()
	defer ms.Unlock()
	if compactIndex <= ms.edge.index {
		return ErrCompacted
	}
	if compactIndex > ms.last() {
		panic(fmt.Sprintf("raft: MemoryStorage.Compact: compactIndex is %d; allowed: up to %d",
			compactIndex, ms.last()))
	}
	if ms.voters != nil {
		ms.keepWhole(ms.snap())
	}
	ms.edge = entryID{term: ms.log.at(compactIndex).Term, index: compactIndex}
	ms.log.dropTo(compactIndex)
	return nil
}

// Append saves entries at their indexes and drops what was there from the first of them on. Entries
// that are compacted already are skipped. It panics if they would leave a gap.
func (ms *MemoryStorage) Append(entries []pb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	ms.Lock()
	defer ms.Unlock()
	first := entries[0].Index
	if first+uint64(len(entries))-1 <= ms.edge.index {
		return nil
	}
	if first <= ms.edge.index {
		entries = entries[ms.edge.index+1-first:]
		first = ms.edge.index + 1
	}
	switch last := ms.last(); {
	case first > last+1:
		panic(fmt.Sprintf("raft: MemoryStorage.Append: entries[0].Index is %d; allowed: up to %d", first, last+1))
	case first <= last:
		ms.log.truncate(first)
	}
	ms.log.append(entries, int(first-1-ms.edge.index))
	return nil
}
