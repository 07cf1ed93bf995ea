package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

// cluster is some members as processes of their own, with mutual TLS.
type cluster struct {
	t     *testing.T
	name  string
	dir   string
	certs string
	peers []string // addresses, by ID from 1
	http  []string
	logs  []*bytes.Buffer
	ended []chan struct{}
}

func addresses(t *testing.T, n int) (out []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}

func newCluster(t *testing.T, name, certs string, n int) *cluster {
	t.Helper()
	all := addresses(t, 2*n)
	return &cluster{
		t: t, name: name, dir: t.TempDir(), certs: certs, peers: all[:n], http: all[n:],
		logs: make([]*bytes.Buffer, n), ended: make([]chan struct{}, n),
	}
}

func (c *cluster) bootstrap(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%d=%s", i+1, c.peers[i]))
	}
	return strings.Join(out, ",")
}

func (c *cluster) data(id int) string { return filepath.Join(c.dir, fmt.Sprint(id)) }

// serve starts member id with further flags and the certificate of member as; the test's end stops it.
func (c *cluster) serve(id, as int, flags ...string) {
	c.t.Helper()
	cert := filepath.Join(c.certs, fmt.Sprintf("member-%d", as))
	args := append([]string{
		"serve", "-id", fmt.Sprint(id), "-cluster", c.name, "-data", c.data(id), "-tick", "20ms",
		"-listen", c.peers[id-1], "-http", c.http[id-1],
		"-ca", filepath.Join(c.certs, "ca.pem"), "-cert", cert + ".pem", "-key", cert + "-key.pem", "-exit-with-stdin",
	}, flags...)
	cmd := exec.Command(binary, args...)
	log := new(bytes.Buffer)
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	c.logs[id-1], c.ended[id-1] = log, ended
	c.t.Cleanup(func() {
		stdin.Close()
		<-ended
		if c.t.Failed() {
			c.t.Logf("member %d of %s:\n%s", id, c.name, log)
		}
	})
}

// command returns a kv command against the cluster.
func (c *cluster) command(ctx context.Context, stdin string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "KV_ENDPOINTS="+strings.Join(c.http, ","),
		"KV_CA="+filepath.Join(c.certs, "ca.pem"), "KV_CERT="+filepath.Join(c.certs, "client.pem"),
		"KV_KEY="+filepath.Join(c.certs, "client-key.pem"))
	return cmd
}

// kv runs a command, which must end with the exit code, and returns its standard output.
func (c *cluster) kv(code int, stdin string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	cmd := c.command(ctx, stdin, args...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(c.t, err)
	}
	require.Equal(c.t, code, cmd.ProcessState.ExitCode(), "kv %v: %s%s", args, &out, &problem)
	return strings.TrimSuffix(out.String(), "\n")
}

func (c *cluster) ready() {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		defer cancel()
		return c.command(ctx, "", "leader", "show").Run() == nil
	}, patience, 10*time.Millisecond, "no leader")
}

// Claim: every command does what it says, against a cluster of processes with mutual TLS.
func TestCommandsAgainstACluster(t *testing.T) {
	certs := t.TempDir()
	made := newCluster(t, "one", certs, 4)
	require.Contains(t, made.kv(0, "", "cert", certs, "-cluster", "one", "-members", "4"), "member-4-key.pem")
	for id := 1; id <= 3; id++ {
		made.serve(id, id, "-bootstrap", made.bootstrap(3))
	}
	made.ready()
	t.Run("keys", func(t *testing.T) { made.t = t; testKeys(t, made) })
	t.Run("leases and locks", func(t *testing.T) { made.t = t; testLeasesAndLocks(t, made) })
	t.Run("watch", func(t *testing.T) { made.t = t; testWatch(t, made) })
	made.t = t
	made.serve(4, 4, "-join")
	t.Run("members", func(t *testing.T) { made.t = t; testMembers(t, made) })
	made.t = t
	testSnapshot(t, made)
}

