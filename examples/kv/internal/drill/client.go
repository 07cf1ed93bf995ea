package drill

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// requestTimeout is what a member gets for a request, patience what a client waits for the answer.
	requestTimeout = 2 * time.Second
	patience       = 3 * time.Second
	pageKeys       = 5000
)

// api speaks to members over HTTP.
type api struct{ http *http.Client }

func newAPI(connections int) *api {
	return &api{http: &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: connections, DisableCompression: true,
			DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
		},
	}}
}

// answer is a member's answer to a request.
type answer struct {
	code int
	body []byte
}

func (a *api) do(ctx context.Context, method, address, path string, query url.Values, body []byte) (answer, error) {
	u := url.URL{Scheme: "http", Host: address, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, data}, err
}

// fail is the answer as an error.
func (x answer) fail() error { return fmt.Errorf("%d %s", x.code, bytes.TrimSpace(x.body)) }

// untouched reports whether a failed request certainly changed nothing: it was never sent, or the
// member says so.
func untouched(x answer, err error) bool {
	if err != nil {
		var dial *net.OpError
		return errors.As(err, &dial) && dial.Op == "dial"
	}
	return x.code == http.StatusServiceUnavailable && strings.Contains(string(x.body), "nothing was changed")
}

// verdict is what came of a request.
type verdict int

const (
	verdictDone verdict = iota
	verdictNothing
	verdictUnknown
)

// item is a key with its value and revision in JSON.
type item struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Encoding string `json:"encoding"`
	Revision uint64 `json:"revision"`
}

// padding makes values large enough to fill logs, but not the memory of the drill.
var padding = strings.Repeat(".", 300)

// text returns the value without its padding.
func (x item) text() (string, error) {
	if x.Encoding != "base64" {
		return strings.Clone(strings.TrimSuffix(x.Value, padding)), nil
	}
	data, err := base64.StdEncoding.DecodeString(x.Value)
	return string(data), err
}

// request carries out what in says on a key.
func (a *api) request(ctx context.Context, address, key string, in input) (output, verdict, error) {
	query := url.Values{"timeout": {requestTimeout.String()}}
	method, body := http.MethodGet, []byte(nil)
	if in.Verb != verbGet {
		method, body = http.MethodPut, []byte(in.Value+padding)
	}
	if in.Verb == verbCAS {
		query.Set("revision", strconv.FormatUint(in.Expect, 10))
	}
	x, err := a.do(ctx, method, address, "/kv/"+key, query, body)
	switch {
	case err == nil && x.code == http.StatusNotFound && in.Verb == verbGet:
		return output{}, verdictDone, nil
	case err == nil && (x.code == http.StatusOK || x.code == http.StatusConflict && in.Verb == verbCAS):
		var found item
		if err := json.Unmarshal(x.body, &found); err != nil {
			return output{}, verdictUnknown, err
		}
		value, err := found.text()
		return output{Value: value, Revision: found.Revision, Conflict: x.code == http.StatusConflict}, verdictDone, err
	}
	v := verdictUnknown
	if in.Verb == verbGet || untouched(x, err) {
		v = verdictNothing
	}
	if err == nil {
		err = x.fail()
	}
	return output{}, v, err
}

// list calls visit with every key that a member has, in order.
func (a *api) list(ctx context.Context, address string, visit func(item)) error {
	query := url.Values{"values": {"true"}, "limit": {strconv.Itoa(pageKeys)}}
	for {
		x, err := a.do(ctx, http.MethodGet, address, "/kv", query, nil)
		if err != nil {
			return err
		}
		if x.code != http.StatusOK {
			return x.fail()
		}
		var page struct {
			Items []item `json:"items"`
			More  bool   `json:"more"`
		}
		if err := json.Unmarshal(x.body, &page); err != nil {
			return err
		}
		for _, i := range page.Items {
			visit(i)
			query.Set("after", i.Key)
		}
		if !page.More {
			return nil
		}
	}
}
