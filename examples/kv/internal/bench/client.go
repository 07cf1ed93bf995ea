package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"quorate.example/raft/examples/kv/internal/local"
)

const requestTimeout = 10 * time.Second

// client sends the requests. It is fasthttp, not net/http: on a machine that also runs the members,
// what the client burns is missing there.
type client struct {
	http      *fasthttp.Client
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

// request is reused by one worker for all it sends.
type request struct {
	client *client
	req    *fasthttp.Request
	resp   *fasthttp.Response
	path   []byte
}

func (c *client) newRequest() *request {
	return &request{client: c, req: fasthttp.AcquireRequest(), resp: fasthttp.AcquireResponse()}
}

func (r *request) close() {
	fasthttp.ReleaseRequest(r.req)
	fasthttp.ReleaseResponse(r.resp)
}

// put writes a key through a member and returns what kind of error there was, "" for none.
func (r *request) put(address string, key int, value []byte) string {
	r.prepare(fasthttp.MethodPut, address, key)
	r.req.SetBodyRaw(value)
	return r.do(false)
}

// get reads a key. One that was never written is not an error.
func (r *request) get(address string, key int, stale bool) string {
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
	r.path = strconv.AppendInt(append(r.path[:0], "/kv/bench-"...), int64(key), 10)
	r.req.Header.SetMethod(method)
	r.req.SetRequestURI("http://" + address)
	r.req.URI().SetPathBytes(r.path)
}

func (r *request) do(read bool) string {
	if err := r.client.http.Do(r.req, r.resp); err != nil {
		return "connection"
	}
	code := r.resp.StatusCode()
	if code == http.StatusOK || read && code == http.StatusNotFound {
		return ""
	}
	return strconv.Itoa(code)
}

// errorText returns the error in the last answer's body.
func (r *request) errorText() string {
	var body struct{ Error string }
	if json.Unmarshal(r.resp.Body(), &body) != nil {
		return ""
	}
	return body.Error
}
