package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inTemp returns a command that runs kv, and the directory where its temporary files are.
func inTemp(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	temp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "TMP="+temp)
	return cmd, temp
}

// Claim: a short drill with faults of all sorts finds nothing wrong, says what it did and leaves nothing
// behind.
func TestShortDrill(t *testing.T) {
	cmd, temp := inTemp(t, "drill", "-for", "5s", "-loopback", "-seed", "5", "-faults", "kill,partition,reset", "-o", "json")
	var out, lines bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &lines
	require.NoError(t, cmd.Run(), "%s%s", &lines, &out)
	var report struct {
		Writes, Reads, Operations int
		Faults                    map[string]int
		Digest, Violation         string
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &report), out.String())
	require.Positive(t, report.Writes)
	require.Positive(t, report.Reads)
	require.Positive(t, report.Operations)
	require.NotEmpty(t, report.Faults)
	require.NotEmpty(t, report.Digest)
	require.Empty(t, report.Violation)
	require.Contains(t, lines.String(), "members share the loopback interface")
	requireEmpty(t, temp)
}

// Claim: an interrupted drill takes its processes and files with it.
func TestInterruptedDrillCleansUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot send SIGINT to another process, which is what is tested")
	}
	cmd, temp := inTemp(t, "drill", "-for", "10m", "-loopback")
	var out bytes.Buffer
	cmd.Stdout = &out
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		logs, _ := filepath.Glob(filepath.Join(temp, "*", "slot-*.log"))
		return len(logs) == 3
	}, 20*time.Second, 10*time.Millisecond, "it does not start")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "FAILED: interrupted\n", out.String())
	requireEmpty(t, temp)
}

// Claim: a benchmark starts a cluster of its own, compares it with Pebble, and leaves nothing behind.
func TestBenchOnItsOwnCluster(t *testing.T) {
	cmd, temp := inTemp(t, "bench", "-for", "300ms", "-warmup", "100ms", "-rounds", "1", "-clients", "4",
		"-reads", "0.5", "-keys", "50", "-serve-binary", binary, "-compare-pebble", "-o", "json")
	out, err := cmd.Output()
	require.NoError(t, err, string(out))
	var report struct {
		Results []struct {
			Name          string
			Reads, Writes int
			P99           float64
		}
		Ratios []struct{ Other string }
	}
	require.NoError(t, json.Unmarshal(out, &report), string(out))
	require.Len(t, report.Results, 4)
	for _, r := range report.Results {
		require.Positive(t, r.Writes, r.Name)
		require.Positive(t, r.P99, r.Name)
	}
	require.Positive(t, report.Results[0].Reads)
	require.Len(t, report.Ratios, 3)
	requireEmpty(t, temp)
}

// Claim: flags of the drill and the benchmark that make no sense end the program with status 2 and a
// reason.
func TestWrongDrillAndBenchFlagsAreExplained(t *testing.T) {
	for _, args := range []string{
		"drill -members 4", "drill -faults earthquake", "drill -rate 0", "drill -o xml", "drill extra",
		"bench -clients 0", "bench -reads 2", "bench -o xml", "bench -endpoints a:1 -serve-binary kv", "bench extra",
	} {
		cmd := exec.CommandContext(t.Context(), binary, strings.Fields(args)...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, cmd.ProcessState.ExitCode(), "kv %s: %s", args, out)
		require.NotEmpty(t, out)
	}
}
