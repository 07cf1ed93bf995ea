package rafttest

import (
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// memberStore is the Storage that a member's RawNode reads: the user's, with the
// snapshots of the member's own state machine in front of it.
type memberStore struct {
	inner Storage
	snap  pb.Snapshot // the newest state that is safe
	busy  *source     // makes Snapshot unavailable at times; nil: never
	fresh func() pb.Snapshot
}

var _ raft.Storage = (*memberStore)(nil)

// open fills a new storage with what the disk kept.
func (s *memberStore) open(fresh Storage, disk *image) error {
	s.inner = fresh
	s.snap = disk.snap
	at := disk.snap.Metadata.Index
	if at > 0 {
		if err := fresh.ApplySnapshot(disk.snap); err != nil {
			return err
		}
	}
	entries := disk.log
	if skip := at - disk.base.Index; at > disk.base.Index {
		entries = entries[min(skip, uint64(len(entries))):]
	}
	if err := fresh.Append(append([]pb.Entry(nil), entries...)); err != nil {
		return err
	}
	if raft.IsEmptyHardState(disk.hard) {
		return nil
	}
	return fresh.SetHardState(disk.hard)
}

// write hands a batch to the user's storage.
func (s *memberStore) write(b *Write) error {
	if b.Snapshot != nil {
		if err := s.inner.ApplySnapshot(*b.Snapshot); err != nil {
			return err
		}
		s.snap = *b.Snapshot
	}
	if len(b.Entries) > 0 {
		if err := s.inner.Append(b.Entries); err != nil {
			return err
		}
		want := b.Entries[len(b.Entries)-1].Index
		if last, err := s.inner.LastIndex(); err != nil || last != want {
			return fmt.Errorf("LastIndex is %d (error %v) after an append up to %d", last, err, want)
		}
	}
	if raft.IsEmptyHardState(b.HardState) {
		return nil
	}
	return s.inner.SetHardState(b.HardState)
}

// InitialState has the configuration of the newest snapshot. A snapshot may be
// ahead of the saved commit index, which then is the snapshot's.
func (s *memberStore) InitialState() (pb.HardState, pb.ConfState, error) {
	hs, _, err := s.inner.InitialState()
	hs.Commit = max(hs.Commit, s.snap.Metadata.Index)
	return hs, s.snap.Metadata.ConfState, err
}

func (s *memberStore) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	return s.inner.Entries(lo, hi, maxSize)
}

func (s *memberStore) Term(i uint64) (uint64, error) { return s.inner.Term(i) }
func (s *memberStore) FirstIndex() (uint64, error)   { return s.inner.FirstIndex() }
func (s *memberStore) LastIndex() (uint64, error)    { return s.inner.LastIndex() }

// Snapshot returns the state machine as it is now, since only that is sure to
// have the configuration in which a new member is.
func (s *memberStore) Snapshot() (pb.Snapshot, error) {
	if s.busy != nil && s.busy.below(4) == 0 {
		return pb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	return s.fresh(), nil
}
