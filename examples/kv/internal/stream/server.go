package stream

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Handler answers a request. It may keep the key, but not the value; ctx ends with the connection.
type Handler func(ctx context.Context, r *Request) Answer

// Limits says what one connection may ask for.
type Limits struct {
	// Frame bounds a request in bytes.
	Frame int
	// Requests and Bytes bound the requests that are not answered yet, together with answers that the client
	// has not read. What comes on top waits in the network. One request is always let in.
	Requests int
	Bytes    int
	// Stalled is how long a client may leave its answers unread.
	Stalled time.Duration
}

const readBuffer = 64 << 10

// Serve answers what comes over conn until the client leaves, breaks the protocol or ctx ends; then it closes
// conn, and returns when no request is left. The error is nil if the client left in order.
func Serve(ctx context.Context, conn net.Conn, from io.Reader, limits Limits, handler Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{ctx: ctx, conn: conn, limits: limits, handler: handler, jobs: make(chan job)}
	s.out = newOutbox(conn, limits.Stalled, s.written)
	s.room = sync.NewCond(&s.mu)
	unhook := context.AfterFunc(ctx, func() { conn.Close(); s.release(0, 0) })
	defer unhook()
	written := make(chan error, 1)
	go func() {
		err := s.out.run()
		if err != nil {
			cancel() // nobody reads what comes of the requests
		}
		written <- err
	}()
	err := s.read(bufio.NewReaderSize(from, readBuffer))
	if errors.Is(err, errTooLarge) || errors.Is(err, errMalformed) {
		s.out.put(0, &Answer{Code: http.StatusBadRequest, Body: errorBody(err)}, 0)
	} else {
		cancel()
	}
	close(s.jobs)
	s.working.Wait()
	s.out.close()
	err = errors.Join(err, <-written)
	cancel()
	conn.Close()
	return err
}

func errorBody(err error) []byte {
	body, _ := json.Marshal(map[string]string{"error": err.Error()}) // a map of strings has no error
	return body
}

// session is one connection.
type session struct {
	ctx     context.Context
	conn    net.Conn
	limits  Limits
	handler Handler
	out     *outbox
	jobs    chan job // to workers that have nothing to do
	working sync.WaitGroup

	mu       sync.Mutex
	room     *sync.Cond
	requests int // taken, and their answers not written
	bytes    int // of them and of their answers
}

// job is one request.
type job struct {
	number  uint64
	request Request
	frame   *[]byte // holds the value
}

// frames are buffers for requests.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// read takes requests until that fails.
func (s *session) read(from *bufio.Reader) error {
	for {
		frame := frames.Get().(*[]byte)
		var err error
		if *frame, err = readFrame(from, *frame, s.limits.Frame); err != nil {
			if errors.Is(err, io.EOF) || s.ctx.Err() != nil {
				return nil
			}
			return err
		}
		j := job{frame: frame}
		if j.number, j.request, err = parseRequest(*frame); err != nil {
			return err
		}
		if !s.admit(len(*frame)) {
			return nil
		}
		select {
		case s.jobs <- j:
		default:
			s.working.Add(1)
			go s.work(j)
		}
	}
}

// admit waits until there is room for a request, and reports whether the connection is still there.
func (s *session) admit(size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.requests > 0 && (s.requests >= s.limits.Requests || s.bytes+size > s.limits.Bytes) && s.ctx.Err() == nil {
		s.room.Wait()
	}
	s.requests++
	s.bytes += size
	return s.ctx.Err() == nil
}

// release gives back the room of requests whose answers are written.
func (s *session) release(requests, bytes int) {
	s.mu.Lock()
	s.requests -= requests
	s.bytes -= bytes
	s.mu.Unlock()
	s.room.Broadcast()
}

func (s *session) written(frames, cost int) { s.release(frames, cost) }

// work answers a request, and then others.
func (s *session) work(j job) {
	defer s.working.Done()
	for ok := true; ok; j, ok = <-s.jobs {
		answer := s.handler(s.ctx, &j.request)
		s.mu.Lock()
		s.bytes += len(answer.Body)
		s.mu.Unlock()
		s.out.put(j.number, &answer, len(*j.frame)+len(answer.Body))
		frames.Put(j.frame)
	}
}
