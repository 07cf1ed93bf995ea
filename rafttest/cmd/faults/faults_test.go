package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/rafttest/internal/plant"
)

// Every fault still has its place in the source, compiles there, and has a name of its own. That
// each one is noticed is what the program itself shows.
func TestEachFaultApplies(t *testing.T) {
	root, err := plant.ModuleRoot()
	require.NoError(t, err)
	builds, err := plant.NewChecker(root)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range append(append([]fault{}, coreFaults...), hostFaults...) {
		require.False(t, names[f.name], f.name)
		names[f.name] = true
		require.NoError(t, builds.Check(f.edit()), f.name)
		require.NotEmpty(t, f.oracles, f.name)
	}
	require.GreaterOrEqual(t, len(coreFaults), 20)
}

// Every rule still has its place in the source, the source compiles without it, and its tests are those that docs/scenarios.md names.
func TestEachRuleCanBeTakenBack(t *testing.T) {
	root, err := plant.ModuleRoot()
	require.NoError(t, err)
	doc, err := os.ReadFile(filepath.Join(root, "docs", "scenarios.md"))
	require.NoError(t, err)
	builds, err := plant.NewChecker(root)
	require.NoError(t, err)
	scenarios := map[string]bool{}
	for _, r := range revertedRules {
		scenarios[r.scenario] = true
		require.NoError(t, builds.Check(r.edits()...), r.name)
		line := ""
		for _, l := range strings.Split(string(doc), "\n") {
			if strings.HasPrefix(l, "| "+r.scenario+" ") {
				line = l
				break
			}
		}
		for _, name := range r.tests {
			require.Contains(t, line, "`"+name+"`", r.scenario)
		}
	}
	require.GreaterOrEqual(t, len(scenarios), 25)
}

func TestFailuresAreReadFromOutput(t *testing.T) {
	require.Equal(t, []string{"TestA", "TestB"},
		failures("--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/x (0.00s)\n--- FAIL: TestB (1.00s)\nFAIL\n"))
	require.Equal(t, []string{"TestSlow"}, failures("panic: test timed out after 1s\n\trunning tests:\n\t\tTestSlow (1s)\n"))
	require.Equal(t, "1,234,567", thousands([]byte("1234567")))
}

// What raftsim writes about a failure is read back; an oracle that does not stand
// for the fault does not count.
func TestFindingIsReadFromOutput(t *testing.T) {
	f := fault{oracles: []string{"commit"}}
	out := "12 seeds, 3456 events in 0.1 s: 34560 events/s\nmedian run: ...\n" +
		"violation of commit: leader committed 3 (member 1, event 4, 0.1 s)\n"
	got, err := f.read([]byte(out))
	require.NoError(t, err)
	require.Equal(t, finding{oracle: "commit", seeds: 12, events: 3456}, got)
	_, err = f.read([]byte(strings.Replace(out, "of commit", "of liveness", 1)))
	require.ErrorContains(t, err, "want commit")
	_, err = f.read([]byte("panic: x"))
	require.ErrorContains(t, err, "panic: x")
}
