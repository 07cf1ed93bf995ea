package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var limits = Limits{Frame: 1 << 20, Requests: 8, Bytes: 1 << 20, Stalled: 10 * time.Second}

// pair returns a client of a connection that handler serves, and what Serve returns.
func pair(t *testing.T, limits Limits, handler Handler) (*Client, <-chan error) {
	t.Helper()
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, from, err := http.NewResponseController(w).Hijack()
		if err != nil {
			ended <- err
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+Protocol+"\r\n\r\n")
		ended <- Serve(context.Background(), conn, from, limits, handler)
	}))
	t.Cleanup(server.Close)
	c, err := Dial(t.Context(), strings.TrimPrefix(server.URL, "http://"), nil, 10*time.Second)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, ended
}

func echo(_ context.Context, r *Request) Answer {
	return Answer{Code: 200, Revision: r.Lease, Changed: r.Stale, Body: append([]byte(r.Key), r.Value...)}
}

// Claim: every field of a request and of an answer arrives as it was sent.
func TestFramesKeepTheirFields(t *testing.T) {
	seven := uint64(7)
	for _, r := range []Request{
		{Op: OpGet, Key: "k", Stale: true, Value: []byte{}},
		{Op: OpPut, Key: "ключ\x00", Value: []byte("value"), Lease: 1 << 60, Timeout: 1500 * time.Millisecond},
		{Op: OpDelete, Key: "", Value: []byte{}, Expect: &seven},
	} {
		number, parsed, err := parseRequest(appendRequest(nil, 9, &r)[lengthBytes:])
		require.NoError(t, err)
		require.EqualValues(t, 9, number)
		require.Equal(t, r, parsed)
	}
	a := Answer{Code: 409, Revision: 12, Changed: true, Body: []byte("body")}
	number, parsed, err := parseAnswer(appendAnswer(nil, 1<<40, &a)[lengthBytes:])
	require.NoError(t, err)
	require.EqualValues(t, uint64(1)<<40, number)
	require.Equal(t, a, parsed)
}

// Claim: no bytes make the parsers panic, and what they take means the same when it is written again.
func FuzzFrames(f *testing.F) {
	expect := uint64(3)
	f.Add(appendRequest(nil, 1, &Request{Op: OpPut, Key: "k", Value: []byte("v"), Expect: &expect})[lengthBytes:])
	f.Add(appendAnswer(nil, 1, &Answer{Code: 200, Revision: 5})[lengthBytes:])
	f.Fuzz(func(t *testing.T, data []byte) {
		if number, r, err := parseRequest(data); err == nil {
			again, same, err := parseRequest(appendRequest(nil, number, &r)[lengthBytes:])
			require.NoError(t, err)
			require.Equal(t, number, again)
			require.Equal(t, r, same)
		}
		if number, a, err := parseAnswer(data); err == nil {
			again, same, err := parseAnswer(appendAnswer(nil, number, &a)[lengthBytes:])
			require.NoError(t, err)
			require.Equal(t, number, again)
			require.Equal(t, a, same)
		}
	})
}

// Claim: many callers share a connection, and each gets its own answer.
func TestCallersShareAConnection(t *testing.T) {
	c, _ := pair(t, limits, echo)
	var running sync.WaitGroup
	for i := range 64 {
		running.Go(func() {
			call := NewCall()
			for k := range 50 {
				key := fmt.Sprint(i, "/", k)
				answer, err := c.Do(t.Context(), &Request{Op: OpPut, Key: key, Value: bytes.Repeat([]byte{byte(i)}, k)}, call)
				if err != nil || string(answer.Body[:len(key)]) != key || len(answer.Body) != len(key)+k {
					t.Errorf("%s: %v %q", key, err, answer.Body)
				}
			}
		})
	}
	running.Wait()
}

// Claim: answers come in any order: a slow request does not hold up those after it.
func TestSlowRequestHoldsUpNobody(t *testing.T) {
	gate := make(chan struct{})
	c, _ := pair(t, limits, func(ctx context.Context, r *Request) Answer {
		if r.Key == "slow" {
			<-gate
		}
		return echo(ctx, r)
	})
	slow := make(chan error, 1)
	go func() {
		_, err := c.Do(t.Context(), &Request{Op: OpGet, Key: "slow"}, NewCall())
		slow <- err
	}()
	for range 20 {
		_, err := c.Do(t.Context(), &Request{Op: OpGet, Key: "quick"}, NewCall())
		require.NoError(t, err)
	}
	close(gate)
	require.NoError(t, <-slow)
}

// Claim: no more requests than the limit are under way; the others wait.
func TestRequestsAreLimited(t *testing.T) {
	var under, most atomic.Int64
	full, gate := make(chan struct{}), make(chan struct{})
	c, _ := pair(t, limits, func(ctx context.Context, r *Request) Answer {
		n := under.Add(1)
		if n == int64(limits.Requests) && most.Swap(n) < n {
			close(full)
		}
		<-gate
		defer under.Add(-1)
		if n > int64(limits.Requests) {
			return Answer{Code: 500}
		}
		return echo(ctx, r)
	})
	var running sync.WaitGroup
	for range 5 * limits.Requests {
		running.Go(func() {
			answer, err := c.Do(t.Context(), &Request{Op: OpGet, Key: "k"}, NewCall())
			if err != nil || answer.Code != 200 {
				t.Errorf("%v %v", answer.Code, err)
			}
		})
	}
	<-full
	close(gate)
	running.Wait()
}

