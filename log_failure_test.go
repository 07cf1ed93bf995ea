package raft

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	pb "quorate.example/raft/raftpb"
)

// A Storage that fails, or that returns something else than was asked for, stops the member: its error
// is kept, and the first one counts (scenario B48).
func TestLogKeepsTheFirstFailureOfStorage(t *testing.T) {
	two := []pb.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}}
	for name, c := range map[string]struct {
		ents []pb.Entry
		err  error
		text string
	}{
		"error":    {nil, errDisk, "disk"},
		"nothing":  {nil, nil, "0 entries returned; allowed: 1 to 2"},
		"too much": {append(two[:2:2], pb.Entry{Index: 3}), nil, "3 entries returned; allowed: 1 to 2"},
		"gap":      {[]pb.Entry{two[0], {Index: 3}}, nil, "from 1 on, without a gap"},
		"later":    {two[1:], nil, "from 1 on, without a gap"},
	} {
		store := &brokenStorage{MemoryStorage: NewMemoryStorage()}
		require.NoError(t, store.Append(two))
		log, err := newLog(store, 0)
		require.NoError(t, err)
		store.ents, store.err, store.broken = c.ents, c.err, true
		_, err = log.slice(0, 2, noLimit)
		require.Error(t, err, name)
		require.ErrorContains(t, log.failure.err, c.text, name)
		first := log.failure
		require.True(t, log.hasConfChange(0, 2, 0), "what cannot be read may hold one")
		_, err = log.term(1)
		require.ErrorIs(t, err, errDisk)
		log.lastID()
		require.Equal(t, uint64(3), log.first())
		_, err = log.snapshot()
		require.ErrorIs(t, err, errDisk)
		require.Equal(t, first, log.failure, name)
	}
}

var errDisk = errors.New("disk")

// brokenStorage fails once broken is set.
type brokenStorage struct {
	*MemoryStorage
	broken bool
	ents   []pb.Entry
	err    error
}

func (s *brokenStorage) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	if s.broken {
		return s.ents, s.err
	}
	return s.MemoryStorage.Entries(lo, hi, maxSize)
}

func (s *brokenStorage) Term(i uint64) (uint64, error) {
	if s.broken {
		return 0, errDisk
	}
	return s.MemoryStorage.Term(i)
}

func (s *brokenStorage) FirstIndex() (uint64, error) {
	if s.broken {
		return 0, errDisk
	}
	return s.MemoryStorage.FirstIndex()
}

func (s *brokenStorage) Snapshot() (pb.Snapshot, error) {
	if s.broken {
		return pb.Snapshot{}, errDisk
	}
	return s.MemoryStorage.Snapshot()
}
