package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/stream"
)

const (
	maxStreams = 1000
	// streamRequests and streamBytes bound what one connection has under way.
	streamRequests = 4096
	streamBytes    = 16 << 20
	// streamHead is more than a request takes beside its key and its value.
	streamHead = 64
)

// upgrade turns the connection into one that many requests for single keys share; see package stream.
func (s *server) upgrade(w http.ResponseWriter, r *request) error {
	if !strings.EqualFold(r.Header.Get("Upgrade"), stream.Protocol) {
		w.Header().Set("Upgrade", stream.Protocol)
		return &apiError{code: http.StatusUpgradeRequired, message: "want Upgrade: " + stream.Protocol, field: "upgrade"}
	}
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return &apiError{code: http.StatusTooManyRequests, message: "too many connections", field: "path"}
	}
	defer s.streams.Add(-1)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + stream.Protocol + "\r\n\r\n"
	_ = conn.SetDeadline(time.Now().Add(stalled)) // the server's own deadline goes with it
	if _, err := conn.Write([]byte(answer)); err != nil {
		conn.Close()
		return nil // nobody is there
	}
	_ = conn.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.cfg.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	// However it ends, nobody is left to be told.
	_ = stream.Serve(ctx, conn, buffered, stream.Limits{
		Frame:    int(s.cfg.MaxBody) + maxKeyBytes + streamHead,
		Requests: streamRequests, Bytes: streamBytes, Stalled: stalled,
	}, s.serveOne)
	return nil
}

// serveOne answers one request of a stream.
func (s *server) serveOne(ctx context.Context, r *stream.Request) stream.Answer {
	begin := time.Now()
	timeout := s.cfg.Timeout
	if r.Timeout > 0 {
		timeout = min(r.Timeout, maxTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := s.carryOut(ctx, r)
	if err != nil {
		e := classify(err)
		answer.Code = e.code
		if answer.Body, err = json.Marshal(e.body()); err != nil {
			answer.Code = http.StatusInternalServerError
		}
	}
	s.meters.count(answer.Code, time.Since(begin))
	return answer
}

func (s *server) carryOut(ctx context.Context, r *stream.Request) (stream.Answer, error) {
	answer := stream.Answer{Code: http.StatusOK}
	if err := checkPlainKey(r.Key); err != nil {
		return answer, err
	}
	if r.Op == stream.OpGet {
		if !r.Stale {
			if err := s.cfg.Member.Barrier(ctx); err != nil {
				return answer, err
			}
		}
		item, err := s.item(r.Key)
		answer.Revision, answer.Body = item.Revision, item.Value
		return answer, err
	}
	if int64(len(r.Value)) > s.cfg.MaxBody {
		return answer, &http.MaxBytesError{Limit: s.cfg.MaxBody}
	}
	c := store.Command{Op: store.OpPut, Key: r.Key, Value: r.Value, Expect: r.Expect, Lease: r.Lease}
	if r.Op == stream.OpDelete {
		c.Op, c.Value, c.Lease = store.OpDelete, nil, 0
	}
	result, err := s.change(ctx, c)
	answer.Revision, answer.Changed = result.Revision, result.Changed
	return answer, err
}

// streamMeters are the metrics of requests that come over streams, looked up once.
type streamMeters struct {
	seconds prometheus.Observer
	codes   sync.Map // of prometheus.Counter, by status
	lookUp  func(code string) prometheus.Counter
}

func (m *streamMeters) count(code int, took time.Duration) {
	counter, ok := m.codes.Load(code)
	if !ok {
		counter, _ = m.codes.LoadOrStore(code, m.lookUp(strconv.Itoa(code)))
	}
	counter.(prometheus.Counter).Inc()
	m.seconds.Observe(took.Seconds())
}

func (s *server) newStreamMeters() *streamMeters {
	const route = stream.Path
	return &streamMeters{
		seconds: s.cfg.Metrics.RequestSeconds.WithLabelValues(route),
		lookUp: func(code string) prometheus.Counter {
			return s.cfg.Metrics.Requests.WithLabelValues(route, code)
		},
	}
}
