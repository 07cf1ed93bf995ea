package v37

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/compat/mixed"
	"quorate.example/raft/compat/ours"
	"quorate.example/raft/compat/v37/member"
)

// A cluster of v3.7.0 is upgraded member by member to this library and downgraded again, as the test
// of the same name does it with v3.6.0.
func TestRollingUpgradeAndDowngrade(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		for _, members := range []int{3, 5} {
			p := mixed.Plan{
				Seed: seed, Members: members, PreVote: seed&1 != 0, CheckQuorum: seed&2 != 0,
				Old: member.New, New: ours.New, Steps: 600,
			}
			rep, err := mixed.Run(p)
			require.NoError(t, err, fmt.Sprintf("%+v", p))
			require.Greater(t, rep.Acknowledged, 10)
			require.Equal(t, 2*(members+1), rep.Swaps)
		}
	}
}
