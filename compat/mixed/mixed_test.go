package mixed

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/compat/host"
	"quorate.example/raft/compat/ours"
	"quorate.example/raft/compat/v36"
)

func TestMain(m *testing.M) {
	v36.Deterministic()
	m.Run()
}

func eager(o host.Options, st *host.Disk) (host.Raw, error) {
	o.Eager = true
	return ours.New(o, st)
}

// A cluster of v3.6.0 is upgraded member by member to this library and downgraded again, under load,
// losses, restarts, changes of the configuration, snapshots and transfers. No acknowledged entry is lost
// or moves, no read misses one, and in the end there is one leader and one state.
func TestRollingUpgradeAndDowngrade(t *testing.T) {
	var sum Report
	for seed := uint64(1); seed <= 12; seed++ {
		for _, members := range []int{3, 5} {
			p := Plan{
				Seed: seed, Members: members, PreVote: seed&1 != 0, CheckQuorum: seed&2 != 0,
				Old: v36.New, New: ours.New, Steps: 600,
			}
			if seed%4 == 3 {
				p.New = eager
			}
			rep, err := Run(p)
			require.NoError(t, err, fmt.Sprintf("%+v", p))
			sum.Acknowledged += rep.Acknowledged
			sum.Reads += rep.Reads
			sum.Snapshots += rep.Snapshots
			sum.Changes += rep.Changes
			sum.Transfers += rep.Transfers
			sum.Elections += rep.Elections
			sum.Swaps += rep.Swaps
		}
	}
	t.Logf("%+v", sum)
	require.Greater(t, sum.Acknowledged, 1000)
	require.Greater(t, sum.Reads, 100)
	require.Greater(t, sum.Snapshots, 10)
	require.Greater(t, sum.Changes, 100)
}

// The same seed gives the same run, so that a seed is a bug report.
func TestSameSeedSameRun(t *testing.T) {
	p := Plan{Seed: 99, Members: 3, PreVote: true, CheckQuorum: true, Old: v36.New, New: ours.New, Steps: 300}
	a, errA := Run(p)
	b, errB := Run(p)
	require.NoError(t, errA)
	require.NoError(t, errB)
	require.Equal(t, a, b)
}
