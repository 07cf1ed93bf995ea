package stream

import (
	"net"
	"runtime"
	"sync"
	"time"
)

// keptBuffer is how large a buffer may be that is kept for the next write.
const keptBuffer = 1 << 20

// outbox gathers frames while those before them are being written.
type outbox struct {
	conn    net.Conn
	stalled time.Duration
	// written is told how many frames have left, and what they cost.
	written func(frames, cost int)
	wake    chan struct{}

	mu     sync.Mutex
	next   []byte
	frames int
	cost   int
	closed bool
}

func newOutbox(conn net.Conn, stalled time.Duration, written func(frames, cost int)) *outbox {
	return &outbox{conn: conn, stalled: stalled, written: written, wake: make(chan struct{}, 1)}
}

// put adds an answer.
func (o *outbox) put(number uint64, a *Answer, cost int) {
	o.mu.Lock()
	o.next = appendAnswer(o.next, number, a)
	o.frames++
	o.cost += cost
	o.mu.Unlock()
	o.ring()
}

// request adds a request.
func (o *outbox) request(number uint64, r *Request) {
	o.mu.Lock()
	o.next = appendRequest(o.next, number, r)
	o.mu.Unlock()
	o.ring()
}

func (o *outbox) ring() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close has run end when everything is written.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.ring()
}

// run writes until close or an error.
func (o *outbox) run() error {
	var buffer []byte
	for range o.wake {
		runtime.Gosched() // those who were woken together have their frames ready in a moment
		for {
			o.mu.Lock()
			data, frames, cost, closed := o.next, o.frames, o.cost, o.closed
			o.next, o.frames, o.cost = buffer[:0], 0, 0
			o.mu.Unlock()
			if len(data) == 0 {
				buffer = data
				if closed {
					return nil
				}
				break
			}
			if err := o.write(data); err != nil {
				return err
			}
			o.written(frames, cost)
			if buffer = data; cap(buffer) > keptBuffer {
				buffer = nil
			}
		}
	}
	return nil
}

func (o *outbox) write(data []byte) error {
	if err := o.conn.SetWriteDeadline(time.Now().Add(o.stalled)); err != nil {
		return err
	}
	_, err := o.conn.Write(data)
	return err
}
