package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// ErrNotOffered says that a server does not know this protocol. It can be asked over plain HTTP.
var ErrNotOffered = errors.New("stream: the server does not offer it")

// maxAnswer bounds an answer in bytes: values are 32 MiB at most.
const maxAnswer = 33 << 20

// Client is one connection, which any number of goroutines may share.
type Client struct {
	conn     net.Conn
	out      *outbox
	patience time.Duration

	mu    sync.Mutex
	calls map[uint64]*Call
	last  uint64
	err   error
}

// Call is one request's wait for its answer. One caller may use it again and again.
type Call struct {
	answer  Answer
	err     error
	settled chan struct{}
}

// NewCall returns a Call.
func NewCall() *Call { return &Call{settled: make(chan struct{}, 1)} }

// Dial connects to a member's address for clients; config is nil without TLS. A connection from which nothing
// comes for patience, while requests wait, is given up. ctx bounds the dialing only.
func Dial(ctx context.Context, address string, config *tls.Config, patience time.Duration) (*Client, error) {
	conn, err := dial(ctx, address, config)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection without deadlines says so on the next use
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	from, err := upgrade(conn, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	c := &Client{conn: conn, patience: patience, calls: map[uint64]*Call{}}
	c.out = newOutbox(conn, patience, func(int, int) {})
	go func() {
		if err := c.out.run(); err != nil {
			c.fail(err)
		}
	}()
	go func() { c.fail(c.read(from)) }()
	return c, nil
}

func dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
}

// upgrade asks for the protocol.
func upgrade(conn net.Conn, address string) (*bufio.Reader, error) {
	ask := "GET " + Path + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: Upgrade\r\nUpgrade: " + Protocol + "\r\n\r\n"
	if _, err := conn.Write([]byte(ask)); err != nil {
		return nil, err
	}
	from := bufio.NewReaderSize(conn, readBuffer)
	resp, err := http.ReadResponse(from, nil)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusSwitchingProtocols && resp.Header.Get("Upgrade") == Protocol:
		return from, nil
	}
	resp.Body.Close()
	return nil, fmt.Errorf("%w: %s", ErrNotOffered, resp.Status)
}

// Do sends r and waits for its answer, whose body belongs to the caller. After an error nobody knows what came
// of a change, unless Err had an error before.
func (c *Client) Do(ctx context.Context, r *Request, call *Call) (Answer, error) {
	c.mu.Lock()
	if c.err != nil {
		err := c.err
		c.mu.Unlock()
		return Answer{}, err
	}
	c.last++
	number := c.last
	c.calls[number] = call
	c.mu.Unlock()
	c.out.request(number, r)
	select {
	case <-call.settled:
		return call.answer, call.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	_, waiting := c.calls[number]
	delete(c.calls, number)
	c.mu.Unlock()
	if !waiting {
		<-call.settled // it came at the same time
		return call.answer, call.err
	}
	return Answer{}, ctx.Err()
}

// read takes answers until that fails.
func (c *Client) read(from *bufio.Reader) error {
	var frame []byte
	for {
		if err := c.await(from); err != nil {
			return err
		}
		var err error
		if frame, err = readFrame(from, frame, maxAnswer); err != nil {
			return err
		}
		number, answer, err := parseAnswer(frame)
		switch {
		case err != nil:
			return err
		case number == 0:
			return refusal(answer)
		}
		if len(answer.Body) > 0 {
			answer.Body = append([]byte(nil), answer.Body...)
		}
		c.settle(number, answer, nil)
	}
}

// await waits for the next frame. That takes as long as nobody waits for an answer.
func (c *Client) await(from *bufio.Reader) error {
	for from.Buffered() == 0 {
		waiting := c.waiting()
		if err := c.conn.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
			return err
		}
		_, err := from.Peek(1)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || waiting && c.waiting() {
			return err
		}
	}
	return nil
}

func (c *Client) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls) > 0
}

// refusal is why the server ends the connection.
func refusal(a Answer) error {
	var body struct{ Error string }
	if json.Unmarshal(a.Body, &body) != nil || body.Error == "" {
		body.Error = http.StatusText(a.Code)
	}
	return fmt.Errorf("stream: the server says: %s", body.Error)
}

func (c *Client) settle(number uint64, answer Answer, err error) {
	c.mu.Lock()
	call := c.calls[number]
	delete(c.calls, number)
	c.mu.Unlock()
	if call != nil {
		call.answer, call.err = answer, err
		call.settled <- struct{}{}
	}
}

// ErrClosed says that Close was called.
var ErrClosed = errors.New("stream: closed")

// Close ends the connection and all calls.
func (c *Client) Close() { c.fail(ErrClosed) }

// Err returns why the connection is of no use any more, nil if it is.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail ends everything. The first cause counts.
func (c *Client) fail(cause error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = cause
	calls := c.calls
	c.calls = nil
	c.mu.Unlock()
	c.conn.Close()
	c.out.close()
	for _, call := range calls {
		call.err = cause
		call.settled <- struct{}{}
	}
}
