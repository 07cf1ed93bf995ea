package tracker_test

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/tracker"
)

// follower returns a progress of the given state with a window for size appends.
func follower(state tracker.StateType, match, next uint64, size int) *tracker.Progress {
	return &tracker.Progress{
		State: state, Match: match, Next: next, RecentActive: true,
		Inflights: tracker.NewInflights(size, 0),
	}
}

func TestAProbeWaitsForItsAnswer(t *testing.T) {
	pr := follower(tracker.StateProbe, 3, 8, 4)
	pr.SentEntries(0, 0)
	require.False(t, pr.IsPaused(), "an empty append asks nothing that has to be waited for")
	pr.SentEntries(2, 100)
	require.True(t, pr.IsPaused())
	require.Equal(t, uint64(8), pr.Next)
	require.Zero(t, pr.Inflights.Count())

	require.True(t, pr.MaybeUpdate(5))
	require.False(t, pr.IsPaused())
}

// Thesis 10.2.1: appends go out ahead of the acknowledgements until the window is full.
func TestReplicationStreamsUntilTheWindowIsFull(t *testing.T) {
	pr := follower(tracker.StateReplicate, 3, 4, 2)
	pr.SentEntries(2, 100)
	require.False(t, pr.IsPaused())
	pr.SentEntries(1, 100)
	require.True(t, pr.IsPaused())
	require.Equal(t, uint64(7), pr.Next)
	require.Equal(t, 2, pr.Inflights.Count())

	// The pause follows the window only when something is sent.
	pr.Inflights.FreeLE(5)
	require.True(t, pr.IsPaused())
	pr.SentEntries(0, 0)
	require.False(t, pr.IsPaused())

	pr.Inflights.Add(9, 0)
	pr.SentEntries(0, 0)
	require.True(t, pr.IsPaused())
}

func TestReplicationWithoutAWindowIsNeverPaused(t *testing.T) {
	pr := &tracker.Progress{State: tracker.StateReplicate, Next: 1}
	pr.SentEntries(5, 100)
	require.Equal(t, uint64(6), pr.Next)
	require.False(t, pr.IsPaused())
	pr.BecomeProbe()
	require.Equal(t, uint64(1), pr.Next)
}

func TestAFollowerThatAwaitsASnapshotGetsNoAppends(t *testing.T) {
	pr := follower(tracker.StateReplicate, 1, 2, 2)
	pr.BecomeSnapshot(9)
	require.True(t, pr.IsPaused())
	require.Equal(t, uint64(9), pr.PendingSnapshot)
	require.Equal(t, uint64(10), pr.Next)
	require.Panics(t, func() { pr.SentEntries(1, 1) })
}

func TestProbingStartsBehindWhatTheFollowerHas(t *testing.T) {
	pr := follower(tracker.StateReplicate, 3, 4, 2)
	pr.SentEntries(4, 1)
	pr.BecomeProbe()
	require.Equal(t, tracker.StateProbe, pr.State)
	require.Equal(t, uint64(4), pr.Next)
	require.Zero(t, pr.Inflights.Count())

	pr.BecomeSnapshot(9)
	pr.BecomeProbe()
	require.Equal(t, uint64(10), pr.Next, "a snapshot that ended is taken for arrived")
	require.Zero(t, pr.PendingSnapshot)

	pr = follower(tracker.StateReplicate, 12, 13, 2)
	pr.BecomeSnapshot(9)
	pr.BecomeProbe()
	require.Equal(t, uint64(13), pr.Next, "the log may have overtaken the snapshot")
}

func TestReplicationStartsBehindMatch(t *testing.T) {
	pr := follower(tracker.StateProbe, 3, 9, 2)
	pr.SentEntries(1, 1)
	pr.BecomeReplicate()
	require.Equal(t, tracker.StateReplicate, pr.State)
	require.Equal(t, uint64(4), pr.Next)
	require.False(t, pr.IsPaused())
}

func TestAcknowledgementsMoveMatchUpOnly(t *testing.T) {
	pr := follower(tracker.StateReplicate, 3, 6, 2)
	require.False(t, pr.MaybeUpdate(2))
	require.False(t, pr.MaybeUpdate(3))
	require.True(t, pr.MaybeUpdate(4))
	require.Equal(t, []uint64{4, 6}, []uint64{pr.Match, pr.Next})
	require.True(t, pr.MaybeUpdate(8))
	require.Equal(t, []uint64{8, 9}, []uint64{pr.Match, pr.Next})
}

func TestRefusalsMoveNextBack(t *testing.T) {
	for name, c := range map[string]struct {
		state          tracker.StateType
		match, next    uint64
		rejected, hint uint64
		moved          bool
		want           uint64
	}{
		"streaming, behind Match":    {tracker.StateReplicate, 5, 10, 5, 5, false, 10},
		"streaming, above Match":     {tracker.StateReplicate, 5, 10, 9, 2, true, 6},
		"probe, not the last one":    {tracker.StateProbe, 0, 10, 8, 2, false, 10},
		"probe, hint below":          {tracker.StateProbe, 0, 10, 9, 2, true, 3},
		"probe, hint above":          {tracker.StateProbe, 0, 10, 9, 20, true, 9},
		"probe, never to Match":      {tracker.StateProbe, 7, 10, 9, 2, true, 8},
		"probe, hint that wraps":     {tracker.StateProbe, 0, 10, 9, math.MaxUint64, true, 1},
		"probe, of the log's start":  {tracker.StateProbe, 0, 1, 0, 0, true, 1},
		"snapshot, of the last sent": {tracker.StateSnapshot, 3, 10, 9, 4, true, 5},
	} {
		pr := follower(c.state, c.match, c.next, 2)
		require.Equal(t, c.moved, pr.MaybeDecrTo(c.rejected, c.hint), name)
		require.Equal(t, c.want, pr.Next, name)
	}
}

