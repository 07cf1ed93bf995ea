package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"quorate.example/raft/examples/kv/internal/api"
)

// Event is one event of a watch.
type Event struct {
	// Kind is put, delete or progress.
	Kind string `json:"type"`
	api.Change
}

// WatchOptions says what to watch.
type WatchOptions struct {
	Key    string
	Prefix string
	// From is the first revision wanted; zero means what comes from now on.
	From uint64
}

// Watch calls visit with each event until visit returns an error, which it returns, or ctx ends. When a
// member goes away it goes on at another one, without a gap: events of a revision that was only partly
// received come again.
func (c *Client) Watch(ctx context.Context, o WatchOptions, visit func(Event) error) error {
	failures := 0
	for {
		began := o.From
		err := c.watchOnce(ctx, &o, visit)
		var problem *retry
		if !errors.As(err, &problem) {
			return err
		}
		if failures++; o.From != began {
			failures = 0
		}
		if failures > maxFailures {
			return fmt.Errorf("%w (%w)", ErrUnavailable, problem.err)
		}
		c.last.Add(1)
		if !pause(ctx) {
			return ctx.Err()
		}
	}
}

const maxFailures = 100

func (c *Client) watchOnce(ctx context.Context, o *WatchOptions, visit func(Event) error) error {
	query := url.Values{}
	if o.Key != "" {
		query.Set("key", o.Key)
	} else if o.Prefix != "" {
		query.Set("prefix", o.Prefix)
	}
	if o.From != 0 {
		query.Set("revision", strconv.FormatUint(o.From, 10))
	}
	body, err := c.Stream(ctx, "/watch", query)
	if errors.Is(err, ErrUnavailable) {
		return &retry{err: err}
	}
	if err != nil {
		return err
	}
	defer body.Close()
	err = eachEvent(body, func(kind, id, data string) error { return o.take(kind, id, data, visit) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// take passes on one event, and notes from where to go on.
func (o *WatchOptions) take(kind, id, data string, visit func(Event) error) error {
	switch kind {
	case "error":
		var e api.WatchError
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return err
		}
		if e.Oldest == 0 {
			return &retry{err: errors.New(e.Error)}
		}
		return &StatusError{Code: http.StatusGone, Message: e.Error, Field: "revision", Revision: &e.Oldest}
	case "put", "delete", "progress":
		e := Event{Kind: kind}
		if err := json.Unmarshal([]byte(data), &e.Change); err != nil {
			return err
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	if n, err := strconv.ParseUint(id, 10, 64); err == nil {
		o.From = n + 1
	}
	return nil
}

// eachEvent reads server-sent events. A broken stream is an error after which to try again.
func eachEvent(from io.Reader, visit func(kind, id, data string) error) error {
	r := bufio.NewReader(from)
	var kind, id, data string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return &retry{err: err}
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if kind != "" {
				if err := visit(kind, id, data); err != nil {
					return err
				}
			}
			kind, id, data = "", "", ""
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			data = value
		}
	}
}
