package drill

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/wal"
	"quorate.example/raft/host"
	"quorate.example/raft/raftpb"
)

// Claim: only what certainly changed nothing counts as such; every other failed write may have happened.
func TestOutcomesAreToldApart(t *testing.T) {
	for name, x := range map[string]struct {
		in   input
		code int
		body string
		want verdict
		out  output
	}{
		"written":      {putOf("v"), 200, `{"key":"k","revision":4}`, verdictDone, at(4)},
		"swapped":      {casOf(3, "v"), 200, `{"key":"k","revision":4}`, verdictDone, at(4)},
		"conflict":     {casOf(3, "v"), 409, `{"error":"the key has another revision","revision":9}`, verdictDone, conflict(9)},
		"read":         {theGet, 200, `{"key":"k","value":"v` + padding + `","revision":4}`, verdictDone, found("v", 4)},
		"absent":       {theGet, 404, `{"error":"no such key"}`, verdictDone, output{}},
		"no leader":    {putOf("v"), 503, `{"error":"no leader answered, nothing was changed"}`, verdictNothing, output{}},
		"no answer":    {putOf("v"), 503, `{"error":"the change may or may not have been made"}`, verdictUnknown, output{}},
		"broken":       {putOf("v"), 500, `{"error":"?"}`, verdictUnknown, output{}},
		"no read":      {theGet, 503, `{"error":"?"}`, verdictNothing, output{}},
		"not JSON":     {putOf("v"), 200, `<html>`, verdictUnknown, output{}},
		"put conflict": {putOf("v"), 409, `{"error":"?"}`, verdictUnknown, output{}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(x.code)
			io.WriteString(w, x.body)
		}))
		out, v, _ := newAPI(1).request(t.Context(), strings.TrimPrefix(server.URL, "http://"), "k", x.in)
		server.Close()
		require.Equal(t, x.want, v, name)
		if v == verdictDone {
			require.Equal(t, x.out, out, name)
		}
		// The server is gone now: what cannot be sent changes nothing.
		_, v, err := newAPI(1).request(t.Context(), strings.TrimPrefix(server.URL, "http://"), "k", x.in)
		require.Error(t, err)
		require.Equal(t, verdictNothing, v, name)
	}
}

// Claim: a connection that ends under way leaves a write's outcome open.
func TestBrokenConnectionIsUnknown(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	_, v, err := newAPI(1).request(t.Context(), strings.TrimPrefix(server.URL, "http://"), "k", putOf("v"))
	require.Error(t, err)
	require.Equal(t, verdictUnknown, v)
}

// Claim: gaps of a second or more are counted, and the longest one is kept whatever its length.
func TestGapsAreCounted(t *testing.T) {
	var g gaps
	for _, d := range []time.Duration{10 * time.Millisecond, 2 * time.Second, time.Second, 999 * time.Millisecond} {
		g.add(d)
	}
	require.Equal(t, gaps{Count: 2, Total: 3 * time.Second, Longest: 2 * time.Second}, g)
}

// Claim: the byte that is changed makes the store refuse the log, wherever it is.
func TestDamageIsNoticed(t *testing.T) {
	crashed := crashedStore(t)
	for seed := range uint64(20) {
		dir := filepath.Join(t.TempDir(), "damaged")
		require.NoError(t, os.CopyFS(dir, os.DirFS(crashed)))
		where, err := damage(dir, rand.New(rand.NewPCG(seed, 1)))
		require.NoError(t, err)
		_, err = store.Open(store.Options{Dir: dir})
		require.ErrorIs(t, err, wal.ErrDamaged, where)
	}
}

// crashedStore returns the directory of a store whose process is gone all of a sudden.
func crashedStore(t *testing.T) string {
	t.Helper()
	dir, crashed := t.TempDir(), filepath.Join(t.TempDir(), "crashed")
	s, err := store.Open(store.Options{Dir: dir, LogSegmentBytes: 64 << 10})
	require.NoError(t, err)
	for i := range uint64(200) {
		require.NoError(t, s.Save(host.Write{
			Entries: []raftpb.Entry{{Index: i + 1, Term: 1, Data: make([]byte, 1000)}}, Sync: true,
		}))
	}
	require.NoError(t, os.CopyFS(crashed, os.DirFS(dir)))
	require.NoError(t, s.Close())
	return crashed
}

// Claim: a log that is too short to be damaged with consequences is left alone.
func TestShortLogIsNotDamaged(t *testing.T) {
	_, err := damage(t.TempDir(), rand.New(rand.NewPCG(1, 1)))
	require.ErrorIs(t, err, errNothingWritten)
}

// Claim: the directory of a drill must be empty.
func TestDirectoryMustBeEmpty(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600))
	_, err := Run(context.Background(), Options{Dir: dir, Out: io.Discard})
	require.ErrorContains(t, err, "not empty")
	require.FileExists(t, filepath.Join(dir, "precious"))
}
