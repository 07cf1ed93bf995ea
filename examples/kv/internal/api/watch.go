package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"quorate.example/raft/examples/kv/internal/store"
)

const (
	maxWatchers = 1000
	// watchBytes bounds what one watcher has in memory.
	watchBytes = 256 << 10
	// stalled is how long a watcher may leave what was sent to it unread.
	stalled = 10 * time.Second
)

// Change is one event of a watch: of type put or delete.
type Change struct {
	Item
	Lease uint64 `json:"lease,omitempty"`
	// Expired reports whether a key was deleted with its lease.
	Expired bool `json:"expired,omitempty"`
}

// Progress is an event of a watch that says up to which revision everything has been sent.
type Progress struct {
	Revision uint64 `json:"revision"`
}

// WatchError is the last event of a watch that cannot go on.
type WatchError struct {
	Error string `json:"error"`
	// Oldest is the oldest revision that a new watch can begin with.
	Oldest uint64 `json:"oldest,omitempty"`
}

// watch streams changes. It holds no queue: what a watcher has not read yet stays in the history, and a
// watcher that the history leaves behind is told so and disconnected.
func (s *server) watch(w http.ResponseWriter, r *request) error {
	opts, err := s.watchOptions(r)
	if err != nil {
		return err
	}
	if s.watchers.Add(1) > maxWatchers {
		s.watchers.Add(-1)
		return &apiError{code: http.StatusTooManyRequests, message: "too many watchers", field: "path"}
	}
	defer s.watchers.Add(-1)
	if _, _, err := s.cfg.Store.Changes(opts); err != nil {
		var compacted *store.CompactedError
		if errors.As(err, &compacted) {
			return &apiError{
				code: http.StatusGone, message: err.Error(), field: "revision", revision: &compacted.Oldest,
			}
		}
		return err
	}
	out := newEventStream(w)
	if err := out.flush(); err == nil {
		s.stream(r, out, opts)
	}
	return nil
}

func (s *server) watchOptions(r *request) (store.ChangesOptions, error) {
	opts := store.ChangesOptions{Key: r.query.Get("key"), Prefix: r.query.Get("prefix"), MaxBytes: watchBytes}
	if r.query.Has("key") {
		if err := checkKey("key", opts.Key); err != nil {
			return opts, err
		}
		if r.query.Has("prefix") {
			return opts, badField("prefix", "want either key or prefix")
		}
	}
	from, ok, err := r.number("revision")
	if err != nil {
		return opts, err
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		// A browser that connects again says what it saw last.
		n, err := strconv.ParseUint(last, 10, 64)
		if err != nil {
			return opts, badField("Last-Event-ID", "want a revision")
		}
		from, ok = n+1, true
	}
	if ok && from == 0 {
		return opts, badField("revision", "want a revision from 1 on")
	}
	if !ok {
		ctx, cancel := s.bounded(r)
		defer cancel()
		if err := s.cfg.Member.Barrier(ctx); err != nil {
			return opts, err
		}
		if from, err = s.cfg.Store.Revision(); err != nil {
			return opts, err
		}
		from++
	}
	opts.From = from
	return opts, nil
}

// stream sends what the history has, and then what comes, until the watcher is gone or too slow.
func (s *server) stream(r *request, out *eventStream, opts store.ChangesOptions) {
	heartbeat := time.NewTicker(s.cfg.Heartbeat)
	defer heartbeat.Stop()
	for {
		next := s.cfg.Store.NextChange()
		changes, last, err := s.cfg.Store.Changes(opts)
		if err != nil {
			out.fail(err)
			return
		}
		for i, c := range changes {
			// The ID, after which a watch goes on, comes with the last change of a revision.
			whole := i+1 == len(changes) || changes[i+1].Revision != c.Revision
			out.change(c, whole)
		}
		behind := len(changes) > 0 && last >= opts.From
		opts.From = max(opts.From, last+1)
		if out.flush() != nil {
			return
		}
		if behind {
			continue // there may be more already
		}
		select {
		case <-next:
		case <-heartbeat.C:
			out.event("progress", opts.From-1, Progress{Revision: opts.From - 1})
		case <-s.cfg.Stopping:
			out.event("error", 0, WatchError{Error: "the member is stopping"})
			_ = out.flush() // it is the last word
			return
		case <-r.Context().Done():
			return
		}
	}
}

// eventStream writes server-sent events.
type eventStream struct {
	control *http.ResponseController
	w       *bufio.Writer
}

func newEventStream(w http.ResponseWriter) *eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	out := &eventStream{control: http.NewResponseController(w), w: bufio.NewWriter(deadlineWriter{w})}
	// The server's limit on reading a request would end the stream.
	_ = out.control.SetReadDeadline(time.Time{})
	return out
}

// deadlineWriter gives each write of a stream, which may last for days, a time of its own.
type deadlineWriter struct{ w http.ResponseWriter }

func (d deadlineWriter) Write(data []byte) (int, error) {
	_ = http.NewResponseController(d.w).SetWriteDeadline(time.Now().Add(stalled))
	return d.w.Write(data)
}

// event queues an event; id 0 is none.
func (o *eventStream) event(kind string, id uint64, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return // no type that is sent here can fail
	}
	if id != 0 {
		fmt.Fprintf(o.w, "id: %d\n", id)
	}
	fmt.Fprintf(o.w, "event: %s\ndata: %s\n\n", kind, data)
}

func (o *eventStream) change(c store.Change, whole bool) {
	change := Change{Lease: c.Lease, Expired: c.Expired}
	change.Item = Item{Key: c.Key, Revision: c.Revision}
	if c.Op == store.OpPut {
		change.Item = encodeItem(store.Item{Key: c.Key, Value: c.Value, Revision: c.Revision})
	}
	id := uint64(0)
	if whole {
		id = c.Revision
	}
	o.event(opTexts[c.Op], id, change)
}

func (o *eventStream) fail(err error) {
	e := WatchError{Error: err.Error()}
	var compacted *store.CompactedError
	if errors.As(err, &compacted) {
		e = WatchError{Error: "the watcher was too slow: " + err.Error(), Oldest: compacted.Oldest}
	}
	o.event("error", 0, e)
	_ = o.flush() // it is the last word
}

// flush sends what is queued. It fails when the watcher does not read.
func (o *eventStream) flush() error {
	if err := o.w.Flush(); err != nil {
		return err
	}
	_ = o.control.SetWriteDeadline(time.Now().Add(stalled))
	return o.control.Flush()
}
