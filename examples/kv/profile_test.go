package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Claim: profiles are served beside what a member serves anyway, and take no path from it but their own.
func TestProfilesAreServedBesideTheRest(t *testing.T) {
	rest := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for path, want := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/goroutine": 200, "/debug/pprof/cmdline": 200, "/debug/pprof/none": 404,
		"/debug/pprof": http.StatusTeapot, "/kv/debug/pprof/": http.StatusTeapot,
	} {
		answer := httptest.NewRecorder()
		withProfiles(rest).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, want, answer.Code, path)
	}
}
