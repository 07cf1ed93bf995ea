package local_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/local"
)

// TestMain lets the test binary play a member that runs until its standard input ends.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Stdout.WriteString(strings.Join(os.Args[1:], " "))
		os.Stdin.Read(make([]byte, 1))
		return
	}
	os.Exit(m.Run())
}

func member(t *testing.T) *local.Member {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	return &local.Member{
		ID: 3, Binary: binary, Cluster: "c", Peer: "p:1", HTTP: "h:2", Data: "d",
		Log: filepath.Join(t.TempDir(), "log"), Flags: []string{"-v"},
	}
}

// Claim: a member is started with its flags, killed, and started again.
func TestMemberLivesMoreThanOnce(t *testing.T) {
	m := member(t)
	require.False(t, m.Running())
	require.ErrorIs(t, m.Err(), local.ErrNotRunning)
	require.ErrorIs(t, m.Signal(os.Interrupt), local.ErrNotRunning)
	for range 2 {
		require.NoError(t, m.Start("-join"))
		require.True(t, m.Running())
		m.Kill()
		require.False(t, m.Running())
		require.Error(t, m.Err())
		require.ErrorIs(t, m.Signal(os.Interrupt), local.ErrNotRunning)
	}
}

// Claim: what the process prints is in the log, among it the command line that it got.
func TestMemberLogsItsOutput(t *testing.T) {
	m := member(t)
	require.NoError(t, m.Start("-join"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const want = "serve -id 3 -cluster c -data d -listen p:1 -http h:2 -exit-with-stdin -v -join"
	require.NoError(t, local.Until(ctx, func() bool {
		data, err := os.ReadFile(m.Log)
		return err == nil && string(data) == want
	}))
	m.Stop(ctx)
	require.False(t, m.Running())
}

// Claim: the addresses differ.
func TestFreeAddressesDiffer(t *testing.T) {
	addresses, err := local.FreeAddresses(20)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, a := range addresses {
		require.False(t, seen[a], a)
		seen[a] = true
	}
}

// Claim: a status is read from a member's answer, and a refusal is an error.
func TestStatusIsRead(t *testing.T) {
	code := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		w.Write([]byte(`{"id":2,"leader":1,"term":4,"commit":9,"applied":8,"something":"else"}`))
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	st, err := local.FetchStatus(t.Context(), http.DefaultClient, address)
	require.NoError(t, err)
	require.Equal(t, local.Status{ID: 2, Leader: 1, Term: 4, Commit: 9, Applied: 8}, st)
	code = http.StatusServiceUnavailable
	_, err = local.FetchStatus(t.Context(), http.DefaultClient, address)
	require.ErrorContains(t, err, "503")
}
