// Package client asks a cluster over HTTP, whichever of its members answers.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"quorate.example/raft/examples/kv/internal/api"
)

// Config says where the cluster is.
type Config struct {
	// Endpoints are host:port of members' HTTP addresses.
	Endpoints []string
	// TLS is nil for plain HTTP.
	TLS *tls.Config
	// Timeout bounds one call, over all endpoints. Zero means 5 s.
	Timeout time.Duration
}

// Client asks the members of a cluster, beginning with the one that answered last.
type Client struct {
	cfg    Config
	http   *http.Client
	scheme string
	last   atomic.Int64
}

// New returns a client. Close lets go of its connections.
func New(cfg Config) *Client {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	c := &Client{cfg: cfg, scheme: "http"}
	if cfg.TLS != nil {
		c.scheme = "https"
	}
	c.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: cfg.TLS,
		DialContext:     (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
		// A connection that was idle may be dead, and what is sent on it has an unknown outcome.
		IdleConnTimeout:     10 * time.Second,
		MaxIdleConnsPerHost: 8,
	}}
	return c
}

// Close lets go of the client's connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Endpoints returns the addresses that the client asks.
func (c *Client) Endpoints() []string { return c.cfg.Endpoints }

var (
	// ErrUnavailable says that no member answered, and nothing was changed.
	ErrUnavailable = errors.New("no member answered in time, nothing was changed")
	// ErrUnknown says that a change may have been made, or may still be.
	ErrUnknown = errors.New("no answer: the change may or may not have been made")
)

// StatusError is an answer other than 200.
type StatusError struct {
	Code     int     `json:"-"`
	Message  string  `json:"error"`
	Field    string  `json:"field"`
	Revision *uint64 `json:"revision"`
	Outcome  string  `json:"outcome"`
}

// Error implements error.
func (e *StatusError) Error() string {
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Revision != nil {
		text += fmt.Sprintf(" (revision %d)", *e.Revision)
	}
	return text
}

// Call is one request.
type Call struct {
	Method string
	// Path begins with a slash; its parts are not escaped yet.
	Path  string
	Query url.Values
	Body  []byte
	// Repeatable says that carrying it out twice is as good as once, so that it may be sent again when
	// its outcome is unknown.
	Repeatable bool
	// Wait is the deadline that the member is given; zero leaves it the client's.
	Wait time.Duration
}

// Do sends a call to one member after the other until one answers, and decodes the answer into out. A
// call that may have had an effect is not repeated unless it is Repeatable.
func (c *Client) Do(parent context.Context, call Call, out any) error {
	if call.Wait == 0 {
		call.Wait = c.cfg.Timeout
	}
	// The members' own deadlines come first, since their answers say more.
	ctx, cancel := context.WithTimeout(parent, call.Wait+c.cfg.Timeout/2)
	defer cancel()
	end := time.Now().Add(call.Wait)
	var last error
	for attempt := 0; ; attempt++ {
		at := (int(c.last.Load()) + attempt) % len(c.cfg.Endpoints)
		err := c.once(ctx, c.cfg.Endpoints[at], call, time.Until(end), out)
		var again *retry
		if !errors.As(err, &again) {
			c.last.Store(int64(at))
			return err
		}
		last = again.err
		if again.unknown && !call.Repeatable {
			return fmt.Errorf("%w (%s: %w)", ErrUnknown, c.cfg.Endpoints[at], last)
		}
		if ctx.Err() != nil || time.Until(end) < minWait {
			break
		}
		if (attempt+1)%len(c.cfg.Endpoints) == 0 && !pause(ctx) {
			break
		}
	}
	if parent.Err() != nil {
		return parent.Err()
	}
	return fmt.Errorf("%w (%w)", ErrUnavailable, last)
}

const (
	minWait = 10 * time.Millisecond
	between = 100 * time.Millisecond
)

func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(between):
		return true
	}
}

// retry is an error after which another member may be asked.
type retry struct {
	err     error
	unknown bool
}

func (r *retry) Error() string { return r.err.Error() }

// once asks one member.
func (c *Client) once(ctx context.Context, endpoint string, call Call, wait time.Duration, out any) error {
	query := url.Values{"timeout": {max(wait, minWait).String()}}
	for k, v := range call.Query {
		query[k] = v
	}
	resp, err := c.send(ctx, endpoint, call, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		out = new(json.RawMessage)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw, err = io.ReadAll(resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	if err != nil {
		return &retry{err: err, unknown: call.Method != http.MethodGet}
	}
	return nil
}

// send returns the answer if it is 200.
func (c *Client) send(ctx context.Context, endpoint string, call Call, query url.Values) (*http.Response, error) {
	u := url.URL{Scheme: c.scheme, Host: endpoint, Path: call.Path, RawQuery: query.Encode()}
	// A key may hold "//" and "..", which must arrive as they are.
	u.RawPath = strings.ReplaceAll(url.PathEscape(call.Path), "%2F", "/")
	req, err := http.NewRequestWithContext(ctx, call.Method, u.String(), bytes.NewReader(call.Body))
	if err != nil {
		return nil, err
	}
	// Else the HTTP library would send some calls again by itself.
	req.GetBody = nil
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &retry{err: plain(err), unknown: call.Method != http.MethodGet && !notSent(err)}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	problem := &StatusError{Code: resp.StatusCode}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // what there is of it
	if json.Unmarshal(body, problem) != nil || problem.Message == "" {
		problem.Message = resp.Status
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		unknown := problem.Outcome != api.OutcomeNone && call.Method != http.MethodGet
		return nil, &retry{err: problem, unknown: unknown}
	}
	return nil, problem
}

// notSent reports whether the request surely never reached a member: the connection was never made.
func notSent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var unknownCA *tls.CertificateVerificationError
	return errors.As(err, &unknownCA)
}

// plain takes off what repeats the method and the address.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Stream opens a GET whose answer goes on. The caller closes it.
func (c *Client) Stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	var last error
	for attempt := range len(c.cfg.Endpoints) {
		at := (int(c.last.Load()) + attempt) % len(c.cfg.Endpoints)
		resp, err := c.send(ctx, c.cfg.Endpoints[at], Call{Method: http.MethodGet, Path: path}, query)
		if err == nil {
			c.last.Store(int64(at))
			return resp.Body, nil
		}
		var again *retry
		if !errors.As(err, &again) {
			return nil, err
		}
		last = again.err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%w (%w)", ErrUnavailable, last)
}

// At returns a client of one of the endpoints alone.
func (c *Client) At(endpoint string) *Client {
	return &Client{cfg: Config{Endpoints: []string{endpoint}, TLS: c.cfg.TLS, Timeout: c.cfg.Timeout},
		http: c.http, scheme: c.scheme}
}
