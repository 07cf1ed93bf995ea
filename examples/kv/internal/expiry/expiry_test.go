package expiry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/expiry"
	"quorate.example/raft/examples/kv/internal/store"
)

// Claim: a lease is due when its TTL has passed since its newest renewal was seen, and a new term begins
// to count anew.
func TestLeaseIsDueAfterItsTTL(t *testing.T) {
	var w expiry.Watch
	start := time.Unix(0, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	lease := func(generation uint64) []store.Lease {
		return []store.Lease{{ID: 7, TTL: 10 * time.Second, Generation: generation}}
	}
	require.Empty(t, w.Due(at(0), 1, lease(1)))
	require.Empty(t, w.Due(at(9), 1, lease(1)))
	require.Equal(t, []store.Command{{Op: store.OpLeaseExpire, Lease: 7, Generation: 1, Term: 1}},
		w.Due(at(10), 1, lease(1)))
	require.Empty(t, w.Due(at(11), 1, lease(2)), "it was renewed")
	require.Empty(t, w.Due(at(30), 2, lease(2)), "another term")
	require.Len(t, w.Due(at(40), 2, lease(2)), 1)
	require.Empty(t, w.Due(at(41), 2, nil))
	require.Empty(t, w.Due(at(60), 2, lease(2)), "it was gone and is there again")
}
