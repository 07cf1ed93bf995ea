package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/api"
)

// directory makes a directory with a small file and one of three parts, and returns what is in it.
func directory(t *testing.T) (string, *manifest) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "small"), []byte("content"), 0o600))
	large := bytes.Repeat([]byte("x"), 2*partBytes+1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large"), large, 0o600))
	m, err := scan(dir, nil)
	require.NoError(t, err)
	for _, p := range m.parts {
		data, err := p.read()
		require.NoError(t, err)
		p.sum = sha256.Sum256(data)
	}
	return dir, m
}

// serve plays a member that holds what keep makes of the manifest, two keys a page.
func serve(t *testing.T, m *manifest, keep func([]api.Item) []api.Item) string {
	t.Helper()
	var items []api.Item
	for _, p := range m.parts {
		data, err := p.read()
		require.NoError(t, err)
		text := string(data)
		items = append(items, api.Item{Key: p.key, Value: &text})
	}
	slices.SortFunc(items, func(a, b api.Item) int { return strings.Compare(a.Key, b.Key) })
	items = keep(items)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		i := 0
		for i < len(items) && items[i].Key <= after {
			i++
		}
		page := api.Page{Items: items[i:min(i+2, len(items))], More: i+2 < len(items)}
		json.NewEncoder(w).Encode(page)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// Claim: whatever a member lacks, has too much or has wrong, the demo finds it.
func TestVerificationFindsEveryDifference(t *testing.T) {
	wrong := "wrong"
	for _, x := range []struct {
		name   string
		change func([]api.Item) []api.Item
		want   string
	}{
		{"nothing", func(i []api.Item) []api.Item { return i }, ""},
		{"a key is missing", func(i []api.Item) []api.Item { return i[1:] }, "missing"},
		{"all keys are missing", func(i []api.Item) []api.Item { return nil }, "missing"},
		{"the last key is missing", func(i []api.Item) []api.Item { return i[:3] }, "missing"},
		{"a value is wrong", func(i []api.Item) []api.Item { i[2].Value = &wrong; return i }, "other bytes"},
		{"there is a key too much", func(i []api.Item) []api.Item {
			return append(i, api.Item{Key: "zzz", Value: &wrong})
		}, "never written"},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, m := directory(t)
			good := serve(t, m, func(i []api.Item) []api.Item { return i })
			changed := serve(t, m, x.change)
			s := &story{
				Options: Options{Out: io.Discard},
				files:   m,
				cluster: &cluster{members: []*process{{id: 1}, {id: 2}}},
				client:  newClient(map[uint64]string{1: good, 2: changed}, 1),
			}
			err := s.verify(t.Context())
			if x.want == "" {
				require.NoError(t, err)
				require.Equal(t, s.digests[0].sum, s.digests[1].sum)
				return
			}
			require.ErrorContains(t, err, x.want)
		})
	}
}

// Claim: a large file becomes parts that cover it, and odd names become text.
func TestScanCutsAndNames(t *testing.T) {
	_, m := directory(t)
	require.Equal(t, 2, m.count)
	var keys []string
	total := int64(0)
	for _, p := range m.parts {
		keys = append(keys, p.key)
		total += int64(p.size)
	}
	require.Equal(t, []string{"large", "large/#1", "large/#2", "small"}, keys)
	require.Equal(t, m.bytes, total)
	require.Equal(t, "a%FFb\uFFFDc%EF", escape("a\xffb\uFFFDc\xef"))
}
