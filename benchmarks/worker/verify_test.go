//go:build !v36 && !v37 && !floor

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/benchmarks/internal/measure"
)

func TestGroupThatLostAnEntryFailsVerification(t *testing.T) {
	g, p := newGroup(3), measure.NewPayloads(5, 16)
	for i := 0; i < 5; i++ {
		measure.Must(g.members[0].node.Propose(p.At(i)))
	}
	g.cut = 3
	g.pump()
	require.Panics(t, func() { g.verify(p, 5) }, "member 3 was cut off")
	g.cut = 0
	g.bringBack(5)
	g.verify(p, 5)
	require.Panics(t, func() { g.verify(p, 4) }, "there is one too many")
	g.members[1].digest.Hash++
	require.Panics(t, func() { g.verify(p, 5) }, "member 2 applied something else")
}

func TestMemberThatSkipsAnEntryPanics(t *testing.T) {
	apply := func(index uint64) func() {
		m := member{applied: 1}
		return func() { m.apply(&ready{CommittedEntries: []entry{newEntry(1, index, nil)}}) }
	}
	require.Panics(t, apply(3))
	require.Panics(t, apply(1))
	require.NotPanics(t, apply(2))
}
