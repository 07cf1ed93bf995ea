package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/stream"
)

// Claim: operations that failed have no latency, and are counted by kind.
func TestErrorsHaveNoLatency(t *testing.T) {
	s := newSample()
	s.record(2*time.Millisecond, false, "")
	s.record(4*time.Millisecond, true, "")
	s.record(time.Microsecond, false, "503")
	s.record(time.Microsecond, true, "connection")
	s.Took = 2 * time.Second
	require.Equal(t, map[string]int64{"503": 1, "connection": 1}, s.Errors)
	require.EqualValues(t, 1, s.Reads)
	require.EqualValues(t, 1, s.Writes)
	require.EqualValues(t, 2, s.failed())
	require.InDelta(t, 1.0, s.rate(), 1e-9)
	require.InEpsilon(t, float64(2*time.Millisecond), float64(s.quantile(50)), 0.01)
	require.InEpsilon(t, float64(4*time.Millisecond), float64(s.quantile(100)), 0.01)
}

// Claim: a latency outside of the histogram's range is recorded at its edge and not lost.
func TestExtremeLatenciesAreKept(t *testing.T) {
	s := newSample()
	s.record(0, false, "")
	s.record(time.Hour, false, "")
	require.EqualValues(t, 2, s.latencies.TotalCount())
	require.InEpsilon(t, float64(longest), float64(s.quantile(100)), 0.01)
}

// Claim: what several clients saw in the same time adds up.
func TestSamplesMerge(t *testing.T) {
	a, b := newSample(), newSample()
	for range 99 {
		a.record(time.Millisecond, false, "")
	}
	b.record(time.Second, true, "")
	b.record(0, true, "404")
	all := merge([]Sample{a, b}, 10*time.Second)
	require.InDelta(t, 10.0, all.rate(), 1e-9)
	require.InEpsilon(t, float64(time.Millisecond), float64(all.quantile(99)), 0.01)
	require.InEpsilon(t, float64(time.Second), float64(all.quantile(100)), 0.01)
	require.EqualValues(t, 1, all.failed())
}

// Claim: the median stands for the rounds, and comparisons are made of medians.
func TestReportComparesMedians(t *testing.T) {
	require.Zero(t, median(nil))
	require.InDelta(t, 2.0, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 1.5, median([]float64{2, 1}), 0)
	r := &Report{Results: []*Result{{Name: "kv"}, {Name: "pebble"}}}
	for _, n := range []int{3, 10, 4} {
		r.Results[0].add(someWrites(n, 2*time.Millisecond))
		r.Results[1].add(someWrites(2*n, time.Millisecond))
	}
	r.finish()
	require.InDelta(t, 4.0, r.Results[0].Rate, 1e-9)
	require.Len(t, r.Ratios, 1)
	require.InDelta(t, 0.5, r.Ratios[0].Rate, 1e-9)
	require.InEpsilon(t, 2.0, r.Ratios[0].P99, 0.01)
	var table, object bytes.Buffer
	require.NoError(t, r.WriteTable(&table))
	require.Contains(t, table.String(), "kv has 50 % of the rate of pebble, and 200 % of its p99")
	require.NoError(t, r.WriteJSON(&object))
	var parsed struct {
		Ratios []Ratio `json:"ratios"`
	}
	require.NoError(t, json.Unmarshal(object.Bytes(), &parsed))
	require.Equal(t, r.Ratios, parsed.Ratios)
}

func someWrites(n int, took time.Duration) Sample {
	s := newSample()
	s.Took = time.Second
	for range n {
		s.record(took, false, "")
	}
	return s
}

// fakeMember is a member that says it leads, and stores nothing.
type fakeMember struct {
	*httptest.Server
	puts, gets, stale atomic.Int64
	refuse            atomic.Bool
	largest           atomic.Int64
	shares            bool // offers streams
}

func newFakeMember(t *testing.T) *fakeMember {
	t.Helper()
	m := &fakeMember{}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.Close)
	return m
}

func (m *fakeMember) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == stream.Path && m.shares:
		m.serveStream(w)
	case r.URL.Path == stream.Path:
		w.WriteHeader(http.StatusNotFound)
	case r.URL.Path == "/status":
		io.WriteString(w, `{"id":7,"leader":7}`)
	case m.refuse.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		m.largest.Store(int64(len(body)))
		m.puts.Add(1)
	default:
		m.gets.Add(1)
		if r.URL.Query().Has("stale") {
			m.stale.Add(1)
		}
		w.WriteHeader(http.StatusNotFound)
	}
}

func (m *fakeMember) serveStream(w http.ResponseWriter) {
	conn, from, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: "+stream.Protocol+"\r\n\r\n")
	limits := stream.Limits{Frame: 1 << 20, Requests: 100, Bytes: 1 << 20, Stalled: time.Second}
	stream.Serve(context.Background(), conn, from, limits, func(_ context.Context, r *stream.Request) stream.Answer {
		if m.refuse.Load() {
			return stream.Answer{Code: http.StatusServiceUnavailable}
		}
		if r.Op == stream.OpPut {
			m.largest.Store(int64(len(r.Value)))
			m.puts.Add(1)
			return stream.Answer{Code: http.StatusOK}
		}
		m.gets.Add(1)
		return stream.Answer{Code: http.StatusNotFound}
	})
}

