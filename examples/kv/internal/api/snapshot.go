package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"quorate.example/raft/examples/kv/internal/backup"
	"quorate.example/raft/examples/kv/internal/store"
)

// snapshot streams the state of this moment. It begins after everything that was acknowledged before.
func (s *server) snapshot(w http.ResponseWriter, r *request) error {
	ctx, cancel := s.bounded(r)
	defer cancel()
	if err := s.cfg.Member.Barrier(ctx); err != nil {
		return err
	}
	state, meta, err := s.cfg.Store.Export()
	if errors.Is(err, store.ErrTooManyExports) {
		return &apiError{code: http.StatusTooManyRequests, message: err.Error(), field: "path"}
	}
	if err != nil {
		return err
	}
	defer state.Close()
	revision, err := state.Revision()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	header := backup.Header{
		Cluster: s.cfg.Store.Cluster(), Index: meta.Index, Term: meta.Term, Revision: revision,
	}
	if err := backup.Write(deadlineWriter{w}, header, state.Each); err != nil {
		// The answer has begun, so that only its missing end can tell the client.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// bounded returns the context for the beginning of a stream, which itself has no deadline.
func (s *server) bounded(r *request) (context.Context, context.CancelFunc) {
	timeout, err := s.timeout(r.query)
	if err != nil {
		timeout = s.cfg.Timeout
	}
	return context.WithTimeout(r.Context(), timeout)
}
