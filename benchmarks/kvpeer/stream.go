package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// The protocol of kv in which many requests share a connection, as far as kv bench uses it: GET /stream with this
// Upgrade, then frames of a length (4 bytes) and
//
//	request: number, op, flags, timeout in ms, expected revision, lease, length of key, key, value
//	answer:  number, status, revision, flags, body
const (
	streamProtocol = "quorate-kv/1"
	streamPath     = "/stream"
	streamRequests = 4096
	streamBuffer   = 64 << 10
	streamHead     = 64
	streamStalled  = 10 * time.Second

	callGet, callPut = 1, 2
	flagStale        = 2
)

// call is a request of a stream.
type call struct {
	number, timeout uint64
	op, flags       byte
	key             string
	value           []byte
}

var errFrame = errors.New("malformed frame")

func parseCall(frame []byte) (c call, err error) {
	failed := false
	number := func() uint64 {
		v, n := binary.Uvarint(frame)
		if failed = failed || n <= 0; failed {
			return 0
		}
		frame = frame[n:]
		return v
	}
	c.number = number()
	if failed || len(frame) < 2 {
		return c, errFrame
	}
	c.op, c.flags, frame = frame[0], frame[1], frame[2:]
	c.timeout = number()
	number() // kv bench expects no revision and uses no lease
	number()
	size := number()
	if failed || c.number == 0 || c.op != callGet && c.op != callPut || size > uint64(len(frame)) {
		return c, errFrame
	}
	c.key, c.value = string(frame[:size]), frame[size:]
	return c, nil
}

// stream serves the calls of one connection.
type stream struct {
	api     *api
	conn    net.Conn
	calls   chan call
	slots   chan struct{} // one for each call that is not answered
	working sync.WaitGroup

	mu      sync.Mutex
	out     []byte
	answers int // in out
	wake    chan struct{}
}

// upgrade makes a stream of a connection, and serves it until the client leaves.
func (a *api) upgrade(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Upgrade") != streamProtocol {
		w.Header().Set("Upgrade", streamProtocol)
		return &httpError{code: http.StatusUpgradeRequired, message: "want Upgrade: " + streamProtocol, field: "upgrade"}
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{}) // the server's own; without deadlines it has none to lift
	hello := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + streamProtocol + "\r\n\r\n"
	if _, err := conn.Write([]byte(hello)); err != nil {
		return nil // the client is gone
	}
	s := &stream{
		api: a, conn: conn, calls: make(chan call), slots: make(chan struct{}, streamRequests),
		wake: make(chan struct{}, 1),
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.write()
	}()
	s.read(bufio.NewReaderSize(buffered, streamBuffer))
	conn.Close()
	close(s.calls)
	s.working.Wait()
	close(s.wake)
	<-written
	return nil
}

// read takes calls until the client leaves or sends something else.
func (s *stream) read(from *bufio.Reader) {
	var head [4]byte
	for {
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(head[:])
		if int64(size) > s.api.maxBody+maxKeyBytes+streamHead {
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(from, frame); err != nil {
			return
		}
		c, err := parseCall(frame)
		if err != nil {
			return
		}
		s.slots <- struct{}{}
		select {
		case s.calls <- c:
		default:
			s.working.Add(1)
			go s.work(c)
		}
	}
}

// work answers a call, and then others.
func (s *stream) work(c call) {
	defer s.working.Done()
	for ok := true; ok; c, ok = <-s.calls {
		code, revision, body := s.api.answerCall(&c)
		s.mu.Lock()
		begin := len(s.out)
		s.out = binary.AppendUvarint(append(s.out, 0, 0, 0, 0), c.number)
		s.out = binary.AppendUvarint(binary.AppendUvarint(s.out, uint64(code)), revision)
		s.out = append(append(s.out, 0), body...)
		binary.BigEndian.PutUint32(s.out[begin:], uint32(len(s.out)-begin-4))
		s.answers++
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// write sends what gathers, one piece after the other.
func (s *stream) write() {
	var spare []byte
	for range s.wake {
		runtime.Gosched() // those who were woken together have their answers ready in a moment
		for {
			s.mu.Lock()
			data, n := s.out, s.answers
			s.out, s.answers = spare[:0], 0
			s.mu.Unlock()
			spare = data
			if n == 0 {
				break
			}
			_ = s.conn.SetWriteDeadline(time.Now().Add(streamStalled)) // see above
			if _, err := s.conn.Write(data); err != nil {
				s.conn.Close() // which ends the reading; what is left is answered into the void
			}
			for range n {
				<-s.slots
			}
		}
	}
}

// answerCall answers on the leader at once, and elsewhere as HTTP does.
func (a *api) answerCall(c *call) (code int, revision uint64, body []byte) {
	timeout := a.timeout
	if c.timeout > 0 {
		timeout = time.Duration(min(c.timeout, uint64(maxTimeout.Milliseconds()))) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := checkKey(c.key)
	switch {
	case err != nil:
	case c.op == callPut:
		revision, err = a.node.put(ctx, c.key, c.value)
	default:
		if c.flags&flagStale == 0 {
			err = a.node.barrier(ctx)
		}
		if err == nil {
			body, revision, err = a.node.machine.get(c.key)
		}
		if err == nil && revision == 0 {
			err = &httpError{code: http.StatusNotFound, message: "no such key", field: "key"}
		}
	}
	if err == nil {
		return http.StatusOK, revision, body
	}
	w := &memoryWriter{header: http.Header{}, code: http.StatusOK}
	if !errors.Is(err, raft.ErrNotLeader) {
		writeError(w, err)
		return w.code, 0, w.body.Bytes()
	}
	return a.callByHTTP(ctx, w, c)
}

// callByHTTP makes an HTTP request of a call: that knows how to find the leader.
func (a *api) callByHTTP(ctx context.Context, w *memoryWriter, c *call) (int, uint64, []byte) {
	method, query := http.MethodPut, ""
	if c.op == callGet {
		method, query = http.MethodGet, "raw"
	}
	r := (&http.Request{
		Method: method, URL: &url.URL{Path: "/kv/" + c.key, RawQuery: query}, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(c.value)), ContentLength: int64(len(c.value)),
	}).WithContext(ctx)
	a.ServeHTTP(w, r)
	revision, _ := strconv.ParseUint(w.header.Get("X-Revision"), 10, 64) // 0 if there is none
	if c.op == callPut && w.code == http.StatusOK {
		var done struct{ Revision uint64 }
		if err := json.Unmarshal(w.body.Bytes(), &done); err != nil {
			return http.StatusInternalServerError, 0, nil
		}
		return w.code, done.Revision, nil
	}
	return w.code, revision, w.body.Bytes()
}

// memoryWriter is an http.ResponseWriter.
type memoryWriter struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *memoryWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *memoryWriter) WriteHeader(code int) { w.code = code }

// Write implements http.ResponseWriter.
func (w *memoryWriter) Write(data []byte) (int, error) { return w.body.Write(data) }
