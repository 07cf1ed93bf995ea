package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/raft"
)

const (
	maxKeyBytes = 4096
	maxTimeout  = time.Minute
	// headerForwarded marks what another member passed on, so that it is not passed on again.
	headerForwarded = "X-Forwarded-By"
)

// api is the front for clients: those routes of kv that kv bench asks, with the same answers.
type api struct {
	node    *node
	timeout time.Duration
	maxBody int64
	leader  *http.Client
}

func newAPI(n *node, o options) *api {
	transport := &http.Transport{MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute}
	return &api{node: n, timeout: o.timeout, maxBody: o.maxBody, leader: &http.Client{Transport: transport}}
}

// httpError is an error with a place in HTTP.
type httpError struct {
	code           int
	message, field string
	outcome        string
}

func (e *httpError) Error() string { return e.message }

func badField(field, format string, a ...any) error {
	return &httpError{code: http.StatusBadRequest, message: fmt.Sprintf(format, a...), field: field}
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := a.dispatch(w, r); err != nil {
		writeError(w, err)
	}
}

func (a *api) dispatch(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Path == streamPath && r.Method == http.MethodGet {
		return a.upgrade(w, r)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badField("query", "%v", err)
	}
	timeout, err := a.deadline(query)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, a.maxBody)
	key, isKey := strings.CutPrefix(r.URL.Path, "/kv/")
	switch {
	case r.URL.Path == "/status" && r.Method == http.MethodGet:
		status, err := a.node.status()
		if err != nil {
			return err
		}
		return writeJSON(w, status)
	case isKey && r.Method == http.MethodPut:
		return a.put(w, r, key)
	case isKey && r.Method == http.MethodGet:
		return a.get(w, r, key, query)
	case isKey || r.URL.Path == "/status":
		return &httpError{code: http.StatusMethodNotAllowed, message: "no such method here", field: "method"}
	}
	return &httpError{code: http.StatusNotFound, message: "no such path", field: "path"}
}

func (a *api) deadline(query url.Values) (time.Duration, error) {
	if !query.Has("timeout") {
		return a.timeout, nil
	}
	d, err := time.ParseDuration(query.Get("timeout"))
	if err != nil || d <= 0 || d > maxTimeout {
		return 0, badField("timeout", "want a duration up to %v, such as 500ms", maxTimeout)
	}
	return d, nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return badField("key", "the key is empty")
	case len(key) > maxKeyBytes:
		return badField("key", "the key is longer than %d bytes", maxKeyBytes)
	case !utf8.ValidString(key):
		return badField("key", "the key is not UTF-8")
	}
	return nil
}

func (a *api) put(w http.ResponseWriter, r *http.Request, key string) error {
	if r.ContentLength > a.maxBody {
		return &http.MaxBytesError{Limit: a.maxBody}
	}
	value, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := checkKey(key); err != nil {
		return err
	}
	return a.lead(w, r, value, func() error {
		revision, err := a.node.put(r.Context(), key, value)
		if err != nil {
			return err
		}
		return writeJSON(w, map[string]any{"key": key, "revision": revision})
	})
}

func (a *api) get(w http.ResponseWriter, r *http.Request, key string, query url.Values) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if query.Has("stale") {
		return a.answer(w, key, query.Has("raw"))
	}
	return a.lead(w, r, nil, func() error {
		if err := a.node.barrier(r.Context()); err != nil {
			return err
		}
		return a.answer(w, key, query.Has("raw"))
	})
}

func (a *api) answer(w http.ResponseWriter, key string, raw bool) error {
	value, revision, err := a.node.machine.get(key)
	if err != nil {
		return err
	}
	if revision == 0 {
		return &httpError{code: http.StatusNotFound, message: "no such key", field: "key"}
	}
	if !raw {
		return writeJSON(w, map[string]any{"key": key, "value": string(value), "revision": revision})
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(value)))
	w.Header().Set("X-Revision", strconv.FormatUint(revision, 10))
	_, _ = w.Write(value) // a client that is gone needs no answer
	return nil
}

// lead has the leader carry out a request, which is this member or the one that it is passed on to, and
// waits for a leader until the deadline.
func (a *api) lead(w http.ResponseWriter, r *http.Request, body []byte, local func() error) error {
	for {
		err := local()
		if !errors.Is(err, raft.ErrNotLeader) {
			return err
		}
		if address := a.node.leaderHTTP(); address != "" && r.Header.Get(headerForwarded) == "" {
			err := a.forward(w, r, address, body)
			if !errors.Is(err, errNotSent) {
				return err
			}
		}
		if err := pause(r.Context()); err != nil {
			return err
		}
	}
}

// errNotSent says that a request did not reach the leader, so that it can be repeated.
var errNotSent = errors.New("the leader cannot be reached")

// forward passes a request on to the leader.
func (a *api) forward(w http.ResponseWriter, r *http.Request, address string, body []byte) error {
	target := url.URL{Scheme: "http", Host: address, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set(headerForwarded, strconv.FormatUint(a.node.id, 10))
	resp, err := a.leader.Do(req)
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Op == "dial":
		return errNotSent
	case err != nil:
		return errUnknown
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // the status is out, and nothing more can be said
	return nil
}

func writeError(w http.ResponseWriter, err error) {
	e := classify(err)
	body := struct {
		Error   string `json:"error"`
		Field   string `json:"field,omitempty"`
		Outcome string `json:"outcome,omitempty"`
	}{e.message, e.field, e.outcome}
	if e.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.code)
	json.NewEncoder(w).Encode(body)
}

func classify(err error) *httpError {
	var known *httpError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &tooLarge):
		message := fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)
		return &httpError{code: http.StatusRequestEntityTooLarge, message: message, field: "body"}
	case errors.Is(err, errNoLeader):
		return &httpError{code: http.StatusServiceUnavailable, message: err.Error(), outcome: "none"}
	case errors.Is(err, errUnknown):
		return &httpError{code: http.StatusServiceUnavailable, message: err.Error(), outcome: "unknown"}
	}
	return &httpError{code: http.StatusInternalServerError, message: err.Error()}
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // an error means that the client is gone
	return nil
}
