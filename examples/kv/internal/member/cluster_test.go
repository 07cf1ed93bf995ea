package member_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/kvtest"
	"quorate.example/raft/examples/kv/internal/member"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/host"
)

// put writes until a write is acknowledged: a command that was with a leader when it died comes back
// with ErrUnknown, and putting twice does no harm.
func put(t *testing.T, m *kvtest.Member, key, value string) store.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), kvtest.Patience)
	defer cancel()
	for {
		result, err := m.Member.Propose(ctx, store.Command{Op: store.OpPut, Key: key, Value: []byte(value)})
		if !errors.Is(err, member.ErrUnknown) || ctx.Err() != nil {
			require.NoError(t, err)
			return result
		}
	}
}

// read returns the value that a linearizable read on m finds, "" if there is none.
func read(t *testing.T, m *kvtest.Member, key string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), kvtest.Patience)
	defer cancel()
	require.NoError(t, m.Member.Barrier(ctx))
	item, _, err := m.Store.Get(key)
	require.NoError(t, err)
	return string(item.Value)
}

func status(t *testing.T, m *kvtest.Member) member.Status {
	t.Helper()
	st, err := m.Member.Status(t.Context())
	require.NoError(t, err)
	return st
}

// Claim: what any member acknowledged, a linearizable read on any other finds.
func TestEveryMemberReadsWhatAnotherAcknowledged(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	for i := range 30 {
		writer, reader := c.Members[uint64(i%3+1)], c.Members[uint64((i+1)%3+1)]
		put(t, writer, "key", fmt.Sprint(i))
		require.Equal(t, fmt.Sprint(i), read(t, reader, "key"))
	}
}

// Claim: nothing that was acknowledged is lost with the leader, and the old leader catches up.
func TestAcknowledgedWritesSurviveTheLeader(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	old := c.Leader()
	for i := range 20 {
		put(t, c.Members[uint64(i%3+1)], fmt.Sprintf("before-%d", i), "x")
	}
	c.Stop(old.ID)
	for i := range 20 {
		put(t, c.Running(), fmt.Sprintf("after-%d", i), "y")
	}
	back := c.Start(old.ID)
	for i := range 20 {
		require.Equal(t, "x", read(t, back, fmt.Sprintf("before-%d", i)))
		require.Equal(t, "y", read(t, back, fmt.Sprintf("after-%d", i)))
	}
}

// Claim: of many compare-and-swaps on one revision exactly one wins, wherever they are proposed.
func TestOneCompareAndSwapWins(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	for round := range 5 {
		expect := put(t, c.Members[1], "key", "start").Revision
		var won atomic.Int32
		var running sync.WaitGroup
		for i := range 12 {
			running.Go(func() {
				result, err := c.Members[uint64(i%3+1)].Member.Propose(t.Context(), store.Command{
					Op: store.OpPut, Key: "key", Value: []byte("mine"), Expect: &expect,
				})
				if err == nil && result.Changed {
					won.Add(1)
				}
			})
		}
		running.Wait()
		require.EqualValues(t, 1, won.Load(), "round %d", round)
	}
}

