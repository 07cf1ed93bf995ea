package client_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/client"
)

// endpoint serves h and counts the requests.
func endpoint(t *testing.T, h http.HandlerFunc) (string, *atomic.Int64) {
	t.Helper()
	n := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), n
}

func answer(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func breaks(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// Claim: a write goes to the next member when it surely was not made, and is never sent twice otherwise.
func TestUncertainWriteIsNotRepeated(t *testing.T) {
	const none, unknown = `{"error":"e","outcome":"none"}`, `{"error":"e","outcome":"unknown"}`
	for _, c := range []struct {
		name       string
		first      http.HandlerFunc // nil: nobody listens
		method     string
		repeatable bool
		want       error
	}{
		{"nobody there", nil, "PUT", false, nil},
		{"not made", answer(503, none), "PUT", false, nil},
		{"may be made", answer(503, unknown), "PUT", false, client.ErrUnknown},
		{"breaks", breaks, "PUT", false, client.ErrUnknown},
		{"breaks a deletion", breaks, "DELETE", false, client.ErrUnknown},
		{"breaks a post", breaks, "POST", false, client.ErrUnknown},
		{"cut answer", answer(200, `{"x":`), "PUT", false, client.ErrUnknown},
		{"may be made, repeatable", answer(503, unknown), "POST", true, nil},
		{"breaks, repeatable", breaks, "POST", true, nil},
		{"breaks a read", breaks, "GET", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := nobody(t)
			if c.first != nil {
				first, _ = endpoint(t, c.first)
			}
			second, asked := endpoint(t, answer(200, `{"x":1}`))
			kv := client.New(client.Config{Endpoints: []string{first, second}, Timeout: 5 * time.Second})
			defer kv.Close()
			var out struct{ X int }
			err := kv.Do(t.Context(), client.Call{
				Method: c.method, Path: "/kv/a", Body: []byte("v"), Repeatable: c.repeatable,
			}, &out)
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				require.Zero(t, asked.Load())
				return
			}
			require.EqualValues(t, 1, asked.Load())
			require.Equal(t, 1, out.X)
		})
	}
}

// Claim: what a member refuses for good is not asked of the next one.
func TestRefusalIsFinal(t *testing.T) {
	first, _ := endpoint(t, answer(409, `{"error":"no","field":"revision","revision":3}`))
	second, asked := endpoint(t, answer(200, `{}`))
	kv := client.New(client.Config{Endpoints: []string{first, second}})
	defer kv.Close()
	err := kv.Do(t.Context(), client.Call{Method: "PUT", Path: "/kv/a"}, nil)
	var refused *client.StatusError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "revision: no (revision 3)", refused.Error())
	require.Zero(t, asked.Load())
}

// Claim: without anybody who answers a call ends in time.
func TestUnavailableEndsInTime(t *testing.T) {
	kv := client.New(client.Config{Endpoints: []string{nobody(t)}, Timeout: 200 * time.Millisecond})
	defer kv.Close()
	err := kv.Do(t.Context(), client.Call{Method: "PUT", Path: "/kv/a"}, nil)
	require.ErrorIs(t, err, client.ErrUnavailable)
}

// Claim: a watch goes on at another member, after the last revision that it got whole.
func TestWatchGoesOnElsewhere(t *testing.T) {
	events := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, text, r.URL.Query().Get("revision")) }
	}
	first, _ := endpoint(t, events("id: 7\nevent: put\ndata: {\"key\":\"from %s\",\"revision\":7}\n\n"+
		"event: put\ndata: {\"key\":\"half\",\"revision\":8}\n\n"))
	second, _ := endpoint(t, events("id: 8\nevent: delete\ndata: {\"key\":\"from %s\",\"revision\":8}\n\n"))
	kv := client.New(client.Config{Endpoints: []string{first, second}})
	defer kv.Close()
	enough := errors.New("enough")
	var got []string
	err := kv.Watch(t.Context(), client.WatchOptions{From: 5}, func(e client.Event) error {
		if got = append(got, fmt.Sprint(e.Kind, " ", e.Key, " ", e.Revision)); len(got) == 3 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, []string{"put from 5 7", "put half 8", "delete from 8 8"}, got)
}
