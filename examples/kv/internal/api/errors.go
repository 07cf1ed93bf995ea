package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"quorate.example/raft/examples/kv/internal/member"
)

// apiError is an error with a place in HTTP.
type apiError struct {
	code    int
	message string
	field   string
	// revision is the key's, on a conflict.
	revision *uint64
	// outcome says of a write that was not confirmed whether it may have been made.
	outcome string
}

// The outcomes of a write that was not confirmed.
const (
	OutcomeNone    = "none"
	OutcomeUnknown = "unknown"
)

func (e *apiError) Error() string { return e.message }

func badField(field, format string, args ...any) error {
	return &apiError{code: http.StatusBadRequest, message: fmt.Sprintf(format, args...), field: field}
}

// retryAfter is in seconds: an election takes one or two.
const retryAfter = "1"

// writeError answers with the error as JSON.
func writeError(w http.ResponseWriter, err error) {
	e := classify(err)
	if e.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.code)
	json.NewEncoder(w).Encode(e.body())
}

// body is what the client is told.
func (e *apiError) body() any {
	return struct {
		Error    string  `json:"error"`
		Field    string  `json:"field,omitempty"`
		Revision *uint64 `json:"revision,omitempty"`
		Outcome  string  `json:"outcome,omitempty"`
	}{e.message, e.field, e.revision, e.outcome}
}

func classify(err error) *apiError {
	var known *apiError
	var tooLarge *http.MaxBytesError
	var change *member.ChangeError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &tooLarge):
		return &apiError{
			code:    http.StatusRequestEntityTooLarge,
			message: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit),
			field:   "body",
		}
	case errors.As(err, &change) && change.Unknown:
		return &apiError{code: http.StatusNotFound, message: change.Reason, field: "id"}
	case errors.As(err, &change):
		return &apiError{code: http.StatusConflict, message: change.Reason, field: "id"}
	case errors.Is(err, member.ErrNoLeader), errors.Is(err, member.ErrStopped):
		return &apiError{code: http.StatusServiceUnavailable, message: err.Error(), outcome: OutcomeNone}
	case errors.Is(err, member.ErrUnknown), errors.Is(err, context.DeadlineExceeded):
		return &apiError{code: http.StatusServiceUnavailable, message: err.Error(), outcome: OutcomeUnknown}
	}
	return &apiError{code: http.StatusInternalServerError, message: err.Error()}
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// An error here means that the client is gone: there is nobody to tell.
	_ = encoder.Encode(v)
	return nil
}

// statusRecorder remembers the status code for the metrics.
type statusRecorder struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (r *statusRecorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.MaxBytesReader close the connection of a client that sends too much.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
