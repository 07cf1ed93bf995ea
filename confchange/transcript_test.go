package confchange_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	pb "quorate.example/raft/raftpb"
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

// The answers are those of v3.6.0, word for word. Each command, refused or not, moves the log on.
func TestAnswersMatchTheTranscripts(t *testing.T) {
	datadriven.Walk(t, transcripts(t, "confchange"), func(t *testing.T, path string) {
		c := newChanger(0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			defer func() { c.LastIndex++ }()
			ccs := parse(t, d)
			var err error
			switch d.Cmd {
			case "simple":
				err = take(&c)(c.Simple(ccs...))
			case "enter-joint":
				autoLeave := false
				d.MaybeScanArgs(t, "autoleave", &autoLeave)
				err = take(&c)(c.EnterJoint(autoLeave, ccs...))
			case "leave-joint":
				err = take(&c)(c.LeaveJoint())
			default:
				d.Fatalf(t, "unknown command")
			}
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%s\n%s", c.Tracker.Config, c.Tracker.Progress)
		})
	})
}

// parse reads changes like "v1 l2 r3 u4": a kind, then the ID of a member.
func parse(t *testing.T, d *datadriven.TestData) []pb.ConfChangeSingle {
	t.Helper()
	kinds := map[byte]pb.ConfChangeType{
		'v': pb.ConfChangeAddNode,
		'l': pb.ConfChangeAddLearnerNode,
		'r': pb.ConfChangeRemoveNode,
		'u': pb.ConfChangeUpdateNode,
	}
	var ccs []pb.ConfChangeSingle
	for _, word := range strings.Fields(d.Input) {
		kind, known := kinds[word[0]]
		require.True(t, known, "%s: %s", d.Pos, word)
		id, err := strconv.ParseUint(word[1:], 10, 64)
		require.NoError(t, err, d.Pos)
		ccs = append(ccs, pb.ConfChangeSingle{Type: kind, NodeID: id})
	}
	return ccs
}
