package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/web"
)

// theAPI answers everything that is left to it.
var theAPI = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "api "+r.Method+" "+r.URL.Path)
})

func ask(method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	web.Handler(theAPI).ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// Claim: the page and its parts are there with their types, and may load nothing from elsewhere.
func TestPageIsServed(t *testing.T) {
	for path, contentType := range map[string]string{
		"/":            "text/html; charset=utf-8",
		"/ui/page.css": "text/css; charset=utf-8",
		"/ui/page.js":  "text/javascript; charset=utf-8",
		"/ui/icon.svg": "image/svg+xml",
	} {
		w := ask(http.MethodGet, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, contentType, w.Header().Get("Content-Type"), path)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		require.NotEmpty(t, w.Body.String(), path)
		head := ask(http.MethodHead, path)
		require.Equal(t, w.Header(), head.Header(), path)
		require.Empty(t, head.Body.String())
		require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodPost, path).Code)
	}
}

// Claim: every file that the page names is part of the program.
func TestPageHasNoExternalAssets(t *testing.T) {
	page := ask(http.MethodGet, "/").Body.String()
	links := regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		w := ask(http.MethodGet, link[1])
		require.False(t, strings.HasPrefix(w.Body.String(), "api "), "%s is not a part of the page", link[1])
	}
	for _, path := range []string{"/", "/ui/page.css", "/ui/page.js"} {
		require.NotRegexp(t, `https?://|url\(|@import`, ask(http.MethodGet, path).Body.String())
	}
}

// Claim: all other paths are the API's, keys with odd names too.
func TestOtherPathsAreLeftToTheAPI(t *testing.T) {
	for _, path := range []string{"/status", "/kv/", "/kv//", "/ui", "/ui/", "/ui/nothing", "/ui/index.html", "/index.html"} {
		require.Equal(t, "api GET "+path, ask(http.MethodGet, path).Body.String())
	}
	require.Equal(t, "api PUT /kv/a", ask(http.MethodPut, "/kv/a").Body.String())
}
