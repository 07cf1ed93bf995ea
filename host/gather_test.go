package host_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
)

// lone is a group of one member, driven by hand.
type lone struct {
	*host.Manual
	t        *testing.T
	answered int
	saved    []int // entries of each save
}

func newLone(t *testing.T, gather time.Duration) *lone {
	t.Helper()
	m, err := host.NewManual(host.Config{
		ID: 1, Log: hosttest.NewLog(), Snapshots: &hosttest.Snapshots{}, StateMachine: &ledger{},
		Transport: &simMember{}, Bootstrap: []raft.Peer{{ID: 1}}, TickInterval: time.Second, GatherTime: gather,
		Seed: 1, Logger: raft.DiscardLogger(),
	})
	require.NoError(t, err)
	x := &lone{Manual: m, t: t}
	for i := 0; i < 50 && m.Status().Leader != 1; i++ {
		m.Tick()
		x.settle()
	}
	require.EqualValues(t, 1, m.Status().Leader)
	x.saved = nil
	return x
}

// settle does all tasks until there are no more.
func (x *lone) settle() {
	for {
		_, tasks := x.Take()
		if len(tasks) == 0 {
			return
		}
		for _, task := range tasks {
			if task.Name == "save" && task.Entries > 0 {
				x.saved = append(x.saved, task.Entries)
			}
			task.Run()
			x.Finish(task)
		}
	}
}

// propose proposes n entries at once.
func (x *lone) propose(n int) {
	x.Together(func() {
		for i := 0; i < n; i++ {
			x.Propose([]byte("x"), func(_ host.Result, err error) {
				require.NoError(x.t, err)
				x.answered++
			})
		}
	})
	x.settle()
}

// Claim: after many proposals were under way at once, the next ones wait until half as many have come, and are
// written in one piece.
func TestProposalsWaitForOneAnother(t *testing.T) {
	x := newLone(t, time.Millisecond)
	x.propose(10)
	require.Equal(t, 10, x.answered)
	for i := 0; i < 4; i++ {
		x.propose(1)
	}
	require.Equal(t, 10, x.answered)
	x.propose(1)
	require.Equal(t, 15, x.answered)
	require.Equal(t, []int{10, 5}, x.saved)
}

// Claim: the wait has an end, and those who came are the measure of the next one: a caller who is alone waits
// once and never again.
func TestProposalsDoNotWaitForThoseWhoAreGone(t *testing.T) {
	x := newLone(t, time.Millisecond)
	x.propose(10)
	x.propose(1)
	require.Equal(t, 10, x.answered)
	x.Tick()
	x.settle()
	require.Equal(t, 11, x.answered)
	for i := 0; i < 3; i++ {
		x.propose(1)
		require.Equal(t, 12+i, x.answered)
	}
}

// Claim: without GatherTime nobody waits.
func TestProposalsWaitOnlyIfTold(t *testing.T) {
	x := newLone(t, 0)
	x.propose(10)
	x.propose(1)
	require.Equal(t, 11, x.answered)
}

// Claim: with a clock, the wait ends by itself before the next tick.
func TestWaitEndsByTheClock(t *testing.T) {
	g := newGroup(t, 1, func(c *host.Config) { c.GatherTime, c.TickInterval = time.Millisecond, 20*time.Millisecond })
	g.write("first")
	x := g.leader()
	answers := make(chan error, 8)
	for round := 0; round < 20; round++ {
		for i := 0; i < 8; i++ {
			go func() {
				_, err := x.Propose(g.context(), []byte("x"))
				answers <- err
			}()
		}
		for i := 0; i < 8; i++ {
			require.NoError(t, <-answers)
		}
		_, err := x.Propose(g.context(), []byte("alone"))
		require.NoError(t, err)
	}
	_, err := host.NewManual(host.Config{
		ID: 1, Log: hosttest.NewLog(), Snapshots: &hosttest.Snapshots{}, StateMachine: &ledger{},
		Transport: &simMember{}, GatherTime: -1,
	})
	require.ErrorIs(t, err, host.ErrConfig)
}