func TestARefusalEndsTheWaitOfAProbe(t *testing.T) {
	pr := follower(tracker.StateProbe, 0, 10, 2)
	pr.SentEntries(1, 1)
	require.False(t, pr.MaybeDecrTo(4, 1))
	require.True(t, pr.IsPaused())
	require.True(t, pr.MaybeDecrTo(9, 1))
	require.False(t, pr.IsPaused())
}

// A leader whose search takes long goes back in larger steps, so the refusals of one probing count; those that
// are stale do not.
func TestRefusalsOfOneProbingAreCounted(t *testing.T) {
	pr := follower(tracker.StateProbe, 0, 1000, 2)
	for n := 0; n < 300; n++ {
		require.Equal(t, min(n, 255), pr.Refusals())
		require.False(t, pr.MaybeDecrTo(pr.Next, 0))
		require.True(t, pr.MaybeDecrTo(pr.Next-1, pr.Next-2))
	}
	pr.BecomeReplicate()
	pr.BecomeProbe()
	require.Zero(t, pr.Refusals())
}

func TestCommitIsSentAsFarAsTheFollowerCanTakeIt(t *testing.T) {
	pr := follower(tracker.StateReplicate, 3, 6, 2)
	require.True(t, pr.CanBumpCommit(4))
	pr.SentCommit(4)
	require.Equal(t, uint64(4), pr.CommitSent())
	require.False(t, pr.CanBumpCommit(4))
	require.True(t, pr.CanBumpCommit(9))
	pr.SentCommit(9)
	require.False(t, pr.CanBumpCommit(10), "all that it has is known to be committed")
}

// A commit index beyond the place that is probed may be lost with the append that carried it.
func TestCommitSentFallsBackWithNext(t *testing.T) {
	start := func() *tracker.Progress {
		pr := follower(tracker.StateReplicate, 3, 20, 2)
		pr.SentCommit(15)
		return pr
	}
	pr := start()
	pr.BecomeProbe()
	require.Equal(t, uint64(3), pr.CommitSent())

	pr = start()
	require.True(t, pr.MaybeDecrTo(8, 8))
	require.Equal(t, uint64(3), pr.CommitSent())

	pr = start()
	pr.State = tracker.StateProbe
	require.True(t, pr.MaybeDecrTo(19, 9))
	require.Equal(t, uint64(9), pr.CommitSent())

	pr = start()
	pr.BecomeSnapshot(17)
	require.Equal(t, uint64(17), pr.CommitSent())

	pr = start()
	pr.BecomeReplicate()
	require.Equal(t, uint64(15), pr.CommitSent())
}

// Thesis 3.5: whatever comes in whatever order, Next stays above Match and the pause is honest.
func TestNextStaysAboveMatch(t *testing.T) {
	for seed := int64(0); seed < 200; seed++ {
		rng := rand.New(rand.NewSource(seed))
		pr := follower(tracker.StateProbe, 0, 1, 4)
		for step := 0; step < 200; step++ {
			index := uint64(rng.Intn(30))
			match := pr.Match
			switch rng.Intn(7) {
			case 0:
				pr.BecomeProbe()
			case 1:
				pr.BecomeReplicate()
			case 2:
				pr.BecomeSnapshot(pr.Match + index)
			case 3:
				pr.MaybeUpdate(index)
			case 4:
				pr.MaybeDecrTo(pr.Next-1, index)
			case 5:
				pr.Inflights.FreeLE(index)
			case 6:
				if !pr.IsPaused() {
					pr.SentEntries(rng.Intn(4), index)
				}
			}
			require.Greater(t, pr.Next, pr.Match, "seed %d step %d", seed, step)
			require.GreaterOrEqual(t, pr.Match, match, "seed %d step %d", seed, step)
			if pr.State == tracker.StateReplicate && pr.Inflights.Full() {
				require.True(t, pr.IsPaused(), "seed %d step %d", seed, step)
			}
		}
	}
}

func TestProgressHasAText(t *testing.T) {
	pr := follower(tracker.StateReplicate, 11, 15, 3)
	require.Equal(t, "StateReplicate match=11 next=15", pr.String())
	pr.SentEntries(1, 1)
	require.Equal(t, "StateReplicate match=11 next=16 inflight=1", pr.String())
	pr.SentEntries(1, 1)
	pr.SentEntries(1, 1)
	require.Equal(t, "StateReplicate match=11 next=18 paused inflight=3[full]", pr.String())

	pr = &tracker.Progress{IsLearner: true, Next: 1}
	require.Equal(t, "StateProbe match=0 next=1 learner inactive", pr.String())
	pr.BecomeSnapshot(11)
	require.Equal(t, "StateSnapshot match=0 next=12 learner paused pendingSnap=11 inactive", pr.String())

	require.Equal(t, "StateType(9)", tracker.StateType(9).String())
	require.Equal(t, "1: StateProbe match=0 next=1 inactive\n3: StateProbe match=2 next=3 inactive\n",
		tracker.ProgressMap{3: {Match: 2, Next: 3}, 1: {Next: 1}}.String())
}
