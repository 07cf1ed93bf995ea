// Package storage compares the MemoryStorage of both libraries.
package storage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	theirs "go.etcd.io/raft/v3"
	theirpb "go.etcd.io/raft/v3/raftpb"

	ours "quorate.example/raft"
	ourpb "quorate.example/raft/raftpb"
)

// op is a call on a MemoryStorage, with arguments that mean the same to both.
type op struct {
	kind             int
	lo, hi, max, cut uint64
}

// show writes a result as text; values of the two libraries differ only in their type.
func show(v ...any) string { return fmt.Sprintf("%v", v) }

func callOurs(s *ours.MemoryStorage, o op) (res string, panicked bool) {
	defer func() { panicked = panicked || recover() != nil }()
	switch o.kind {
	case 0:
		ents := make([]ourpb.Entry, o.max)
		for i := range ents {
			ents[i] = ourpb.Entry{Index: o.lo + uint64(i), Term: o.cut, Data: []byte{byte(i)}}
		}
		return show(s.Append(ents)), false
	case 1:
		return show(s.Compact(o.lo)), false
	case 2:
		snap, err := s.CreateSnapshot(o.lo, &ourpb.ConfState{Voters: []uint64{o.cut}}, []byte("s"))
		return show(snap.Metadata, snap.Data, err), false
	case 3:
		return show(s.ApplySnapshot(ourpb.Snapshot{Metadata: ourpb.SnapshotMetadata{Index: 1 + o.lo, Term: o.cut}})), false
	case 4:
		return show(s.SetHardState(ourpb.HardState{Term: o.cut, Commit: o.lo})), false
	case 5:
		ents, err := s.Entries(o.lo, o.hi, o.max)
		return show(ents, ents == nil, err), false
	case 6:
		term, err := s.Term(o.lo)
		return show(term, err), false
	}
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	snap, err := s.Snapshot()
	hard, conf, _ := s.InitialState()
	return show(first, last, snap.Metadata, snap.Data, err, hard.Term, hard.Vote, hard.Commit, conf.Voters), false
}

func callTheirs(s *theirs.MemoryStorage, o op) (res string, panicked bool) {
	defer func() { panicked = panicked || recover() != nil }()
	switch o.kind {
	case 0:
		ents := make([]theirpb.Entry, o.max)
		for i := range ents {
			ents[i] = theirpb.Entry{Index: o.lo + uint64(i), Term: o.cut, Data: []byte{byte(i)}}
		}
		return show(s.Append(ents)), false
	case 1:
		return show(s.Compact(o.lo)), false
	case 2:
		snap, err := s.CreateSnapshot(o.lo, &theirpb.ConfState{Voters: []uint64{o.cut}}, []byte("s"))
		return show(snap.Metadata, snap.Data, err), false
	case 3:
		return show(s.ApplySnapshot(theirpb.Snapshot{Metadata: theirpb.SnapshotMetadata{Index: 1 + o.lo, Term: o.cut}})), false
	case 4:
		return show(s.SetHardState(theirpb.HardState{Term: o.cut, Commit: o.lo})), false
	case 5:
		ents, err := s.Entries(o.lo, o.hi, o.max)
		return show(ents, ents == nil, err), false
	case 6:
		term, err := s.Term(o.lo)
		return show(term, err), false
	}
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	snap, err := s.Snapshot()
	hard, conf, _ := s.InitialState()
	return show(first, last, snap.Metadata, snap.Data, err, hard.Term, hard.Vote, hard.Commit, conf.Voters), false
}

// MemoryStorage answers every call as that of v3.6.0, up to a call on which that one panics.
func TestMemoryStorageAnswersAlike(t *testing.T) {
	answers := 0
	for seed := uint64(0); seed < 2000; seed++ {
		rnd := rand.New(rand.NewPCG(seed, 0))
		a, b := ours.NewMemoryStorage(), theirs.NewMemoryStorage()
		for i := 0; i < 60; i++ {
			last, _ := b.LastIndex()
			o := op{kind: rnd.IntN(8), lo: rnd.Uint64N(last + 2), max: rnd.Uint64N(6), cut: 1 + uint64(i)/10}
			o.hi = o.lo + rnd.Uint64N(last+2-o.lo)
			if o.kind == 5 && rnd.IntN(2) == 0 {
				o.max = math.MaxUint64
			}
			if o.kind == 0 && rnd.IntN(2) == 0 {
				o.lo = last + 1
			}
			want, panicked := callTheirs(b, o)
			if panicked {
				break
			}
			got, panicked := callOurs(a, o)
			require.False(t, panicked, "seed %d, %+v: v3.6.0 answers %s", seed, o, want)
			require.Equal(t, want, got, "seed %d, %+v", seed, o)
			answers++
		}
	}
	require.Greater(t, answers, 10_000)
}
