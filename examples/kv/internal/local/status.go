package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Status is what the benchmark and the drill read of a member's /status.
type Status struct {
	ID       uint64 `json:"id"`
	Leader   uint64 `json:"leader"`
	Term     uint64 `json:"term"`
	Commit   uint64 `json:"commit"`
	Applied  uint64 `json:"applied"`
	Revision uint64 `json:"revision"`
	FirstLog uint64 `json:"first_log"`
	LastLog  uint64 `json:"last_log"`
}

// FetchStatus asks a member at an HTTP address where it stands.
func FetchStatus(ctx context.Context, client *http.Client, address string) (Status, error) {
	var st Status
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/status", nil)
	if err != nil {
		return st, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return st, fmt.Errorf("%s: %s", address, resp.Status)
	}
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// poll is how often something is looked at that happens in another process.
const poll = 10 * time.Millisecond

// Until calls claim until it holds, or ctx ends.
func Until(ctx context.Context, claim func() bool) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for !claim() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
