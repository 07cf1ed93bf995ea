package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/kvtest"
	"quorate.example/raft/examples/kv/internal/store"
)

// eventReader is a watch as a client sees it.
type eventReader struct {
	t     *testing.T
	lines *bufio.Scanner
}

func watch(t *testing.T, url string) eventReader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	return eventReader{t, bufio.NewScanner(resp.Body)}
}

// next returns the next event that is not a heartbeat, as "type data".
func (s eventReader) next(heartbeats bool) string {
	s.t.Helper()
	kind := ""
	for s.lines.Scan() {
		if v, ok := strings.CutPrefix(s.lines.Text(), "event: "); ok {
			kind = v
		}
		if v, ok := strings.CutPrefix(s.lines.Text(), "data: "); ok && (heartbeats || kind != "progress") {
			return kind + " " + v
		}
	}
	require.FailNow(s.t, "the stream ended")
	return ""
}

// Claim: a watch tells of what was and of what comes, of its keys only, at any member.
func TestWatchTellsOfAllChanges(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	c.Leader()
	one, two := c.Members[1].URL, c.Members[2].URL
	expect(t, "PUT", one+"/kv/a/1", "x", 200, `{"key":"a/1","revision":1}`)
	expect(t, "PUT", one+"/kv/b", "x", 200, `{"key":"b","revision":2}`)
	s := watch(t, two+"/watch?prefix=a/&revision=1")
	require.Equal(t, `put {"key":"a/1","value":"x","revision":1}`, s.next(false))
	expect(t, "DELETE", one+"/kv/a/1", "", 200, `{"deleted":true,"key":"a/1","revision":3}`)
	require.Equal(t, `delete {"key":"a/1","revision":3}`, s.next(false))
	require.Equal(t, `progress {"revision":3}`, s.next(true))
	now := watch(t, two+"/watch?key=b")
	expect(t, "PUT", one+"/kv/a/2", "x", 200, `{"key":"a/2","revision":4}`)
	expect(t, "PUT", one+"/kv/b", "y", 200, `{"key":"b","revision":5}`)
	require.Equal(t, `put {"key":"b","value":"y","revision":5}`, now.next(false))
	require.Equal(t, `put {"key":"a/2","value":"x","revision":4}`, s.next(false))
}

// Claim: a watch from a revision that the history has let go of says where the history begins.
func TestWatchFromCompactedRevision(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{HistoryChanges: 3})
	base := c.Leader().URL
	for i := 1; i <= 10; i++ {
		expect(t, "PUT", base+"/kv/a", "x", 200, fmt.Sprintf(`{"key":"a","revision":%d}`, i))
	}
	expect(t, "GET", base+"/watch?revision=7", "", 410,
		`{"error":"the history begins at revision 8","field":"revision","revision":8}`)
	require.Equal(t, `put {"key":"a","value":"x","revision":8}`, watch(t, base+"/watch?revision=8").next(false))
	expect(t, "GET", base+"/watch?revision=0", "", 400, `{"error":"want a revision from 1 on","field":"revision"}`)
	expect(t, "GET", base+"/watch?key=a&prefix=a", "", 400, `{"error":"want either key or prefix","field":"prefix"}`)
}

// Claim: a watcher that does not read costs no memory: it falls behind the history, and is told so and
// disconnected.
func TestSlowWatcherIsDisconnected(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{HistoryChanges: 4})
	base := c.Leader().URL
	s := watch(t, base+"/watch?revision=1")
	value := strings.Repeat("v", 1<<20)
	last := ""
	// The connection's buffers hold some MiB; what is beyond has to wait in the history.
	for range 24 {
		status, _, answer := call(t, "PUT", base+"/kv/a", value)
		require.Equal(t, 200, status, answer)
	}
	s.lines.Buffer(nil, 4<<20)
	for {
		if last = s.next(false); strings.HasPrefix(last, "error ") {
			break
		}
	}
	var told struct {
		Error  string
		Oldest uint64
	}
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(last, "error ")), &told))
	require.Contains(t, told.Error, "too slow")
	require.EqualValues(t, 21, told.Oldest)
	blank := s.lines.Scan() // the line that ends an event
	require.False(t, blank && s.lines.Scan(), "it is disconnected")
}

