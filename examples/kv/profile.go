package main

import (
	"net/http"
	"net/http/pprof"
	"strings"
)

const profilePath = "/debug/pprof/"

// withProfiles adds Go's profiles of this process to what next serves. They are for those who look into a slow
// member: a profile costs time, and shows what a client need not know.
func withProfiles(next http.Handler) http.Handler {
	profiles := map[string]http.HandlerFunc{
		"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, profilePath)
		switch {
		case !ok:
			next.ServeHTTP(w, r)
		case profiles[name] != nil:
			profiles[name](w, r)
		default:
			pprof.Index(w, r)
		}
	})
}
