package quorum_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/quorum"
)

type acks map[uint64]quorum.Index

func (a acks) AckedIndex(id uint64) (quorum.Index, bool) {
	idx, found := a[id]
	return idx, found
}

func members(ids ...uint64) quorum.MajorityConfig {
	c := quorum.MajorityConfig{}
	for _, id := range ids {
		c[id] = struct{}{}
	}
	return c
}

// Every split of four members over two halves, every assignment of indexes and votes: the maps say
// what the definition says.
func TestJointConfigFollowsTheDefinition(t *testing.T) {
	const n = 4
	forEach(n, 4, func(parts []uint64) {
		var c quorum.JointConfig
		for half := range c {
			c[half] = quorum.MajorityConfig{}
			for i, part := range parts {
				if part&(1<<half) != 0 {
					c[half][uint64(i+1)] = struct{}{}
				}
			}
		}
		forEach(n, 3, func(values []uint64) {
			wantIndex, wantVote := uint64(math.MaxUint64), quorum.VoteWon
			indexes, votes := acks{}, map[uint64]bool{99: true}
			for i, v := range values {
				if v > 0 {
					indexes[uint64(i+1)], votes[uint64(i+1)] = quorum.Index(v), v == 2
				}
			}
			for half := range c {
				acked, granted, refused := []uint64{}, 0, 0
				for id := range c[half] {
					v := values[id-1]
					acked = append(acked, v)
					if v == 2 {
						granted++
					} else if v == 1 {
						refused++
					}
				}
				if len(acked) > 0 {
					wantIndex = min(wantIndex, byDefinition(acked))
				}
				wantVote = quorum.Both(wantVote, outcome(granted, refused, len(acked)))
			}
			require.Equal(t, wantIndex, uint64(c.CommittedIndex(indexes)))
			require.Equal(t, wantVote, c.VoteResult(votes))
		})
	})
}

func TestUnknownVotersCountAsZero(t *testing.T) {
	c := members(1, 2)
	require.Equal(t, quorum.Index(0), c.CommittedIndex(acks{1: 9}))
	require.Equal(t, quorum.Index(0), c.CommittedIndex(stranger{}))
}

// stranger gives a number for everybody, and says that it means nothing.
type stranger struct{}

func (stranger) AckedIndex(uint64) (quorum.Index, bool) { return 77, false }

func TestConfigsOfMoreVotersThanFitOnTheStack(t *testing.T) {
	c, indexes := members(), acks{}
	for id := uint64(1); id <= 51; id++ {
		c[id], indexes[id] = struct{}{}, quorum.Index(id)
	}
	require.Equal(t, quorum.Index(26), c.CommittedIndex(indexes))
}

func TestConfigsHaveTexts(t *testing.T) {
	require.Equal(t, "()", quorum.MajorityConfig(nil).String())
	require.Equal(t, "(1 3 20)", members(20, 3, 1).String())
	require.Equal(t, "(1 2)", quorum.JointConfig{members(1, 2), members()}.String())
	require.Equal(t, "(1 2)&&(2 3)", quorum.JointConfig{members(1, 2), members(2, 3)}.String())
	require.Equal(t, "()&&(4)", quorum.JointConfig{nil, members(4)}.String())
}

func TestSliceIsAscendingAndNilWhenEmpty(t *testing.T) {
	require.Equal(t, []uint64{1, 5, 9}, members(9, 1, 5).Slice())
	require.Nil(t, members().Slice())
	require.Equal(t, map[uint64]struct{}(members(1, 2, 3)),
		quorum.JointConfig{members(1, 2), members(2, 3)}.IDs())
	require.NotNil(t, quorum.JointConfig{}.IDs())
}

// The chart of a joint configuration has one row for each member of either half.
func TestDescribeChartsJointConfigs(t *testing.T) {
	c := quorum.JointConfig{members(1, 2), members(2, 3, 4)}
	require.Equal(t, ""+
		"        idx\n"+
		">         4    (id=1)\n"+
		"xx>       7    (id=2)\n"+
		">         4    (id=3)\n"+
		"xxx>  18446744073709551615    (id=4)\n",
		c.Describe(acks{1: 4, 2: 7, 3: 4, 4: math.MaxUint64}))
	require.Equal(t, "<empty majority quorum>", quorum.JointConfig{}.Describe(acks{}))
}