// Claim: a frame that is too large or malformed ends the connection, with an answer that says why; requests that
// were under way are answered before.
func TestBrokenFramesAreRefused(t *testing.T) {
	for name, frame := range map[string][]byte{
		"too large": {0xff, 0xff, 0xff, 0xff},
		"malformed": {0, 0, 0, 2, 1, 77},
		"number 0":  appendRequest(nil, 0, &Request{Op: OpGet, Key: "k"}),
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			ended := make(chan error, 1)
			go func() { ended <- Serve(context.Background(), far, far, limits, echo) }()
			go near.Write(append(appendRequest(nil, 1, &Request{Op: OpGet, Key: "k"}), frame...))
			from := bufio.NewReader(near)
			seen := map[uint64]int{}
			for range 2 {
				data, err := readFrame(from, nil, maxAnswer)
				require.NoError(t, err)
				number, answer, err := parseAnswer(data)
				require.NoError(t, err)
				seen[number] = answer.Code
			}
			require.Equal(t, map[uint64]int{0: 400, 1: 200}, seen)
			require.Error(t, <-ended)
			_, err := near.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

// Claim: when the client leaves, its requests are told, and Serve returns when none is left.
func TestRequestsEndWithTheConnection(t *testing.T) {
	begun := make(chan struct{})
	c, ended := pair(t, limits, func(ctx context.Context, _ *Request) Answer {
		close(begun)
		<-ctx.Done()
		return Answer{Code: 503}
	})
	result := make(chan error, 1)
	go func() {
		_, err := c.Do(t.Context(), &Request{Op: OpGet, Key: "k"}, NewCall())
		result <- err
	}()
	<-begun
	c.Close()
	require.ErrorIs(t, <-result, ErrClosed)
	<-ended
	require.ErrorIs(t, c.Err(), ErrClosed)
	_, err := c.Do(t.Context(), &Request{Op: OpGet, Key: "k"}, NewCall())
	require.ErrorIs(t, err, ErrClosed)
}

// Claim: a client that reads no answers loses the connection, instead of having them pile up.
func TestClientThatDoesNotReadIsLetGo(t *testing.T) {
	near, far := net.Pipe()
	stalls := limits
	stalls.Stalled = 50 * time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- Serve(context.Background(), far, far, stalls, echo) }()
	_, err := near.Write(appendRequest(nil, 1, &Request{Op: OpGet, Key: "k"}))
	require.NoError(t, err)
	require.Error(t, <-ended)
}

// Claim: a call ends with its context, and its answer, should it come later, goes to nobody else.
func TestCallEndsWithItsContext(t *testing.T) {
	gate, begun := make(chan struct{}), make(chan struct{})
	c, _ := pair(t, limits, func(ctx context.Context, r *Request) Answer {
		if r.Key == "slow" {
			close(begun)
			<-gate
		}
		return echo(ctx, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	call := NewCall()
	result := make(chan error, 1)
	go func() {
		_, err := c.Do(ctx, &Request{Op: OpGet, Key: "slow"}, call)
		result <- err
	}()
	<-begun
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	close(gate)
	answer, err := c.Do(t.Context(), &Request{Op: OpGet, Key: "next"}, call)
	require.NoError(t, err)
	require.Equal(t, "next", string(answer.Body))
}

// Claim: a server from which nothing comes while a request waits is given up.
func TestSilentServerIsGivenUp(t *testing.T) {
	gate := make(chan struct{})
	c, _ := pair(t, limits, func(ctx context.Context, r *Request) Answer {
		<-gate
		return echo(ctx, r)
	})
	defer close(gate)
	c.patience = 50 * time.Millisecond
	_ = c.conn.SetReadDeadline(time.Now()) // the read that waits already has the old patience
	_, err := c.Do(t.Context(), &Request{Op: OpGet, Key: "k"}, NewCall())
	require.ErrorContains(t, err, "timeout")
}

// Claim: a stream runs over TLS as well, and a server that cannot prove who it is gets no requests.
func TestStreamOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, from, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+Protocol+"\r\n\r\n")
		Serve(context.Background(), conn, from, limits, echo)
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "https://")
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig
	c, err := Dial(t.Context(), address, trust, 10*time.Second)
	require.NoError(t, err)
	defer c.Close()
	answer, err := c.Do(t.Context(), &Request{Op: OpPut, Key: "k", Value: make([]byte, 100_000)}, NewCall())
	require.NoError(t, err)
	require.Len(t, answer.Body, 100_001)
	_, err = Dial(t.Context(), address, &tls.Config{}, 10*time.Second)
	require.Error(t, err)
}

// Claim: a server without the protocol is told from one that cannot be reached.
func TestServerWithoutTheProtocol(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := Dial(t.Context(), strings.TrimPrefix(server.URL, "http://"), nil, time.Second)
	require.ErrorIs(t, err, ErrNotOffered)
	server.Close()
	_, err = Dial(t.Context(), strings.TrimPrefix(server.URL, "http://"), nil, time.Second)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNotOffered)
}
