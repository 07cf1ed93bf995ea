package api

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"quorate.example/raft/examples/kv/internal/store"
)

const (
	defaultLimit = 1000
	maxLimit     = 10_000
	// maxPage bounds the bytes of one list; the rest is on the next page.
	maxPage = 4 << 20

	// HeaderRevision carries the revision of a value that is sent raw.
	HeaderRevision = "X-Revision"
)

// Item is one key in JSON.
type Item struct {
	Key string `json:"key"`
	// Value is the value as text, or in base64 if Encoding says so because it is not UTF-8.
	Value    *string `json:"value,omitempty"`
	Encoding string  `json:"encoding,omitempty"`
	Revision uint64  `json:"revision"`
}

// Page is the answer to a list.
type Page struct {
	Items []Item `json:"items"`
	// Revision is the store's.
	Revision uint64 `json:"revision"`
	// More reports whether there are further items; ask for them with after=<the last key>.
	More bool `json:"more"`
}

// Bytes returns the value itself.
func (i Item) Bytes() ([]byte, error) {
	switch {
	case i.Value == nil:
		return nil, nil
	case i.Encoding == "base64":
		return base64.StdEncoding.DecodeString(*i.Value)
	}
	return []byte(*i.Value), nil
}

func encodeItem(x store.Item) Item {
	item := Item{Key: x.Key, Revision: x.Revision}
	if x.Value == nil {
		return item
	}
	text := string(x.Value)
	if !utf8.ValidString(text) {
		item.Encoding = "base64"
		text = base64.StdEncoding.EncodeToString(x.Value)
	}
	item.Value = &text
	return item
}

// key checks the key in the path.
func (r *request) key() (string, error) { return r.arg, checkPlainKey(r.arg) }

// checkPlainKey checks a key that arrived as it is, outside of JSON.
func checkPlainKey(key string) error {
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

func (s *server) get(w http.ResponseWriter, r *request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	raw, err := r.flag("raw")
	if err != nil {
		return err
	}
	if err := s.barrier(r); err != nil {
		return err
	}
	item, err := s.item(key)
	if err != nil {
		return err
	}
	if !raw && r.Header.Get("Accept") != "application/octet-stream" {
		return writeJSON(w, encodeItem(item))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(item.Value)))
	w.Header().Set(HeaderRevision, strconv.FormatUint(item.Revision, 10))
	_, _ = w.Write(item.Value) // a client that is gone needs no answer
	return nil
}

// item returns what this member has at key.
func (s *server) item(key string) (store.Item, error) {
	item, ok, err := s.cfg.Store.Get(key)
	if err == nil && !ok {
		err = &apiError{code: http.StatusNotFound, message: "no such key", field: "key"}
	}
	return item, err
}

func (s *server) put(w http.ResponseWriter, r *request) error {
	if r.ContentLength > s.cfg.MaxBody {
		return &http.MaxBytesError{Limit: s.cfg.MaxBody}
	}
	value, err := io.ReadAll(r.Body)
	if err != nil {
		return bodyError(err)
	}
	return s.write(w, r, store.Command{Op: store.OpPut, Value: value})
}

func (s *server) delete(w http.ResponseWriter, r *request) error {
	return s.write(w, r, store.Command{Op: store.OpDelete})
}

// write carries out a command on the key in the path, under the condition in ?revision if there is one.
func (s *server) write(w http.ResponseWriter, r *request, c store.Command) error {
	var err error
	if c.Key, err = r.key(); err != nil {
		return err
	}
	expect, ok, err := r.number("revision")
	if err != nil {
		return err
	}
	if ok {
		c.Expect = &expect
	}
	if c.Lease, _, err = r.number("lease"); err != nil {
		return err
	}
	result, err := s.change(r.Context(), c)
	if err != nil {
		return err
	}
	answer := map[string]any{"key": c.Key, "revision": result.Revision}
	if c.Op == store.OpDelete {
		answer["deleted"] = result.Changed
	}
	return writeJSON(w, answer)
}

// change carries out a command on a single key.
func (s *server) change(ctx context.Context, c store.Command) (store.Result, error) {
	result, err := s.propose(ctx, c)
	if err == nil && result.Conflict {
		err = &apiError{
			code:     http.StatusConflict,
			message:  "the key has another revision",
			field:    "revision",
			revision: &result.Found,
		}
	}
	return result, err
}

func (s *server) list(w http.ResponseWriter, r *request) error {
	values, err := r.flag("values")
	if err != nil {
		return err
	}
	limit, ok, err := r.number("limit")
	if err != nil {
		return err
	}
	if !ok {
		limit = defaultLimit
	}
	if limit == 0 || limit > maxLimit {
		return badField("limit", "want 1 to %d", maxLimit)
	}
	if err := s.barrier(r); err != nil {
		return err
	}
	page, err := s.cfg.Store.List(store.ListOptions{
		Prefix:   r.query.Get("prefix"),
		After:    r.query.Get("after"),
		Limit:    int(limit),
		MaxBytes: maxPage,
		Values:   values,
	})
	if err != nil {
		return err
	}
	answer := Page{Items: []Item{}, Revision: page.Revision, More: page.More}
	for _, x := range page.Items {
		answer.Items = append(answer.Items, encodeItem(x))
	}
	return writeJSON(w, answer)
}
