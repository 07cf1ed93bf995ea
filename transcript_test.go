package raft_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/rafttest"
)

// differingTranscripts are those whose answers differ from v3.6.0 by default,
// with the reason. With Config.Mirror36 there is none.
var differingTranscripts = map[string]string{
	"async_storage_writes":              "appends of one Ready are merged",
	"campaign":                          "vote requests tell the commit index (D19)",
	"confchange_v2_replace_leader":      "vote requests tell the commit index (D19)",
	"probe_and_replicate":               "vote requests tell the commit index (D19)",
	"checkquorum":                       "heartbeats of one Ready are merged",
	"confchange_v1_remove_leader":       "appends of one Ready are merged",
	"confchange_v2_add_double_auto":     "appends of one Ready are merged",
	"confchange_v2_add_single_explicit": "a refused configuration change is an error (D2)",
	"prevote":                           "acknowledgements of one Ready are merged",
	"replicate_pause":                   "appends of one Ready are merged, so the window does not fill",
}

// Transcripts recorded from go.etcd.io/raft v3.6.0 replay word for word with
// Mirror36.
func TestMirror36AnswersTranscriptsLikeV36(t *testing.T) {
	for _, path := range sharedTranscripts(t) {
		path := path
		t.Run(transcriptName(path), func(t *testing.T) {
			replay(t, path, newTranscriptEnv(true), requireAnswer)
		})
	}
}

// By default the same transcripts replay word for word too, but for the listed
// ones; a listed one that does not differ is no longer true and fails.
func TestDefaultAnswersDifferFromV36OnlyWhereListed(t *testing.T) {
	for _, path := range sharedTranscripts(t) {
		path := path
		t.Run(transcriptName(path), func(t *testing.T) {
			if _, listed := differingTranscripts[transcriptName(path)]; !listed {
				replay(t, path, newTranscriptEnv(false), requireAnswer)
				return
			}
			differences := 0
			replay(t, path, newTranscriptEnv(false),
				func(_ *testing.T, d *datadriven.TestData, got string) {
					if got != d.Expected {
						differences++
					}
				})
			require.NotZero(t, differences, "no difference: take it off the list")
		})
	}
}

// The project's own transcripts, in testdata; `go test -run Own -rewrite`
// records them anew.
func TestOwnTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		env := newTranscriptEnv(false)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return withoutLogLines(env.Handle(t, *d))
		})
	})
}

func newTranscriptEnv(mirror36 bool) *rafttest.InteractionEnv {
	return rafttest.NewInteractionEnv(&rafttest.InteractionOpts{
		OnConfig:                     func(c *raft.Config) { c.Mirror36 = mirror36 },
		SetRandomizedElectionTimeout: raft.SetRandomizedElectionTimeout,
	})
}

// sharedTranscripts returns the recorded transcripts' paths. They are not part
// of the repository; CI has them always.
func sharedTranscripts(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("QUORATE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "shared")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "transcripts", "*.txt"))
	require.NoError(t, err)
	if len(paths) == 0 && os.Getenv("CI") == "" {
		t.Skipf("no recorded transcripts in %s: set QUORATE_SHARED to the directory that has them", dir)
	}
	require.NotEmpty(t, paths, "CI needs the recorded transcripts in %s", dir)
	return paths
}

func transcriptName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), ".txt")
}

// replay feeds each command of the transcript to env and each answer, without
// its log lines, to check. It never writes the file, whatever flags are set.
func replay(
	t *testing.T, path string, env *rafttest.InteractionEnv,
	check func(t *testing.T, d *datadriven.TestData, got string),
) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	datadriven.RunTestFromString(t, string(text),
		func(t *testing.T, d *datadriven.TestData) string {
			got := withoutLogLines(env.Handle(t, *d))
			check(t, d, got)
			return d.Expected
		})
}

func requireAnswer(t *testing.T, d *datadriven.TestData, got string) {
	require.Equal(t, d.Expected, got, "%s: %s", d.Pos, d.FullCmd())
}

var logLine = regexp.MustCompile(`(?m)^\s*(DEBUG|INFO|WARN|ERROR) .*\n?`)

// withoutLogLines makes an answer comparable: log lines are no part of the API,
// and an answer of nothing else counts as "ok".
func withoutLogLines(answer string) string {
	answer = strings.TrimSuffix(logLine.ReplaceAllString(answer, ""), "\n")
	if answer == "" {
		answer = "ok"
	}
	return answer + "\n"
}
