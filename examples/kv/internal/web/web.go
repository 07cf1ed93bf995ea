// Package web is the status page of a member: a few files without anything from elsewhere, which ask
// the member's own API once a second.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strconv"
)

//go:embed page
var files embed.FS

// prefix is where the parts of the page are; the page itself is at the root.
const prefix = "/ui/"

// policy lets the page load its own files and ask its own member, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Handler answers requests for the page, and leaves all others to api.
func Handler(api http.Handler) http.Handler {
	parts := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := parts[r.URL.Path]
		if !ok {
			api.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page can only be read", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", data.contentType)
		h.Set("Content-Length", strconv.Itoa(len(data.content)))
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // the next version of the program has another page
		if r.Method == http.MethodGet {
			_, _ = w.Write(data.content) // a browser that is gone needs no page
		}
	})
}

// part is one file, by the path at which it is asked for.
type part struct {
	contentType string
	content     []byte
}

func load() map[string]part {
	out := map[string]part{}
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the files are part of the program
	}
	err = fs.WalkDir(page, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(page, name)
		out[prefix+name] = part{contentTypes[path.Ext(name)], content}
		return err
	})
	if err != nil {
		panic(err)
	}
	out["/"] = out[prefix+"index.html"]
	delete(out, prefix+"index.html")
	return out
}
