package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/api"
	"quorate.example/raft/examples/kv/internal/kvtest"
	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
)

// call sends one request and returns the answer's status, header and body.
func call(t *testing.T, method, url, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(data)
}

// expect sends a request whose answer must be code and, without its line end, want.
func expect(t *testing.T, method, url, body string, code int, want string) {
	t.Helper()
	status, _, answer := call(t, method, url, body)
	require.Equal(t, code, status, answer)
	require.Equal(t, want, strings.TrimSuffix(answer, "\n"))
}

// Claim: a key lives its life over HTTP, through any member.
func TestLifeOfAKey(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	c.Leader()
	one, two, three := c.Members[1].URL, c.Members[2].URL, c.Members[3].URL
	expect(t, "GET", one+"/kv/a", "", 404, `{"error":"no such key","field":"key"}`)
	expect(t, "PUT", two+"/kv/a", "hello", 200, `{"key":"a","revision":1}`)
	expect(t, "GET", three+"/kv/a", "", 200, `{"key":"a","value":"hello","revision":1}`)
	expect(t, "PUT", one+"/kv/a?revision=7", "x", 409,
		`{"error":"the key has another revision","field":"revision","revision":1}`)
	expect(t, "PUT", two+"/kv/a?revision=1", "<b>\xff", 200, `{"key":"a","revision":2}`)
	expect(t, "GET", three+"/kv/a", "", 200, `{"key":"a","value":"PGI+/w==","encoding":"base64","revision":2}`)
	expect(t, "GET", three+"/kv/a?raw", "", 200, "<b>\xff")
	expect(t, "PUT", one+"/kv/b", "", 200, `{"key":"b","revision":3}`)
	expect(t, "GET", two+"/kv?prefix=b&values", "", 200,
		`{"items":[{"key":"b","value":"","revision":3}],"revision":3,"more":false}`)
	expect(t, "GET", two+"/kv?limit=1", "", 200,
		`{"items":[{"key":"a","revision":2}],"revision":3,"more":true}`)
	expect(t, "GET", two+"/kv?limit=1&after=a", "", 200,
		`{"items":[{"key":"b","revision":3}],"revision":3,"more":false}`)
	expect(t, "DELETE", three+"/kv/b?revision=1", "", 409,
		`{"error":"the key has another revision","field":"revision","revision":3}`)
	expect(t, "DELETE", three+"/kv/b", "", 200, `{"deleted":true,"key":"b","revision":4}`)
	expect(t, "DELETE", three+"/kv/b", "", 200, `{"deleted":false,"key":"b","revision":4}`)
	expect(t, "PUT", three+"/kv/b?revision=0", "again", 200, `{"key":"b","revision":5}`)
	for _, key := range []string{"..", "a//b", "/", "ü", "per%cent", "que?ry#hash", "members", "nul\x00"} {
		path := "/kv/" + url.PathEscape(key)
		status, _, _ := call(t, "PUT", one+path, key)
		require.Equal(t, 200, status, key)
		expect(t, "GET", two+path+"?raw", "", 200, key)
	}
}

