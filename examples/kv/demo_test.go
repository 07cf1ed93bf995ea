package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binary is the program, which TestMain builds.
var binary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kv-test-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "kv")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Printf("%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// tree makes a directory with everything that is odd about files.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range strings.Fields("a b/c b/d/e.txt #1 per%20cent ümlaut b/#1 x?y=z") {
		if runtime.GOOS != "windows" || !strings.Contains(name, "?") {
			write(t, dir, name, []byte("content of "+name))
		}
	}
	write(t, dir, "empty", nil)
	write(t, dir, "binary", []byte{0, 1, 0xfe, 0xff})
	write(t, dir, "large", bytes.Repeat([]byte("0123456789"), 300_000))
	write(t, dir, "two-to-the-twenty", make([]byte, 1<<20))
	for i := range 40 {
		write(t, dir, filepath.Join("many", strings.Repeat("n", i+1)), bytes.Repeat([]byte{byte(i)}, i))
	}
	if runtime.GOOS == "linux" {
		write(t, dir, "not-utf8-\xff", []byte("odd"))
		require.NoError(t, os.Symlink("/", filepath.Join(dir, "link")))
	}
	return dir
}

// demo returns a command that runs kv demo, and the directory where its temporary files are.
func demo(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	temp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "TMP="+temp)
	return cmd, temp
}

// Claim: the demo finds every file on every member, although the leader was killed, and leaves
// nothing behind.
func TestDemoKeepsEveryFile(t *testing.T) {
	cmd, temp := demo(t, "-dir", tree(t), "-writers", "4")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.True(t, strings.HasPrefix(lines[len(lines)-1], "OK: "), string(out))
	for _, want := range []string{"was killed", "throughput", "p99", "without a leader", "member 3 "} {
		require.Contains(t, string(out), want)
	}
	requireEmpty(t, temp)
}

// goroot is where the Go distribution, a directory with many files, lies.
func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// Claim: an interrupted demo takes its processes and directories with it, and says so.
func TestInterruptedDemoCleansUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot send SIGINT to another process, which is what is tested")
	}
	cmd, temp := demo(t, "-dir", filepath.Join(goroot(t), "src"))
	var out bytes.Buffer
	cmd.Stdout = &out
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		logs, _ := filepath.Glob(filepath.Join(temp, "*", "member-*.log"))
		return len(logs) == 3
	}, 20*time.Second, 10*time.Millisecond, "it does not start")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.True(t, strings.HasSuffix(out.String(), "FAILED: interrupted\n"), out.String())
	requireEmpty(t, temp)
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Claim: wrong flags end the program with status 2 and a reason.
func TestWrongFlagsAreExplained(t *testing.T) {
	for _, args := range []string{
		"", "bogus", "serve", "serve -id 1", "serve -id 1 -data x -bootstrap 1", "serve -id 1 -data x -bootstrap 2=a:1",
		"serve -id 1 -data x extra", "demo -n 2", "demo -writers 0", "demo -bogus",
	} {
		cmd := exec.CommandContext(t.Context(), binary, strings.Fields(args)...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, cmd.ProcessState.ExitCode(), "kv %s: %s", args, out)
		require.NotEmpty(t, out)
	}
}

// Claim: a member without data starts only when it is told how, since a member that lost its data must
// not vote as if it never had.
func TestMemberWithoutDataIsRefused(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), binary, "serve", "-id", "1", "-data", t.TempDir(),
		"-listen", "127.0.0.1:0", "-http", "127.0.0.1:0")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "holds no data")
}
