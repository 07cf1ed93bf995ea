package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/benchmarks/internal/report"
)

// fake returns a worker that runs a shell script.
func fake(t *testing.T, name, script string) worker {
	program := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	return worker{name: name, program: program, families: []string{"propose", "commit"}}
}

func TestWorkerThatFailsIsNotCounted(t *testing.T) {
	for script, want := range map[string]string{
		`echo '{"Workload":"commit/3","Ops":7}'`:    "it did 7 of",
		`echo '{"Workload":"propose/16B","Ops":0}'`: "it did 0 of",
		`echo nonsense`: "invalid character",
		`echo 'panic: members differ' >&2; exit 2`:    "members differ",
		`echo '{"Workload":"propose/16B","Ops":"x"}'`: "cannot unmarshal",
	} {
		w := fake(t, "lib", script)
		_, err := w.run("propose/16B", 10)
		require.ErrorContains(t, err, want, script)
		require.ErrorContains(t, err, "lib, propose/16B")
	}
}

func TestLibrariesTakeTurns(t *testing.T) {
	order := filepath.Join(t.TempDir(), "order")
	script := `echo "$(basename $0) $2" >> ` + order + `; echo "{\"Workload\":\"$2\",\"Ops\":$4,\"WallNS\":100}"`
	o := options{rounds: 3, quick: true, base: "b"}
	workers := []worker{fake(t, "a", script), fake(t, "b", script)}
	run, err := o.measure(workers, regexp.MustCompile("^(propose/16B|commit/3|node/1)$"))
	require.NoError(t, err)
	text, err := os.ReadFile(order)
	require.NoError(t, err)
	require.Equal(t, []string{
		"a propose/16B", "b propose/16B", "b propose/16B", "a propose/16B", "a propose/16B", "b propose/16B",
		"a commit/3", "b commit/3", "b commit/3", "a commit/3", "a commit/3", "b commit/3",
	}, strings.Split(strings.TrimSpace(string(text)), "\n"), "node/1 is left out: they cannot do it")
	require.Len(t, run.Values("propose/16B", "a", report.Wall), 3)
}

// small is a workload with little to set up, in place of one with a large parameter.
func small(workload string) string {
	return strings.NewReplacer("/10000", "/10", "conflict/1000", "conflict/10").Replace(workload)
}

// Every workload verifies what it did, so this shows that all libraries do the same work.
func TestEveryLibraryDoesEveryWorkload(t *testing.T) {
	workers, err := buildAll(t.TempDir(), nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(workers), 3)
	workloads := []string{"log/50", "restart/50", "pipeline/8:4"}
	for _, row := range rows() {
		workloads = append(workloads, small(row.Workload))
	}
	for i := range workers {
		w := &workers[i]
		for _, workload := range workloads {
			if strings.HasSuffix(workload, "/101") || !w.can(workload) || w.name == "hashicorp" && workload != "node/16" {
				continue
			}
			_, err := w.run(workload, 60)
			require.NoError(t, err)
		}
	}
}

func TestEveryRowHasATitleAndASize(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range rows() {
		require.False(t, seen[row.Workload], row.Workload)
		seen[row.Workload] = true
		require.NotEmpty(t, row.Title)
		require.Positive(t, row.Quick)
		require.GreaterOrEqual(t, row.N, row.Quick)
	}
	for _, workload := range barRows() {
		require.True(t, seen[workload], workload)
	}
}