// Claim: without a quorum nothing is acknowledged, and the caller learns whether something may come of
// the command; with the quorum back the member serves again.
func TestNoQuorumNoAcknowledgement(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	leader := c.Leader()
	var others []uint64
	for id := range c.Members {
		if id != leader.ID {
			others = append(others, id)
			c.Stop(id)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := leader.Member.Propose(ctx, store.Command{Op: store.OpPut, Key: "a"})
	require.Error(t, err)
	require.ErrorIs(t, leader.Member.Barrier(ctx), member.ErrNoLeader)
	kvtest.Eventually(t, func() bool { return status(t, leader).Leader == 0 }, "it still leads")
	st := status(t, leader)
	require.Contains(t, strings.Join(st.Explain, " "), "There is no leader")
	require.True(t, slices.ContainsFunc(st.Events, func(e member.Event) bool {
		return e.Kind == string(host.EventLeaderLost) && e.Text != "" && !e.Time.IsZero()
	}))
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = leader.Member.Propose(ctx, store.Command{Op: store.OpPut, Key: "b"})
	require.ErrorIs(t, err, member.ErrNoLeader)
	c.Start(others[0])
	put(t, leader, "c", "3")
	require.Empty(t, read(t, leader, "b"), "what was never handed over must not appear")
}

// Claim: a restarted member applies only what it had not applied, and remembers the rest.
func TestRestartReplaysOnlyWhatWasNotApplied(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{})
	for i := range 10 {
		put(t, c.Members[1], fmt.Sprint(i), "v")
	}
	c.Stop(1)
	again := c.Start(1)
	require.EqualValues(t, 11, put(t, again, "next", "v").Revision)
	// Its own first entry as the leader, and the put.
	require.EqualValues(t, 2, status(t, again).AppliedEntries)
}

// Claim: a learner gets a snapshot if the log does not reach back to the beginning, becomes a
// voter by promotion, and can be wiped and added again.
func TestLearnerCatchesUpBySnapshot(t *testing.T) {
	c := kvtest.NewLimited(t, 3, store.Options{}, member.Limits{SnapshotEntries: 20, KeepEntries: 5})
	fill := func(prefix string) {
		for i := range 60 {
			put(t, c.Members[1], fmt.Sprintf("%s-%d", prefix, i), prefix)
		}
	}
	fill("first")
	ctx, cancel := context.WithTimeout(t.Context(), kvtest.Patience)
	defer cancel()
	address := c.Prepare(4)
	learner := c.Start(4)
	require.NoError(t, c.Members[2].Member.AddLearner(ctx, 4, address))
	require.Equal(t, "first", read(t, learner, "first-0"))
	require.EqualValues(t, 1, status(t, learner).InstalledSnapshots)

	behind := status(t, learner).LastLog
	c.Stop(4)                          // falls behind a second time, with an old state
	kvtest.Eventually(t, func() bool { // the leader keeps the log for a while for a member that answered
		fill("second")
		return status(t, c.Leader()).FirstLog > behind+1
	}, "the log is not cut")
	learner = c.Start(4)
	require.Equal(t, "second", read(t, learner, "second-59"))
	require.EqualValues(t, 1, status(t, learner).InstalledSnapshots)

	require.NoError(t, c.Members[3].Member.Remove(ctx, 4))
	c.Stop(4)
	require.NoError(t, os.RemoveAll(c.Dir(4)))
	learner = c.Start(4)
	require.NoError(t, c.Members[1].Member.AddLearner(ctx, 4, address))
	require.Equal(t, "first", read(t, learner, "first-59"))
	require.NoError(t, learner.Member.Promote(ctx, 4))
	require.NoError(t, learner.Member.Transfer(ctx, 4))
	require.EqualValues(t, 4, c.Leader().ID)
	put(t, c.Members[1], "last", "1")
	require.Equal(t, "1", read(t, learner, "last"))
}

// Claim: the leader can be removed; the rest goes on and the removed member stops.
func TestRemovedLeaderStops(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	leader := c.Leader()
	require.NoError(t, leader.Member.Remove(t.Context(), leader.ID))
	select {
	case err := <-leader.Err:
		require.ErrorIs(t, err, member.ErrRemoved)
		leader.Err <- err // for the cleanup
	case <-time.After(kvtest.Patience):
		require.Fail(t, "it still runs")
	}
	c.Stop(leader.ID)
	rest := c.Leader()
	put(t, rest, "key", "value")
	members, err := rest.Member.Members(t.Context())
	require.NoError(t, err)
	require.Len(t, members, 2)
}

// Claim: a learner that has not caught up gets no vote, whichever member is asked, and the answer says so.
func TestPromotionWaitsForTheLearner(t *testing.T) {
	c := kvtest.New(t, 3, store.Options{})
	put(t, c.Leader(), "key", "value")
	require.NoError(t, c.Leader().Member.AddLearner(t.Context(), 4, c.Prepare(4)))
	for id := uint64(1); id <= 3; id++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		var refused *member.ChangeError
		require.ErrorAs(t, c.Members[id].Member.Promote(ctx, 4), &refused, "member %d", id)
		require.Contains(t, refused.Reason, "has not caught up")
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), kvtest.Patience)
	defer cancel()
	c.Start(4)
	require.NoError(t, c.Members[1].Member.Promote(ctx, 4))
}

// Claim: changes that do not fit are refused before they reach the log.
func TestUnfitChangesAreRefused(t *testing.T) {
	c := kvtest.New(t, 1, store.Options{})
	m := c.Leader().Member
	var refused *member.ChangeError
	require.ErrorAs(t, m.AddLearner(t.Context(), 1, "127.0.0.1:1"), &refused)
	require.ErrorAs(t, m.AddLearner(t.Context(), 2, c.Members[1].Address), &refused)
	require.ErrorAs(t, m.Promote(t.Context(), 1), &refused)
	require.ErrorAs(t, m.Remove(t.Context(), 1), &refused)
	require.False(t, refused.Unknown)
	require.ErrorAs(t, m.Remove(t.Context(), 7), &refused)
	require.True(t, refused.Unknown)
	require.ErrorAs(t, m.Transfer(t.Context(), 7), &refused)
}
