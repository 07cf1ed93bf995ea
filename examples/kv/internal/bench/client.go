package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"quorate.example/raft/examples/kv/internal/local"
	"quorate.example/raft/examples/kv/internal/stream"
)

const requestTimeout = 10 * time.Second

// client sends the requests, over connections that they share or over plain HTTP, one connection for each
// request under way. That is fasthttp, not net/http: on a machine that also runs the members, what the client
// burns is missing there.
type client struct {
	http      *fasthttp.Client
	shared    *shared // nil: plain HTTP
	endpoints []string
	leader    atomic.Pointer[string]
}

func newClient(endpoints []string, connections int) *client {
	return &client{
		endpoints: endpoints,
		http: &fasthttp.Client{
			Name:                      "kv-bench",
			MaxConnsPerHost:           connections + 1,
			MaxIdleConnDuration:       time.Minute,
			MaxIdemponentCallAttempts: 1, // a repeated request would hide an error
			ReadTimeout:               requestTimeout,
			WriteTimeout:              requestTimeout,
			NoDefaultUserAgentHeader:  true,
			DisablePathNormalizing:    true,
		},
	}
}

// findLeader asks the members who leads, and remembers it.
func (c *client) findLeader(ctx context.Context) error {
	byID := map[uint64]string{}
	var leader uint64
	for _, e := range c.endpoints {
		st, err := local.FetchStatus(ctx, http.DefaultClient, e)
		if err != nil {
			continue
		}
		byID[st.ID] = e
		if st.Leader != 0 {
			leader = st.Leader
		}
	}
	if address, ok := byID[leader]; ok {
		c.leader.Store(&address)
		return nil
	}
	return fmt.Errorf("none of %v is the leader (-spread sends to any member)", c.endpoints)
}

// share has the requests share so many connections to each member, if the members offer that.
func (c *client) share(ctx context.Context, connections int) error {
	if connections == 0 {
		return nil
	}
	c.shared = newShared(connections)
	_, err := c.shared.at(ctx, c.endpoints[0], 0)
	if errors.Is(err, stream.ErrNotOffered) {
		c.shared, err = nil, nil
	}
	return err
}

// describe says over what the requests go.
func (c *client) describe(load Load) string {
	if c.shared == nil {
		return fmt.Sprintf("%d HTTP", load.Clients)
	}
	return fmt.Sprintf("%d shared", load.Connections)
}

func (c *client) close() {
	c.http.CloseIdleConnections()
	if c.shared != nil {
		c.shared.close()
	}
}

// request is reused by one worker for all it sends.
type request struct {
	client *client
	worker int
	req    *fasthttp.Request
	resp   *fasthttp.Response
	path   []byte
	call   *stream.Call
	body   []byte // of the last answer
}

func (c *client) newRequest(worker int) *request {
	return &request{
		client: c, worker: worker, call: stream.NewCall(),
		req: fasthttp.AcquireRequest(), resp: fasthttp.AcquireResponse(),
	}
}

func (r *request) close() {
	fasthttp.ReleaseRequest(r.req)
	fasthttp.ReleaseResponse(r.resp)
}

// put writes a key through a member and returns what kind of error there was, "" for none.
func (r *request) put(ctx context.Context, address string, key int, value []byte) string {
	if r.client.shared != nil {
		return r.share(ctx, address, &stream.Request{Op: stream.OpPut, Key: r.key(key), Value: value})
	}
	r.prepare(fasthttp.MethodPut, address, key)
	r.req.SetBodyRaw(value)
	return r.do(false)
}

// get reads a key. One that was never written is not an error.
func (r *request) get(ctx context.Context, address string, key int, stale bool) string {
	if r.client.shared != nil {
		return r.share(ctx, address, &stream.Request{Op: stream.OpGet, Key: r.key(key), Stale: stale})
	}
	r.prepare(fasthttp.MethodGet, address, key)
	if stale {
		r.req.URI().SetQueryString("raw&stale")
	} else {
		r.req.URI().SetQueryString("raw")
	}
	return r.do(true)
}

func (r *request) prepare(method, address string, key int) {
	r.req.Reset()
	r.path = strconv.AppendInt(append(append(r.path[:0], "/kv/"...), keyPrefix...), int64(key), 10)
	r.req.Header.SetMethod(method)
	r.req.SetRequestURI("http://" + address)
	r.req.URI().SetPathBytes(r.path)
}

const keyPrefix = "bench-"

func (r *request) key(key int) string {
	r.path = strconv.AppendInt(append(r.path[:0], keyPrefix...), int64(key), 10)
	return string(r.path)
}

// share sends a request over a connection that others use, too.
func (r *request) share(ctx context.Context, address string, q *stream.Request) string {
	conn, err := r.client.shared.at(ctx, address, r.worker)
	if err != nil {
		return kindConnection
	}
	answer, err := conn.Do(ctx, q, r.call)
	if err != nil {
		return kindConnection
	}
	r.body = answer.Body
	return kindOf(answer.Code, q.Op == stream.OpGet)
}

// kindConnection is the kind of error of a request without an answer.
const kindConnection = "connection"

func (r *request) do(read bool) string {
	if err := r.client.http.Do(r.req, r.resp); err != nil {
		return kindConnection
	}
	r.body = r.resp.Body()
	return kindOf(r.resp.StatusCode(), read)
}

// kindOf returns what kind of error a status is, "" for none.
func kindOf(code int, read bool) string {
	if code == http.StatusOK || read && code == http.StatusNotFound {
		return ""
	}
	return strconv.Itoa(code)
}

// errorText returns the error in the last answer's body.
func (r *request) errorText() string {
	var body struct{ Error string }
	if json.Unmarshal(r.body, &body) != nil {
		return ""
	}
	return body.Error
}
