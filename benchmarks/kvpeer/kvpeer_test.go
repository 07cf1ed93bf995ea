package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func request(t *testing.T, method, url, body string) (int, string) {
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

// member starts a member behind a front whose address the others know.
func member(t *testing.T, extra ...string) (*node, string) {
	front := httptest.NewUnstartedServer(nil)
	o, err := parse(append([]string{"-http", front.Listener.Addr().String()}, extra...))
	require.NoError(t, err)
	n, err := newNode(o)
	require.NoError(t, err)
	front.Config.Handler = newAPI(n, o)
	front.Start()
	t.Cleanup(func() {
		front.Close()
		require.NoError(t, n.close())
	})
	return n, front.URL
}

func TestOneMemberAnswersWhatWasPutWithEitherLogAndAfterARestart(t *testing.T) {
	for _, log := range []string{"boltdb", "wal"} {
		t.Run(log, func(t *testing.T) {
			data, address := t.TempDir(), freeAddress(t)
			flags := []string{"-id", "1", "-data", data, "-log", log, "-listen", address, "-bootstrap", "1=" + address}
			t.Run("first life", func(t *testing.T) {
				n, url := member(t, flags...)
				code, body := request(t, http.MethodPut, url+"/kv/a", "one")
				require.Equal(t, http.StatusOK, code, body)
				require.JSONEq(t, `{"key": "a", "revision": 1}`, body)
				require.NoError(t, n.raft.Snapshot().Error())
				code, body = request(t, http.MethodPut, url+"/kv/a", "two")
				require.Equal(t, http.StatusOK, code, body)
			})
			_, url := member(t, flags...)
			code, body := request(t, http.MethodGet, url+"/kv/a?raw", "")
			require.Equal(t, http.StatusOK, code, body)
			require.Equal(t, "two", body)
			code, _ = request(t, http.MethodGet, url+"/kv/b?raw", "")
			require.Equal(t, http.StatusNotFound, code)
			var st status
			_, body = request(t, http.MethodGet, url+"/status", "")
			require.NoError(t, json.Unmarshal([]byte(body), &st))
			require.Equal(t, uint64(2), st.Revision)
			require.Equal(t, uint64(1), st.Leader)
		})
	}
}

func TestAnyOfThreeMembersAnswersAnyRequest(t *testing.T) {
	var first []string
	addresses := make([]string, 3)
	for i, id := range []string{"1", "2", "3"} {
		addresses[i] = freeAddress(t)
		first = append(first, id+"="+addresses[i])
	}
	var urls []string
	var nodes []*node
	for i, id := range []string{"1", "2", "3"} {
		n, url := member(t, "-id", id, "-data", t.TempDir(), "-listen", addresses[i],
			"-bootstrap", strings.Join(first, ","))
		urls, nodes = append(urls, url), append(nodes, n)
	}
	for i, url := range urls {
		value := string(rune('a' + i))
		code, body := request(t, http.MethodPut, url+"/kv/key?timeout=30s", value)
		require.Equal(t, http.StatusOK, code, body)
		for _, other := range urls {
			code, body := request(t, http.MethodGet, other+"/kv/key?raw&timeout=30s", "")
			require.Equal(t, http.StatusOK, code, body)
			require.Equal(t, value, body)
		}
	}
	require.Eventually(t, func() bool {
		for _, n := range nodes {
			if _, revision, err := n.machine.get("key"); err != nil || revision != 3 {
				return false
			}
		}
		return true
	}, 30*time.Second, 10*time.Millisecond)
}

func TestASnapshotBringsTheWholeState(t *testing.T) {
	from, err := openMachine(t.TempDir())
	require.NoError(t, err)
	defer from.db.Close()
	to, err := openMachine(t.TempDir())
	require.NoError(t, err)
	defer to.db.Close()
	require.Equal(t, uint64(1), from.Apply(entry(1, encodePut("a", []byte("one")))))
	require.Equal(t, uint64(2), from.Apply(entry(2, encodePut("b", nil))))
	require.Nil(t, from.Apply(entry(3, encodeLeader("here"))))
	require.Equal(t, uint64(1), to.Apply(entry(1, encodePut("gone", []byte("x")))))

	snapshot, err := from.Snapshot()
	require.NoError(t, err)
	defer snapshot.Release()
	var content bytes.Buffer
	require.NoError(t, snapshot.(*view).write(&content))
	require.NoError(t, to.Restore(io.NopCloser(&content)))

	value, revision, err := to.get("a")
	require.NoError(t, err)
	require.Equal(t, "one", string(value))
	require.Equal(t, uint64(1), revision)
	_, revision, err = to.get("gone")
	require.NoError(t, err)
	require.Zero(t, revision)
	require.Equal(t, "here", *to.leader.Load())
	require.Nil(t, to.Apply(entry(3, encodePut("a", []byte("again")))), "an entry that is in the state already")
	require.Equal(t, uint64(3), to.Apply(entry(4, encodePut("a", []byte("new")))))
}

func entry(index uint64, data []byte) *raft.Log { return &raft.Log{Index: index, Data: data} }