func testKeys(t *testing.T, c *cluster) {
	require.Equal(t, "revision 1", c.kv(0, "", "put", "a", "hello"))
	require.Equal(t, "hello", c.kv(0, "", "get", "a"))
	require.Equal(t, `{"key":"a","value":"hello","revision":1}`, c.kv(0, "", "get", "-o", "json", "a"))
	require.Equal(t, "revision 2", c.kv(0, "from stdin", "put", "b/..//x%2F"))
	require.Equal(t, "from stdin", c.kv(0, "", "get", "b/..//x%2F", "-stale"))
	c.kv(3, "", "get", "missing")
	c.kv(2, "", "get")
	c.kv(2, "", "get", "a", "-bogus")
	c.kv(2, "", "bogus", "a")
	require.Equal(t, "revision 3", c.kv(0, "", "cas", "a", "1", "new"))
	c.kv(4, "", "cas", "a", "1", "newer")
	require.Equal(t, "KEY         REVISION  VALUE\na           3         new\nb/..//x%2F  2         from stdin",
		c.kv(0, "", "list", "-values"))
	c.kv(2, "", "txn")
	answer := c.kv(0, `{"compare":[{"key":"a","value":"new"},{"key":"c","revision":0}],`+
		`"then":[{"op":"put","key":"c","value":"1"},{"op":"delete","key":"a"},{"op":"get","key":"c"}]}`, "txn", "-o", "json")
	require.Equal(t, `{"succeeded":true,"revision":4,"answers":[{"op":"put","key":"c"},`+
		`{"op":"delete","key":"a","deleted":true},{"op":"get","key":"c","item":{"key":"c","value":"1","revision":4}}]}`, answer)
	require.Contains(t, c.kv(0, `{"compare":[{"key":"a","is":">","revision":0}],"else":[{"op":"get","key":"a"}]}`, "txn"),
		"else carried out, revision 4")
	c.kv(2, `{"then":[{"op":"swap","key":"a"}]}`, "txn")
	require.Equal(t, "deleted at revision 5", c.kv(0, "", "del", "c"))
	c.kv(3, "", "del", "c")
	// One of the endpoints is nobody's: the next one is asked.
	nobody := addresses(t, 1)[0]
	require.Equal(t, "revision 6", c.kv(0, "", "put", "-endpoints", nobody+","+c.http[2], "d", "1"))
	c.kv(5, "", "put", "-endpoints", nobody, "-timeout", "300ms", "d", "2")
}

func testLeasesAndLocks(t *testing.T, c *cluster) {
	c.kv(2, "", "lease", "grant", "1ms")
	require.Equal(t, "lease 1 of 1m0s", c.kv(0, "", "lease", "grant", "1m"))
	c.kv(0, "", "put", "mine", "x", "-lease", "1")
	c.kv(3, "", "put", "mine", "x", "-lease", "99")
	require.Equal(t, "lease 1: renewed for 1m0s", c.kv(0, "", "lease", "keep", "-once", "1"))
	require.Contains(t, c.kv(0, "", "lease", "list"), "1      1m0s  1")
	require.Contains(t, c.kv(0, "", "lease", "show", "1"), "mine")
	require.Equal(t, "revoked", c.kv(0, "", "lease", "revoke", "1"))
	c.kv(3, "", "get", "mine")
	c.kv(3, "", "lease", "keep", "1")
	// A lease that nobody renews ends by itself.
	c.kv(0, "", "lease", "grant", "1s")
	c.kv(0, "", "put", "short", "x", "-lease", "2")
	require.Equal(t, "delete", c.watchOne("watch", "short", "-n", "1", "-o", "json")["type"])

	require.Equal(t, "held", c.kv(0, "", "lock", "door", "--", "echo", "held"))
	c.kv(9, "", "lock", "door", "--", "sh", "-c", "exit 9")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	holder := c.command(ctx, "", "lock", "door", "--", "cat")
	holder.Stdin = nil
	in, err := holder.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	require.Eventually(t, func() bool { return strings.Contains(c.kv(0, "", "lock", "-list"), "door") },
		patience, 10*time.Millisecond)
	c.kv(4, "", "lock", "-wait", "200ms", "door", "--", "true")
	require.NoError(t, in.Close())
	require.NoError(t, holder.Wait())
	require.Equal(t, "LOCK  LEASE  REVISION", c.kv(0, "", "lock", "-list"))
}

