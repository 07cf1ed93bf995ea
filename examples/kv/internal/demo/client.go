package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"quorate.example/raft/examples/kv/internal/api"
	"quorate.example/raft/examples/kv/internal/member"
)

type memberStatus = member.Status

// client talks to all members of a cluster.
type client struct {
	http      *http.Client
	ids       []uint64
	addresses map[uint64]string
}

func newClient(addresses map[uint64]string, connections int) *client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: connections + 1,
		MaxConnsPerHost:     0,
		DisableCompression:  true,
	}
	c := &client{http: &http.Client{Transport: transport, Timeout: 10 * time.Second}, addresses: addresses}
	for id := range addresses {
		c.ids = append(c.ids, id)
	}
	slices.Sort(c.ids)
	return c
}

// do sends one request to one member and returns the body of a 200.
func (c *client) do(ctx context.Context, method string, id uint64, path, query string, body []byte) ([]byte, error) {
	u := url.URL{Scheme: "http", Host: c.addresses[id], Path: path, RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &answerError{code: resp.StatusCode, body: string(bytes.TrimSpace(data))}
	}
	return data, nil
}

// answerError is an answer other than 200.
type answerError struct {
	code int
	body string
}

func (e *answerError) Error() string { return fmt.Sprintf("%d %s", e.code, e.body) }

func (c *client) status(ctx context.Context, id uint64) (memberStatus, error) {
	var st memberStatus
	data, err := c.do(ctx, http.MethodGet, id, "/status", "", nil)
	if err == nil {
		err = json.Unmarshal(data, &st)
	}
	return st, err
}

func (c *client) put(ctx context.Context, id uint64, key string, value []byte) error {
	_, err := c.do(ctx, http.MethodPut, id, "/kv/"+key, "", value)
	return err
}

// list calls visit with all keys and values that a member has, in order.
func (c *client) list(ctx context.Context, id uint64, visit func(key string, value []byte) error) error {
	query := url.Values{"values": {"true"}, "limit": {"1000"}}
	for {
		data, err := c.do(ctx, http.MethodGet, id, "/kv", query.Encode(), nil)
		if err != nil {
			return err
		}
		var page api.Page
		if err := json.Unmarshal(data, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			value, err := item.Bytes()
			if err != nil {
				return err
			}
			if err := visit(item.Key, value); err != nil {
				return err
			}
			query.Set("after", item.Key)
		}
		if !page.More {
			return nil
		}
	}
}

// leader returns the leader that most members agree on, 0 if there is none.
func (c *client) leader(ctx context.Context) uint64 {
	votes := map[uint64]int{}
	for _, id := range c.ids {
		if st, err := c.status(ctx, id); err == nil && st.Leader != 0 {
			votes[st.Leader]++
		}
	}
	for id, n := range votes {
		if n > len(c.ids)/2 {
			return id
		}
	}
	return 0
}
