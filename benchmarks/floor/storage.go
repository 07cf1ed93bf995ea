package floor

import (
	"sort"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Storage keeps the slices that it is given, as they are.
type Storage struct {
	hard     pb.HardState
	snapshot pb.Snapshot
	pieces   [][]pb.Entry
}

// NewStorage returns an empty one.
func NewStorage() *Storage { return &Storage{} }

func (s *Storage) last() uint64 {
	if n := len(s.pieces); n > 0 {
		piece := s.pieces[n-1]
		return piece[len(piece)-1].Index
	}
	return s.snapshot.Metadata.Index
}

// Append keeps entries, which follow what is there.
func (s *Storage) Append(entries []pb.Entry) error {
	if len(entries) > 0 {
		s.pieces = append(s.pieces, entries)
	}
	return nil
}

// Compact drops what is surely below index.
func (s *Storage) Compact(index uint64) error {
	i := s.find(index)
	clear(s.pieces[:i])
	s.pieces = s.pieces[i:]
	return nil
}

// find returns the piece that index is in.
func (s *Storage) find(index uint64) int {
	return sort.Search(len(s.pieces), func(i int) bool { return s.pieces[i][len(s.pieces[i])-1].Index >= index })
}

// Entries returns what follows lo in its piece, up to hi and to about maxSize bytes.
func (s *Storage) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	i := s.find(lo)
	if i == len(s.pieces) {
		return nil, raft.ErrUnavailable
	}
	piece := s.pieces[i][lo-s.pieces[i][0].Index:]
	size := uint64(0)
	for n := range piece {
		size += uint64(len(piece[n].Data)) + 12
		if piece[n].Index >= hi || n > 0 && size > maxSize {
			return piece[:n:n], nil
		}
	}
	return piece, nil
}

// SetHardState keeps hs.
func (s *Storage) SetHardState(hs pb.HardState) error {
	s.hard = hs
	return nil
}

// ApplySnapshot starts a log after snap.
func (s *Storage) ApplySnapshot(snap pb.Snapshot) error {
	s.snapshot, s.pieces, s.hard.Commit = snap, nil, snap.Metadata.Index
	return nil
}

// InitialState returns what was set.
func (s *Storage) InitialState() (pb.HardState, pb.ConfState, error) {
	return s.hard, s.snapshot.Metadata.ConfState, nil
}

// Term returns 1: there is no other term.
func (s *Storage) Term(uint64) (uint64, error) { return 1, nil }

// FirstIndex returns the index after the snapshot.
func (s *Storage) FirstIndex() (uint64, error) { return s.snapshot.Metadata.Index + 1, nil }

// LastIndex returns the index of the last entry.
func (s *Storage) LastIndex() (uint64, error) { return s.last(), nil }

// Snapshot returns the snapshot that the log began with.
func (s *Storage) Snapshot() (pb.Snapshot, error) { return s.snapshot, nil }
