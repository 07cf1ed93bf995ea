package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/rafttest/internal/plant"
)

// Every fault still has its place in the source and compiles there, has a name of its own, and a world that there is. That each
// one is found is what -faults itself shows.
func TestEachFaultApplies(t *testing.T) {
	root, err := plant.ModuleRoot()
	require.NoError(t, err)
	builds, err := plant.NewChecker(root)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range faults {
		require.False(t, names[f.name], f.name)
		names[f.name] = true
		require.NoError(t, builds.Check(f.edit), f.name)
		require.NotEmpty(t, f.oracles, f.name)
		require.Contains(t, worldNames(worlds()), f.world, f.name)
	}
}

// What explore writes about a violation is read back; an oracle that does not stand for the fault does
// not count.
func TestFindingIsReadFromOutput(t *testing.T) {
	f := fault{oracles: []string{"commit"}}
	out := "world states\nviolation of commit: leader committed 3 (member 1, after 4 actions, 567 states)\n 1. campaign 1\n"
	got, err := f.read([]byte(out))
	require.NoError(t, err)
	require.Equal(t, finding{oracle: "commit", actions: 4, states: 567}, got)
	_, err = f.read([]byte(strings.Replace(out, "of commit", "of liveness", 1)))
	require.ErrorContains(t, err, "want commit")
	_, err = f.read([]byte("panic: x"))
	require.ErrorContains(t, err, "panic: x")
}

// The command explores the worlds that it is told to, and prints a row for each.
func TestExploreOneWorld(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), []string{"-quiet", "-world", "entries,crashes", "-max", "100000"}, &out))
	require.Contains(t, out.String(), "entries")
	require.Contains(t, out.String(), "crashes")
	require.Contains(t, out.String(), "together")
	require.NotContains(t, out.String(), "part")
}

// A schedule of a world can be replayed.
func TestReplayOneSchedule(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), []string{"-world", "entries", "-replay", "campaign 1, deliver m1"}, &out))
	require.Contains(t, out.String(), "nothing is wrong")
	require.Error(t, run(context.Background(), []string{"-replay", "campaign 1"}, &out))
	require.Error(t, run(context.Background(), []string{"-world", "entries", "-replay", "campaign 9"}, &out))
	require.Error(t, run(context.Background(), []string{"-world", "nowhere"}, &out))
}