// watchOne returns the one event that a watch prints as JSON.
func (c *cluster) watchOne(args ...string) map[string]any {
	c.t.Helper()
	var out map[string]any
	require.NoError(c.t, json.Unmarshal([]byte(c.kv(0, "", args...)), &out))
	return out
}

func testWatch(t *testing.T, c *cluster) {
	history := c.kv(0, "", "watch", "-revision", "1", "-n", "4", "-o", "json")
	require.Equal(t, 4, strings.Count(history, "\n")+1)
	require.Contains(t, history, `{"type":"put","key":"a","value":"hello","revision":1}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch := c.command(ctx, "", "watch", "-prefix", "live/", "-revision", "7", "-n", "2")
	out, err := watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	lines := bufio.NewScanner(out)
	c.kv(0, "", "put", "live/1", "x")
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "live/1  x")
	c.kv(0, "", "put", "other", "x")
	c.kv(0, "", "del", "live/1")
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "delete")
	require.NoError(t, watch.Wait())
}

func testMembers(t *testing.T, c *cluster) {
	require.Equal(t, "member 4 added as learner", c.kv(0, "", "member", "add", "4", c.peers[3]))
	c.kv(4, "", "member", "add", "4", c.peers[3])
	require.Equal(t, "member 4 is a voter", c.kv(0, "", "member", "promote", "4"))
	require.Equal(t, "member 4 leads", c.kv(0, "", "leader", "transfer", "4", "-timeout", "20s"))
	require.Contains(t, c.kv(0, "", "leader", "show"), "member 4 at ")
	require.Equal(t, 4, strings.Count(c.kv(0, "", "member", "list"), "voter"))
	require.Contains(t, c.kv(0, "", "status"), "StateLeader")
	require.Equal(t, "member 4 removed", c.kv(0, "", "member", "remove", "4"))
	c.kv(3, "", "member", "promote", "9")
	c.ready()
}

func testSnapshot(t *testing.T, c *cluster) {
	c.kv(0, "", "put", "kept", "for the next cluster")
	file := filepath.Join(t.TempDir(), "state")
	saved := c.kv(0, "", "snapshot", "save", file, "-o", "json")
	require.Equal(t, saved, c.kv(0, "", "snapshot", "show", file, "-o", "json"))
	next := newCluster(t, "two", t.TempDir(), 3)
	next.kv(0, "", "cert", next.certs, "-cluster", "two")
	restore := func(id int, name string) []string {
		return []string{"snapshot", "restore", file, "-id", fmt.Sprint(id), "-data", next.data(id),
			"-cluster", name, "-bootstrap", next.bootstrap(3)}
	}
	next.kv(2, "", restore(1, "one")...)
	for id := 1; id <= 3; id++ {
		next.kv(0, "", restore(id, "two")...)
		next.serve(id, id)
	}
	next.ready()
	next.kv(1, "", restore(1, "two")...) // it has data now
	require.Equal(t, "for the next cluster", next.kv(0, "", "get", "kept"))
	require.Contains(t, next.kv(0, "", "member", "list"), next.peers[2])
	require.Contains(t, next.kv(0, "", "watch", "-revision", "1", "-n", "1"), "hello")
	// A client of the other cluster's authority is no client here, and the other way round.
	stranger := *next
	stranger.certs = c.certs
	stranger.kv(5, "", "get", "kept", "-timeout", "300ms")
}
