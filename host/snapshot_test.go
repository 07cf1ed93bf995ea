package host_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
)

func smallSnapshots(c *host.Config) {
	c.SnapshotEntries, c.TailEntries, c.TailBytes = 20, 5, -1
}

// Claim: the state is saved after so many entries and the log shortened; a restart begins with the snapshot.
func TestLogIsShortenedAndARestartUsesTheSnapshot(t *testing.T) {
	g := newGroup(t, 1, smallSnapshots)
	events, cancel := g.nodes[1].Subscribe(1000)
	defer cancel()
	for i := 0; i < 50; i++ {
		g.write(fmt.Sprint(i))
	}
	await(t, events, ofKind(host.EventCompacted))
	st := g.nodes[1].Status()
	require.Greater(t, st.FirstLog, uint64(15))
	g.crash(1)
	x := g.start(1, nil)
	require.Equal(t, 1, x.ledger.restores)
	g.write("after")
	require.Len(t, x.ledger.all(), 51)
}

// Claim: the tail that stays in the log is bounded by bytes as well.
func TestTailIsBoundedByBytes(t *testing.T) {
	g := newGroup(t, 1, func(c *host.Config) { c.SnapshotBytes, c.TailBytes = 1<<20, 256<<10 })
	events, cancel := g.nodes[1].Subscribe(1000)
	defer cancel()
	for i := 0; i < 40; i++ {
		g.write(string(make([]byte, 32<<10)))
	}
	e := await(t, events, ofKind(host.EventCompacted))
	require.Greater(t, e.Index, uint64(15))
}

// Claim: a member whose entries are gone from the log gets a snapshot, streamed, and goes on from there. While
// it rebuilds its state it answers others: it takes part in elections and its election timer runs.
func TestMemberThatIsBehindGetsASnapshot(t *testing.T) {
	g := newGroup(t, 3, smallSnapshots)
	g.write("first")
	behind := g.others(g.leader())[0]
	g.crash(behind.id)
	g.silence(behind.id)
	for i := 0; i < 60; i++ {
		g.write(fmt.Sprint(i))
	}
	leader := g.leader()
	g.config = func(c *host.Config) {
		smallSnapshots(c)
		l := c.StateMachine.(*ledger)
		l.slow, l.began = make(chan struct{}), make(chan struct{})
	}
	// It had no snapshot of its own, so Restore is called for the one that arrives.
	back := g.start(behind.id, nil)
	<-back.ledger.began
	for _, x := range g.others(leader) {
		if x.id != back.id {
			g.crash(x.id)
		}
	}
	answer := make(chan error, 1)
	go func() {
		_, err := leader.Propose(g.context(), []byte("while it rebuilds"))
		answer <- err
	}()
	term, begin := leader.Status().Term, leader.Metrics().Ticks
	for leader.Metrics().Ticks < begin+60 && g.context().Err() == nil {
		leader.Status()
	}
	require.Equal(t, term, leader.Status().Term, "only with its answers there is a quorum")
	require.Equal(t, leader.id, back.Status().Leader)
	close(back.ledger.slow)
	require.NoError(t, <-answer)
	require.NoError(t, back.Read(g.context()))
	require.GreaterOrEqual(t, len(back.ledger.all()), 61)
	require.EqualValues(t, 1, back.Metrics().SnapshotsReceived)
}

// Claim: what could not be saved or sent is tried again after a while.
func TestSnapshotsAreTriedAgain(t *testing.T) {
	g := newGroup(t, 3, func(c *host.Config) {
		smallSnapshots(c)
		c.ElectionTicks = 4
	})
	leader := g.leader()
	events, cancel := leader.Subscribe(1000)
	defer cancel()
	leader.snaps.Fail(2, errors.New("no room"))
	behind := g.others(leader)[0]
	g.crash(behind.id)
	g.silence(behind.id)
	for i := 0; i < 60; i++ {
		g.write(fmt.Sprint(i))
	}
	e := await(t, events, ofKind(host.EventSnapshotFailed))
	require.Contains(t, e.Reason, "no room")
	await(t, events, ofKind(host.EventSnapshotTaken))
	await(t, events, ofKind(host.EventCompacted))
	behind = g.nodes[behind.id]
	behind.snaps.Fail(1, errors.New("no room here either"))
	back := g.start(behind.id, nil)
	await(t, events, func(e host.Event) bool { return e.Kind == host.EventSnapshotFailed && e.Member == back.id })
	await(t, events, func(e host.Event) bool { return e.Kind == host.EventSnapshotSent && e.Member == back.id })
	require.NoError(t, back.Read(g.context()))
	require.Len(t, back.ledger.all(), 60)
}

// stallingLog is a log whose disk can be made to stall.
type stallingLog struct {
	*hosttest.Log
	mu   sync.Mutex
	gate chan struct{} // nil: it does not
}

func (l *stallingLog) Save(w host.Write) error {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return l.Log.Save(w)
}

// Claim: for a member that answers and is behind, the log is kept within bounds: it needs no snapshot.
func TestLogIsKeptForAMemberThatAnswers(t *testing.T) {
	logs := map[uint64]*stallingLog{}
	g := newGroup(t, 3, func(c *host.Config) {
		smallSnapshots(c)
		logs[c.ID] = &stallingLog{Log: c.Log.(*hosttest.Log)}
		c.Log = logs[c.ID]
	})
	g.write("first")
	leader := g.leader()
	slow := g.others(leader)[0]
	require.NoError(t, slow.Read(g.context()))
	gate := make(chan struct{})
	logs[slow.id].mu.Lock()
	logs[slow.id].gate = gate
	logs[slow.id].mu.Unlock()
	for i := 0; i < 100; i++ {
		g.write(fmt.Sprint(i))
	}
	require.Greater(t, leader.Status().Snapshot, uint64(60))
	close(gate)
	require.NoError(t, slow.Read(g.context()))
	require.Len(t, slow.ledger.all(), 101)
	require.Zero(t, slow.Metrics().SnapshotsReceived)
}

// Claim: a member that was removed hears of it.
func TestRemovedMemberHearsOfIt(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	gone := g.others(leader)[0]
	require.NoError(t, gone.Read(g.context()))
	events, cancel := gone.Subscribe(100)
	defer cancel()
	_, err := leader.Remove(g.context(), gone.id)
	require.NoError(t, err)
	await(t, events, ofKind(host.EventRemoved))
	g.write("without it")
}
