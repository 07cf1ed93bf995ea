package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/api"
	"quorate.example/raft/examples/kv/internal/kvtest"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/stream"
)

// Claim: requests of a stream mean what the same requests over HTTP mean, through any member, errors included.
func TestLifeOfAKeyInAStream(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	c.Leader()
	for _, m := range c.Members {
		conn, err := stream.Dial(t.Context(), strings.TrimPrefix(m.URL, "http://"), nil, kvtest.Patience)
		require.NoError(t, err)
		defer conn.Close()
		do := func(r stream.Request) stream.Answer {
			answer, err := conn.Do(t.Context(), &r, stream.NewCall())
			require.NoError(t, err)
			return answer
		}
		never := uint64(0)
		key := "key of " + m.Address
		require.Equal(t, 404, do(stream.Request{Op: stream.OpGet, Key: key}).Code)
		put := do(stream.Request{Op: stream.OpPut, Key: key, Value: []byte("\xffvalue"), Expect: &never})
		require.Equal(t, 200, put.Code)
		require.NotZero(t, put.Revision)
		got := do(stream.Request{Op: stream.OpGet, Key: key})
		require.Equal(t, stream.Answer{Code: 200, Revision: put.Revision, Body: []byte("\xffvalue")}, got)
		require.Equal(t, got, do(stream.Request{Op: stream.OpGet, Key: key, Stale: true}))
		conflict := do(stream.Request{Op: stream.OpPut, Key: key, Expect: &never})
		require.Equal(t, 409, conflict.Code)
		require.Contains(t, string(conflict.Body), `"field":"revision"`)
		require.Equal(t, 404, do(stream.Request{Op: stream.OpPut, Key: key, Lease: 77}).Code)
		gone := do(stream.Request{Op: stream.OpDelete, Key: key, Expect: &put.Revision})
		require.Equal(t, 200, gone.Code)
		require.True(t, gone.Changed)
		require.False(t, do(stream.Request{Op: stream.OpDelete, Key: key}).Changed)
		require.Equal(t, 400, do(stream.Request{Op: stream.OpPut, Key: ""}).Code)
		require.Equal(t, 413, do(stream.Request{Op: stream.OpPut, Key: "k", Value: make([]byte, 1<<20+1)}).Code)
		_, _, metrics := call(t, "GET", m.URL+"/metrics", "")
		require.Contains(t, metrics, `route="/stream"`)
	}
}

// Claim: without a leader a request of a stream ends at its deadline, and says that nothing was changed.
func TestStreamWithoutALeader(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	leader := c.Leader().ID
	var left *kvtest.Member
	for id, m := range c.Members {
		if id == leader || left != nil {
			c.Stop(id)
			continue
		}
		left = m
	}
	conn, err := stream.Dial(t.Context(), strings.TrimPrefix(left.URL, "http://"), nil, kvtest.Patience)
	require.NoError(t, err)
	defer conn.Close()
	answer, err := conn.Do(t.Context(),
		&stream.Request{Op: stream.OpGet, Key: "k", Timeout: 50 * time.Millisecond}, stream.NewCall())
	require.NoError(t, err)
	require.Equal(t, 503, answer.Code)
	require.Contains(t, string(answer.Body), `"outcome":"`+api.OutcomeNone+`"`)
}

// Claim: a request for the stream that does not ask for the protocol is told which one there is.
func TestStreamWantsItsProtocol(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{})
	status, header, _ := call(t, "GET", c.Leader().URL+"/stream", "")
	require.Equal(t, 426, status)
	require.Equal(t, stream.Protocol, header.Get("Upgrade"))
}
