package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Claim: with either loop, what is proposed at any member is applied there when propose returns, and by all in
// the same order.
func TestBothLoopsReplicateAndWaitForCommit(t *testing.T) {
	for name, useNode := range map[string]bool{"RawNode": false, "Node": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			members, stop := startGroup(ctx, useNode)
			defer stop()
			for i := range 30 {
				m := members[i%3]
				text := fmt.Sprint("line ", i)
				require.NoError(t, m.propose(ctx, text))
				require.Contains(t, m.applied(), text)
			}
			for len(members[0].applied()) < 30 {
				// A write through it brings a member up to date.
				require.NoError(t, members[0].propose(ctx, "more"))
			}
			longest := members[0].applied()
			for _, m := range members[1:] {
				lines := m.applied()
				n := min(len(lines), len(longest))
				require.Equal(t, longest[:n], lines[:n])
			}
		})
	}
}
