package quorum_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"quorate.example/raft/quorum"
)

// transcripts returns where the recorded conversations of a package are, and skips without them.
func transcripts(t *testing.T, name string) string {
	t.Helper()
	shared := os.Getenv("QUORATE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	dir := filepath.Join(shared, "transcripts", name)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI needs the transcripts at %s", dir)
		}
		t.Skipf("no transcripts at %s; QUORATE_SHARED can name the directory that holds transcripts/", dir)
	}
	return dir
}

// The answers are those of v3.6.0, word for word.
func TestAnswersMatchTheTranscripts(t *testing.T) {
	datadriven.Walk(t, transcripts(t, "quorum"), func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "committed":
				c, values := perVoter(t, d, "idx")
				indexes := acks{}
				for id, v := range values {
					n, err := strconv.ParseUint(v, 10, 64)
					require.NoError(t, err, d.Pos)
					indexes[id] = quorum.Index(n)
				}
				return fmt.Sprint(c.Describe(indexes), c.CommittedIndex(indexes))
			case "vote":
				c, values := perVoter(t, d, "votes")
				votes := map[uint64]bool{}
				for id, v := range values {
					votes[id] = v == "y"
				}
				return c.VoteResult(votes).String()
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}

// perVoter reads cfg=(1,2,3) and an argument with one value for each of them, where _ stands for none.
func perVoter(t *testing.T, d *datadriven.TestData, arg string) (quorum.MajorityConfig, map[uint64]string) {
	t.Helper()
	c, values := members(), map[uint64]string{}
	var ids []uint64
	for _, a := range d.CmdArgs {
		for i, v := range a.Vals {
			switch {
			case a.Key == "cfg":
				id, err := strconv.ParseUint(v, 10, 64)
				require.NoError(t, err, d.Pos)
				ids = append(ids, id)
				c[id] = struct{}{}
			case a.Key == arg && v != "_":
				values[ids[i]] = v
			}
		}
	}
	return c, values
}