// Claim: wrong input is refused with a JSON error that names the field.
func TestWrongInputNamesTheField(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{})
	base := c.Leader().URL
	for _, x := range []struct {
		method, path, body string
		code               int
		field              string
	}{
		{"GET", "/nowhere", "", 404, "path"},
		{"GET", "/kv/missing", "", 404, "key"},
		{"GET", "/kv/", "", 400, "key"},
		{"PUT", "/kv/%ff", "x", 400, "key"},
		{"PUT", "/kv/" + strings.Repeat("k", 4097), "x", 400, "key"},
		{"POST", "/kv/a", "x", 405, "method"},
		{"PUT", "/kv/a?revison=1", "x", 400, "revison"},
		{"PUT", "/kv/a?revision=-1", "x", 400, "revision"},
		{"PUT", "/kv/a?revision=99999999999999999999", "x", 400, "revision"},
		{"GET", "/kv/a?stale=maybe", "", 400, "stale"},
		{"GET", "/kv/a?timeout=never", "", 400, "timeout"},
		{"GET", "/kv/a?timeout=2h", "", 400, "timeout"},
		{"GET", "/kv?limit=0", "", 400, "limit"},
		{"GET", "/kv?limit=1000000", "", 400, "limit"},
		{"GET", "/kv?%zz", "", 400, "query"},
		{"PUT", "/kv/a", strings.Repeat("x", 1<<20+1), 413, "body"},
		{"POST", "/members", "", 400, "body"},
		{"POST", "/members", "{", 400, "body"},
		{"POST", "/members", `{"id":2,"address":"127.0.0.1:9"} x`, 400, "body"},
		{"POST", "/members", `{"id":"2"}`, 400, "id"},
		{"POST", "/members", `{"id":2,"adress":"x:1"}`, 400, "body"},
		{"POST", "/members", `{"address":"x:1"}`, 400, "id"},
		{"POST", "/members", `{"id":18446744073709551615,"address":"x:1"}`, 400, "id"},
		{"POST", "/members", `{"id":2,"address":"x"}`, 400, "address"},
		{"POST", "/members", `{"id":2,"address":"x:0"}`, 400, "address"},
		{"POST", "/members", `{"id":1,"address":"x:1"}`, 409, "id"},
		{"POST", "/members", `{"address":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "body"},
		{"POST", "/members/9/promote", "", 404, "id"},
		{"POST", "/members/1/promote", "", 409, "id"},
		{"POST", "/members/x/promote", "", 400, "id"},
		{"DELETE", "/members/9", "", 404, "id"},
		{"DELETE", "/members/1", "", 409, "id"},
		{"GET", "/members/1", "", 405, "method"},
		{"POST", "/leader", `{"id":9}`, 404, "id"},
		{"POST", "/leader", `{}`, 400, "id"},
	} {
		t.Run(fmt.Sprintf("%s %.40s", x.method, x.path), func(t *testing.T) {
			status, header, body := call(t, x.method, base+x.path, x.body)
			require.Equal(t, x.code, status, body)
			require.Equal(t, "application/json", header.Get("Content-Type"))
			var answer struct{ Error, Field string }
			require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
			require.NotEmpty(t, answer.Error)
			require.Equal(t, x.field, answer.Field, body)
			if status == http.StatusMethodNotAllowed {
				require.NotEmpty(t, header.Get("Allow"))
			}
		})
	}
}

// Claim: a body over the limit is refused too if its length is not announced.
func TestChunkedBodyIsLimited(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{})
	m := c.Leader()
	server := httptest.NewServer(api.New(api.Config{
		Member: m.Member, Store: m.Store, Metrics: metrics.New("1"), MaxBody: 10,
	}))
	defer server.Close()
	body := struct{ io.Reader }{strings.NewReader("more than ten bytes")}
	req, err := http.NewRequestWithContext(t.Context(), "PUT", server.URL+"/kv/a", body)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

// Claim: without a leader a request gets 503 and Retry-After at its deadline; a stale read and the
// status need none.
func TestNoLeaderIsUnavailable(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	leader := c.Leader()
	expect(t, "PUT", leader.URL+"/kv/a", "1", 200, `{"key":"a","revision":1}`)
	for id := range c.Members {
		if id != leader.ID {
			c.Stop(id)
		}
	}
	kvtest.Eventually(t, func() bool {
		status, _, _ := call(t, "GET", leader.URL+"/healthz?ready", "")
		return status == http.StatusServiceUnavailable
	}, "it still leads")
	for _, request := range []string{
		"GET /kv/a", "GET /kv", "PUT /kv/a", "DELETE /kv/a", "GET /members", "DELETE /members/2",
	} {
		method, path, _ := strings.Cut(request, " ")
		status, header, body := call(t, method, leader.URL+path+"?timeout=50ms", "x")
		require.Equal(t, http.StatusServiceUnavailable, status, "%s: %s", request, body)
		require.Equal(t, "1", header.Get("Retry-After"))
	}
	expect(t, "GET", leader.URL+"/kv/a?stale", "", 200, `{"key":"a","value":"1","revision":1}`)
	status, _, body := call(t, "GET", leader.URL+"/status", "")
	require.Equal(t, 200, status, body)
	status, _, body = call(t, "GET", leader.URL+"/healthz", "")
	require.Equal(t, 200, status, body)
}

// Claim: members can be listed, added, promoted, made leader and removed over HTTP.
func TestMembersOverHTTP(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	c.Leader()
	base := c.Members[1].URL
	address := c.Prepare(4)
	c.Start(4)
	status, _, body := call(t, "POST", base+"/members", fmt.Sprintf(`{"id":4,"address":%q}`, address))
	require.Equal(t, 200, status, body)
	expect(t, "POST", base+"/members/4/promote", "", 200, `{"id":4,"role":"voter"}`)
	expect(t, "POST", base+"/leader", `{"id":4}`, 200, `{"leader":4}`)
	expect(t, "DELETE", base+"/members/4", "", 200, `{"id":4,"removed":true}`)
	status, _, body = call(t, "GET", base+"/members", "")
	require.Equal(t, 200, status)
	var answer struct{ Members []struct{ ID uint64 } }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Len(t, answer.Members, 3)
}

// Claim: the metrics show where the member stands and what it was asked.
func TestMetricsShowRequests(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{})
	m := c.Leader()
	expect(t, "PUT", m.URL+"/kv/a", "1", 200, `{"key":"a","revision":1}`)
	kvtest.Eventually(t, func() bool {
		status, _, body := call(t, "GET", m.URL+"/metrics", "")
		return status == 200 && strings.Contains(body, `kv_raft_is_leader{member="1"} 1`) &&
			strings.Contains(body, `kv_http_requests_total{code="200",member="1",route="/kv/"} 1`) &&
			strings.Contains(body, `kv_proposals_total{member="1",outcome="applied"} 1`)
	}, "the metrics lack something")
}
