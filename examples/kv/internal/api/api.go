// Package api is the member's face to clients: HTTP and JSON. Any member answers any request.
package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"quorate.example/raft/examples/kv/internal/member"
	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/stream"
)

// Config says whom the API speaks for, and its limits.
type Config struct {
	Member  *member.Member
	Store   *store.Store
	Metrics *metrics.Metrics
	// Timeout is the deadline of a request that does not bring its own. Zero means 5 s.
	Timeout time.Duration
	// MaxBody bounds the body of a request, in bytes. Zero means 1 MiB.
	MaxBody int64
	// Heartbeat is how often a watch says that it is alive while nothing changes. Zero means 5 s.
	Heartbeat time.Duration
	// Stopping, when closed, ends the streams, which would go on for ever otherwise.
	Stopping <-chan struct{}
}

const (
	maxKeyBytes = 4096
	maxTimeout  = time.Minute
)

// handler answers requests for one route. The last part of the path is arg.
type handler func(w http.ResponseWriter, r *request) error

// request is an HTTP request whose query and path were checked.
type request struct {
	*http.Request
	arg   string
	query url.Values
}

// route says which methods a path has. A path that ends with a slash has an argument after it.
type route struct {
	path    string
	suffix  string
	methods map[string]method
}

// method is what a route does on one HTTP method, and the query parameters that it knows.
type method struct {
	serve  handler
	params []string
	// endless says that the answer has no end of its own, hence no deadline.
	endless bool
}

type server struct {
	cfg      Config
	routes   []route
	watchers atomic.Int64
	streams  atomic.Int64
	meters   *streamMeters
}

// New returns the handler of all routes.
func New(cfg Config) http.Handler {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 20
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 5 * time.Second
	}
	s := &server{cfg: cfg}
	s.routes = s.table()
	s.meters = s.newStreamMeters()
	return s
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	name, err := "none", error(nil)
	recorder := &statusRecorder{ResponseWriter: w, code: http.StatusOK}
	if route, arg, ok := s.find(r.URL.Path); ok {
		name = route.path + route.suffix
		err = s.dispatch(recorder, r, route, arg)
	} else {
		err = &apiError{code: http.StatusNotFound, message: "no such path", field: "path"}
	}
	if err != nil {
		writeError(recorder, err)
	}
	if name == stream.Path && err == nil {
		return // its requests were counted one by one
	}
	s.cfg.Metrics.Requests.WithLabelValues(name, strconv.Itoa(recorder.code)).Inc()
	s.cfg.Metrics.RequestSeconds.WithLabelValues(name).Observe(time.Since(begin).Seconds())
}

// find is not http.ServeMux because a key may hold anything, "//" and ".." too, and because errors
// are JSON here.
func (s *server) find(path string) (route, string, bool) {
	for _, rt := range s.routes {
		if path == rt.path && !strings.HasSuffix(rt.path, "/") {
			return rt, "", true
		}
		arg, ok := strings.CutPrefix(path, rt.path)
		if !ok || !strings.HasSuffix(rt.path, "/") {
			continue
		}
		if arg, ok = strings.CutSuffix(arg, rt.suffix); ok {
			return rt, arg, true
		}
	}
	return route{}, "", false
}

func (s *server) dispatch(w http.ResponseWriter, r *http.Request, rt route, arg string) error {
	name := r.Method
	if name == http.MethodHead {
		name = http.MethodGet
	}
	m, ok := rt.methods[name]
	if !ok {
		var allowed []string
		for name := range rt.methods {
			allowed = append(allowed, name)
		}
		slices.Sort(allowed)
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &apiError{code: http.StatusMethodNotAllowed, message: "no such method here", field: "method"}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badField("query", "%v", err)
	}
	for param := range query {
		if param != "timeout" && !slices.Contains(m.params, param) {
			allowed := append(slices.Clone(m.params), "timeout")
			return badField(param, "unknown parameter; there are %s", strings.Join(allowed, ", "))
		}
	}
	timeout, err := s.timeout(query)
	if err != nil {
		return err
	}
	if !m.endless {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
	return m.serve(w, &request{Request: r, arg: arg, query: query})
}

func (s *server) timeout(query url.Values) (time.Duration, error) {
	if !query.Has("timeout") {
		return s.cfg.Timeout, nil
	}
	d, err := time.ParseDuration(query.Get("timeout"))
	if err != nil || d <= 0 || d > maxTimeout {
		return 0, badField("timeout", "want a duration up to %v, such as 500ms", maxTimeout)
	}
	return d, nil
}

// barrier makes what follows linearizable, unless the client is content with what this member has.
func (s *server) barrier(r *request) error {
	stale, err := r.flag("stale")
	if err != nil || stale {
		return err
	}
	return s.cfg.Member.Barrier(r.Context())
}

// flag reads a parameter that is true when it stands alone.
func (r *request) flag(name string) (bool, error) {
	if !r.query.Has(name) {
		return false, nil
	}
	switch r.query.Get(name) {
	case "", "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, badField(name, "want true or false")
}

// number reads a parameter that is a whole number; ok reports whether it is there.
func (r *request) number(name string) (n uint64, ok bool, err error) {
	if !r.query.Has(name) {
		return 0, false, nil
	}
	n, err = strconv.ParseUint(r.query.Get(name), 10, 64)
	if err != nil {
		return 0, false, badField(name, "want a whole number")
	}
	return n, true, nil
}

func (s *server) metrics(w http.ResponseWriter, r *request) error {
	s.cfg.Metrics.Handler().ServeHTTP(w, r.Request)
	return nil
}

func (s *server) status(w http.ResponseWriter, r *request) error {
	status, err := s.cfg.Member.Status(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, status)
}

// health answers 200 as long as the member's loop turns. With ?ready it must know a leader, too.
func (s *server) health(w http.ResponseWriter, r *request) error {
	ready, err := r.flag("ready")
	if err != nil {
		return err
	}
	status, err := s.cfg.Member.Status(r.Context())
	if err != nil {
		return errors.Join(member.ErrStopped, err)
	}
	if ready && status.Leader == 0 {
		return member.ErrNoLeader
	}
	return writeJSON(w, map[string]any{"status": "ok", "leader": status.Leader})
}
