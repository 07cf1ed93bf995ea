package v36

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// A member campaigns after ElectionTick plus what was drawn, for each draw: the stand-in for
// crypto/rand.Reader is what v3.6.0 draws from.
func TestDrawIsTheTimeout(t *testing.T) {
	Deterministic()
	for _, timeout := range []int{2, 3, 10, 16, 100, 300} {
		for draw := uint64(0); draw < uint64(timeout); draw += 1 + uint64(timeout)/7 {
			o := host.Options{ID: 1, ElectionTick: timeout, HeartbeatTick: 1, MaxInflightMsgs: 1,
				Draw: func() uint64 { return draw }}
			raw, err := New(o, host.NewDisk(1, 1, pb.ConfState{Voters: []uint64{1, 2}}))
			require.NoError(t, err)
			ticks := 0
			for raw.Basic().Soft.Role == host.Follower {
				raw.Tick()
				ticks++
			}
			require.Equal(t, timeout+int(draw), ticks)
		}
	}
}