func (m *fakeMember) address() string { return strings.TrimPrefix(m.URL, "http://") }

func options(m *fakeMember) Options {
	return Options{
		Endpoints: []string{m.address()}, Rounds: 1, Progress: io.Discard,
		Load: Load{Clients: 4, Size: 100, Keys: 10, For: 50 * time.Millisecond},
	}
}

// Claim: a closed loop writes values of the size it is told through as many clients as it is told.
func TestClosedLoop(t *testing.T) {
	m := newFakeMember(t)
	report, err := Run(t.Context(), options(m))
	require.NoError(t, err)
	require.Positive(t, report.Results[0].Writes)
	require.Zero(t, report.Results[0].Reads)
	require.Empty(t, report.Results[0].Errors)
	require.EqualValues(t, 100, m.largest.Load())
	require.Equal(t, m.puts.Load(), report.Results[0].Writes)
}

// Claim: clients share connections if the member offers that, and use plain HTTP if it does not; the report says
// which it was.
func TestClientsShareConnections(t *testing.T) {
	for _, offered := range []bool{true, false} {
		m := newFakeMember(t)
		m.shares = offered
		o := options(m)
		o.Connections, o.ReadShare = 2, 0.5
		report, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Empty(t, report.Results[0].Errors)
		require.Positive(t, report.Results[0].Writes)
		require.Equal(t, m.gets.Load(), report.Results[0].Reads)
		require.EqualValues(t, 100, m.largest.Load())
		want := "4 HTTP"
		if offered {
			want = "2 shared"
		}
		require.Equal(t, want, report.Results[0].Connections)
		m.refuse.Store(true)
		o.ReadShare = 0
		report, err = Run(t.Context(), o)
		require.NoError(t, err)
		require.Positive(t, report.Results[0].Errors["503"])
	}
}

// Claim: reads have the share they are told; keys are written first, outside of the measured time.
func TestReadShare(t *testing.T) {
	m := newFakeMember(t)
	o := options(m)
	o.ReadShare, o.Stale = 1, true
	report, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.EqualValues(t, o.Keys, m.puts.Load())
	require.Zero(t, report.Results[0].Writes)
	require.Equal(t, m.gets.Load(), report.Results[0].Reads)
	require.Equal(t, m.gets.Load(), m.stale.Load())
}

// Claim: an open loop asks as often as it is told, however quick the answers are.
func TestOpenLoopKeepsItsRate(t *testing.T) {
	m := newFakeMember(t)
	o := options(m)
	o.Rate, o.For = 200, 100*time.Millisecond
	report, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.EqualValues(t, 20, report.Results[0].Writes+report.Results[0].all.failed())
}

// Claim: a cluster that refuses is reported with the status that it answers.
func TestRefusalsAreCounted(t *testing.T) {
	m := newFakeMember(t)
	m.refuse.Store(true)
	report, err := Run(t.Context(), options(m))
	require.NoError(t, err)
	require.Zero(t, report.Results[0].Writes)
	require.Positive(t, report.Results[0].Errors["503"])
}

// Claim: Pebble alone is measured in the same rounds.
func TestPebbleIsMeasured(t *testing.T) {
	o := options(newFakeMember(t))
	o.Pebble, o.Dir = true, t.TempDir()
	report, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, namePebble, report.Results[1].Name)
	require.Positive(t, report.Results[1].Writes)
	require.Positive(t, report.Ratios[0].Rate)
	require.Len(t, report.Results, 2)
}

// Claim: with several copies each of them gets every batch.
func TestPebbleIsMeasuredWithCopies(t *testing.T) {
	o := options(newFakeMember(t))
	sample, err := pebbleRound(t.Context(), o.Load, t.TempDir(), 3)
	require.NoError(t, err)
	require.Positive(t, sample.Writes)
	dbs := make([]*pebble.DB, 3)
	for i := range dbs {
		dbs[i], err = pebble.Open("", &pebble.Options{FS: vfs.NewMem(), Logger: quiet{}})
		require.NoError(t, err)
	}
	require.NoError(t, writeBatch(dbs, []byte("key"), []byte("value")))
	for _, db := range dbs {
		value, closer, err := db.Get([]byte("key"))
		require.NoError(t, err)
		require.Equal(t, "value", string(value))
		require.NoError(t, errors.Join(closer.Close(), db.Close()))
	}
}

// Claim: options that make no sense are refused.
func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"connections": func(o *Options) { o.Connections = -1 },
		"client":      func(o *Options) { o.Clients = 0 },
		"rate":        func(o *Options) { o.Rate = -1 },
		"key":         func(o *Options) { o.Keys = 0 },
		"share":       func(o *Options) { o.ReadShare = 2 },
		"round":       func(o *Options) { o.Rounds = 0 },
		"member":      func(o *Options) { o.Endpoints = nil },
		"program":     func(o *Options) { o.Other = "kv" },
	} {
		o := options(&fakeMember{Server: &httptest.Server{}})
		change(&o)
		require.ErrorContains(t, o.Check(), name)
	}
}