// Claim: a lock waits for its holder, and is free when the holder's lease ends.
func TestLockPassesOnWhenTheLeaseEnds(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	c.Leader()
	one, two := c.Members[1].URL, c.Members[2].URL
	expect(t, "POST", one+"/leases", `{"ttl":"1s"}`, 200, `{"id":1,"ttl":"1s","renewals":0}`)
	expect(t, "POST", one+"/leases", `{"ttl":"1h"}`, 200, `{"id":2,"ttl":"1h0m0s","renewals":0}`)
	expect(t, "POST", one+"/locks/door?lease=1", "", 200, `{"name":"door","lease":1,"revision":1}`)
	expect(t, "POST", two+"/locks/door?lease=1", "", 200, `{"name":"door","lease":1,"revision":1}`)
	expect(t, "POST", two+"/locks/door?lease=2&timeout=50ms", "", 409,
		`{"error":"somebody else holds the lock","field":"name","revision":1}`)
	expect(t, "DELETE", two+"/locks/door?lease=2", "", 409,
		`{"error":"the lease does not hold this lock","field":"lease"}`)
	begin := time.Now()
	expect(t, "POST", two+"/locks/door?lease=2", "", 200, `{"name":"door","lease":2,"revision":3}`)
	require.Less(t, time.Since(begin), 10*time.Second)
	expect(t, "GET", one+"/locks", "", 200, `{"locks":[{"name":"door","lease":2,"revision":3}]}`)
	expect(t, "GET", one+"/leases/2", "", 200, `{"id":2,"ttl":"1h0m0s","renewals":0,"keys":["lock/door"]}`)
	expect(t, "GET", one+"/leases/1", "", 404, `{"error":"there is no such lease","field":"lease"}`)
	expect(t, "DELETE", one+"/locks/door?lease=2", "", 200, `{"name":"door","released":true,"revision":4}`)
}

// Claim: a new leader gives leases their whole TTL again, and looks after them.
func TestNewLeaderLooksAfterLeases(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	old := c.Leader()
	expect(t, "POST", old.URL+"/leases", `{"ttl":"1s"}`, 200, `{"id":1,"ttl":"1s","renewals":0}`)
	expect(t, "PUT", old.URL+"/kv/a?lease=1", "x", 200, `{"key":"a","revision":1}`)
	c.Stop(old.ID)
	next := c.Running(old.ID)
	c.Leader()
	kvtest.Eventually(t, func() bool {
		code, _, _ := call(t, "GET", next.URL+"/kv/a", "")
		return code == 404
	}, "the lease does not end")
	expect(t, "GET", next.URL+"/leases", "", 200, `{"leases":[]}`)
}

// Claim: a transaction's mistakes are named by their place in it.
func TestTransactionErrorsNameTheField(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{})
	base := c.Leader().URL
	for body, want := range map[string]string{
		`{}`:                                 `{"error":"want at least one operation in then or else","field":"then"}`,
		`{"then":[{"op":"swap","key":"a"}]}`: `{"error":"want put, delete or get","field":"then[0].op"}`,
		`{"else":[{"op":"put","key":""}]}`:   `{"error":"the key is empty","field":"else[0].key"}`,
		`{"then":[{"op":"put","key":"a"},{"op":"delete","key":"a"}]}`: `{"error":"the key is written twice",` +
			`"field":"then[1].key"}`,
		`{"then":[{"op":"get","key":"a"}],"compare":[{"key":"a"}]}`: `{"error":"want one of revision, value and lease",` +
			`"field":"compare[0]"}`,
		`{"then":[{"op":"get","key":"a"}],"compare":[{"key":"a","is":"~","revision":1}]}`: `{"error":` +
			`"want =, !=, < or >","field":"compare[0].is"}`,
		`{"then":[{"op":"put","key":"a","value":"*","encoding":"base64"}]}`: `{"error":"it is not base64",` +
			`"field":"then[0].value"}`,
	} {
		status, _, answer := call(t, "POST", base+"/txn", body)
		require.Equal(t, 400, status, body)
		require.JSONEq(t, want, answer, body)
	}
}
