package confchange_test

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/confchange"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

func newChanger(lastIndex uint64) confchange.Changer {
	return confchange.Changer{Tracker: tracker.MakeProgressTracker(10, 0), LastIndex: lastIndex}
}

// take makes the result of a change the tracker's, and returns its error.
func take(c *confchange.Changer) func(tracker.Config, tracker.ProgressMap, error) error {
	return func(cfg tracker.Config, progress tracker.ProgressMap, err error) error {
		if err == nil {
			c.Tracker.Config, c.Tracker.Progress = cfg, progress
		}
		return err
	}
}

func randomChanges(rng *rand.Rand) []pb.ConfChangeSingle {
	ccs := make([]pb.ConfChangeSingle, 1+rng.Intn(4))
	for i := range ccs {
		ccs[i] = pb.ConfChangeSingle{Type: pb.ConfChangeType(rng.Intn(4)), NodeID: uint64(rng.Intn(8))}
	}
	return ccs
}

// Thesis 4.3: whether a change goes the simple way or through a joint configuration, it ends in
// the same one.
func TestSimpleAndJointWaysMeet(t *testing.T) {
	for seed := int64(0); seed < 300; seed++ {
		rng := rand.New(rand.NewSource(seed))
		c := newChanger(5)
		require.NoError(t, take(&c)(c.Simple(pb.ConfChangeSingle{NodeID: 1})))
		for step := 0; step < 20; step++ {
			ccs := randomChanges(rng)
			cfg, progress, err := c.Simple(ccs...)
			if err != nil {
				continue
			}
			joint := c
			require.NoError(t, take(&joint)(c.EnterJoint(rng.Intn(2) == 0, ccs...)), "seed %d: %v", seed, ccs)
			leftCfg, leftProgress, err := joint.LeaveJoint()
			require.NoError(t, err, "seed %d: %v", seed, ccs)
			require.Equal(t, cfg, leftCfg, "seed %d: %v", seed, ccs)
			require.Equal(t, progress.String(), leftProgress.String(), "seed %d: %v", seed, ccs)
			c.Tracker.Config, c.Tracker.Progress = cfg, progress
		}
	}
}

// Scenario B26: what a configuration's ConfState says, a restart reads back.
func TestRestoreReadsBackEachConfState(t *testing.T) {
	for seed := int64(0); seed < 300; seed++ {
		rng := rand.New(rand.NewSource(seed))
		c := newChanger(5)
		require.NoError(t, take(&c)(c.Simple(pb.ConfChangeSingle{NodeID: 1})))
		for step := 0; step < 20; step++ {
			if len(c.Tracker.Voters[1]) > 0 {
				require.NoError(t, take(&c)(c.LeaveJoint()))
			} else if take(&c)(c.EnterJoint(rng.Intn(2) == 0, randomChanges(rng)...)) != nil {
				continue
			}
			restored := newChanger(5)
			require.NoError(t, take(&restored)(confchange.Restore(restored, c.Tracker.ConfState())))
			require.Equal(t, c.Tracker.Config, restored.Tracker.Config, "seed %d step %d", seed, step)
			require.Equal(t, c.Tracker.Progress.String(), restored.Tracker.Progress.String())
		}
	}
}

// The tracker that a change starts from stays as it is; windows go along.
func TestChangesLeaveTheTrackerAlone(t *testing.T) {
	c := newChanger(5)
	require.NoError(t, take(&c)(c.Simple(pb.ConfChangeSingle{NodeID: 1})))
	before, window := c.Tracker.Config.Clone(), c.Tracker.Progress[1].Inflights
	require.NotNil(t, window)

	cfg, progress, err := c.EnterJoint(true,
		pb.ConfChangeSingle{Type: pb.ConfChangeAddLearnerNode, NodeID: 1}, pb.ConfChangeSingle{NodeID: 2})
	require.NoError(t, err)
	require.Equal(t, "voters=(2)&&(1) learners_next=(1) autoleave", cfg.String())
	require.NotSame(t, c.Tracker.Progress[1], progress[1])
	require.Same(t, window, progress[1].Inflights)
	require.NotNil(t, progress[2].Inflights)
	require.Equal(t, before, c.Tracker.Config)
	require.Len(t, c.Tracker.Progress, 1)
}

func TestARefusedChangeReturnsNothing(t *testing.T) {
	c := newChanger(5)
	cfg, progress, err := c.Simple()
	require.EqualError(t, err, "removed all voters")
	require.Equal(t, tracker.Config{}, cfg)
	require.Nil(t, progress)

	c.Tracker.Voters[0][1] = struct{}{}
	_, _, err = c.Simple()
	require.EqualError(t, err, "no progress for 1")
}

func TestDescribeNamesEachChange(t *testing.T) {
	require.Equal(t, "", confchange.Describe())
	require.Equal(t, "ConfChangeAddNode(1) ConfChangeRemoveNode(2) ConfChangeUpdateNode(3) "+
		"ConfChangeAddLearnerNode(4) 99(5)",
		confchange.Describe(
			pb.ConfChangeSingle{Type: pb.ConfChangeAddNode, NodeID: 1},
			pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode, NodeID: 2},
			pb.ConfChangeSingle{Type: pb.ConfChangeUpdateNode, NodeID: 3},
			pb.ConfChangeSingle{Type: pb.ConfChangeAddLearnerNode, NodeID: 4},
			pb.ConfChangeSingle{Type: 99, NodeID: 5},
		))
}
