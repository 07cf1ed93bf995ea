package host_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/host"
)

// Claim: Propose returns what the state machine answered, with index and term, and every member applies the
// same.
func TestProposeReturnsWhatTheStateMachineAnswered(t *testing.T) {
	for _, n := range []int{1, 3} {
		g := newGroup(t, n, nil)
		for i := 1; i <= 20; i++ {
			result := g.write(fmt.Sprint("line ", i))
			require.Equal(t, i, result.Value)
			require.NotZero(t, result.Term)
			require.Greater(t, result.Index, uint64(i))
		}
		for _, x := range g.nodes {
			require.NoError(t, x.Read(g.context()))
			require.Len(t, x.ledger.all(), 20)
		}
	}
}

// Claim: concurrent proposals are all answered, each with its own result.
func TestConcurrentProposalsGetTheirOwnResults(t *testing.T) {
	g := newGroup(t, 3, nil)
	var mu sync.Mutex
	results := map[string]int{}
	var wg sync.WaitGroup
	for c := 0; c < 32; c++ {
		c := c
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 20; i++ {
				text := fmt.Sprintf("%d/%d", c, i)
				result, err := g.try(func() (host.Result, error) {
					return g.leader().Propose(g.context(), []byte(text))
				})
				if err != nil {
					t.Errorf("%s: %v", text, err)
					return
				}
				mu.Lock()
				results[text] = result.Value.(int)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	leader := g.leader()
	require.NoError(t, leader.Read(g.context()))
	lines := leader.ledger.all()
	require.Len(t, lines, 640)
	for text, at := range results {
		require.Equal(t, text, lines[at-1])
	}
	m := leader.Metrics()
	require.Less(t, m.Syncs, uint64(600), "syncs are shared")
}

// Claim: a follower names the leader, and nothing was proposed.
func TestFollowerNamesTheLeader(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	follower := g.others(leader)[0]
	_, err := follower.AwaitLeader(g.context())
	require.NoError(t, err)
	_, err = follower.Propose(g.context(), []byte("no"))
	require.ErrorIs(t, err, host.ErrNotLeader)
	var notLeader *host.NotLeaderError
	require.ErrorAs(t, err, &notLeader)
	require.Equal(t, leader.id, notLeader.Leader)
	require.NoError(t, follower.Read(g.context()))
	require.Empty(t, follower.ledger.all())
}

// Claim: with Config.Forward a follower's proposals are answered there, once each, also on a network that
// doubles them.
func TestFollowerForwardsAndAnswers(t *testing.T) {
	g := newGroup(t, 3, func(c *host.Config) { c.Forward = true })
	g.net.Double(3) // MsgProp is 2 and MsgApp 3: appends twice do no harm
	g.net.Double(2)
	leader := g.leader()
	for _, x := range g.others(leader) {
		_, err := x.AwaitLeader(g.context())
		require.NoError(t, err)
		for i := 0; i < 20; i++ {
			result, err := g.try(func() (host.Result, error) {
				return x.Propose(g.context(), []byte(fmt.Sprintf("%d/%d", x.id, i)))
			})
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%d/%d", x.id, i), x.ledger.all()[result.Value.(int)-1])
		}
	}
	require.NoError(t, leader.Read(g.context()))
	require.Len(t, leader.ledger.all(), 40)
}

// Claim: a leader that appends for others in the same turn does not take their entries for its own.
func TestOwnAndForwardedProposalsAreKeptApart(t *testing.T) {
	g := newGroup(t, 3, func(c *host.Config) { c.Forward = true })
	g.leader()
	var wg sync.WaitGroup
	for _, x := range g.nodes {
		_, err := x.AwaitLeader(g.context())
		require.NoError(t, err)
		for c := 0; c < 8; c++ {
			x, c := x, c
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; i < 20; i++ {
					text := fmt.Sprintf("%d/%d/%d", x.id, c, i)
					result, err := g.try(func() (host.Result, error) { return x.Propose(g.context(), []byte(text)) })
					if err != nil {
						t.Errorf("%s: %v", text, err)
						return
					}
					if got := x.ledger.all()[result.Value.(int)-1]; got != text {
						t.Errorf("%s got the answer of %s", text, got)
					}
				}
			}()
		}
	}
	wg.Wait()
}

// Claim: bytes that look like a frame come out as they went in.
func TestDataThatLooksLikeAFrameIsKept(t *testing.T) {
	g := newGroup(t, 1, nil)
	text := host.FrameMagic + string(make([]byte, 40))
	g.write(text)
	require.Equal(t, []string{text}, g.nodes[1].ledger.all())
}

// Claim: without a leader a proposal is dropped, and says so.
func TestProposalWithoutLeaderIsDropped(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	for _, x := range g.others(leader) {
		g.crash(x.id)
	}
	events, cancel := leader.Subscribe(100)
	defer cancel()
	if leader.Status().Leader == leader.id {
		await(t, events, ofKind(host.EventLeaderLost))
	}
	_, err := leader.Propose(g.context(), []byte("x"))
	require.ErrorIs(t, err, host.ErrDropped)
	var drop *host.DroppedError
	require.ErrorAs(t, err, &drop)
	require.Equal(t, host.DropNoLeader, drop.Reason)
}

// Claim: what an old leader had appended and the group replaced is lost, certainly: it is not applied anywhere.
func TestReplacedProposalIsLost(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.write("before")
	old := g.leader()
	g.net.Isolate(old.id, true)
	answer := make(chan error, 1)
	go func() {
		_, err := old.Propose(g.context(), []byte("in vain"))
		answer <- err
	}()
	others := g.others(old)
	events, cancel := others[0].Subscribe(100)
	defer cancel()
	await(t, events, func(e host.Event) bool { return e.Kind == host.EventLeader && e.Member != old.id })
	for {
		id, err := others[0].AwaitLeader(g.context())
		require.NoError(t, err)
		if _, err = g.nodes[id].Propose(g.context(), []byte("instead")); err == nil {
			break
		}
	}
	g.net.Isolate(old.id, false)
	require.ErrorIs(t, <-answer, host.ErrLost)
	require.NoError(t, old.Read(g.context()))
	require.NotContains(t, old.ledger.all(), "in vain")
}

// Claim: a caller whose context ends learns whether anything may come of its proposal.
func TestContextTellsUnknownFromDropped(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	g.net.Isolate(leader.id, true)
	ctx, cancel := context.WithCancel(context.Background())
	before := leader.Metrics().EntriesAppended
	answer := make(chan error, 1)
	go func() {
		_, err := leader.Propose(ctx, []byte("?"))
		answer <- err
	}()
	for leader.Metrics().EntriesAppended == before && g.context().Err() == nil {
		leader.Status() // a turn of the loop
	}
	cancel()
	err := <-answer
	require.ErrorIs(t, err, host.ErrUnknown)
	require.ErrorIs(t, err, context.Canceled)
	_, err = leader.Propose(ctx, []byte("?"))
	require.Error(t, err)
}

// Claim: Stop ends every call, and says of each what is known.
func TestStopEndsAllCalls(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	g.net.Isolate(leader.id, true)
	before := leader.Metrics().EntriesAppended
	proposal, read := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := leader.Propose(context.Background(), []byte("x"))
		proposal <- err
	}()
	go func() { read <- leader.Read(context.Background()) }()
	for leader.Metrics().EntriesAppended == before && g.context().Err() == nil {
		leader.Status()
	}
	require.NoError(t, leader.Stop())
	require.NoError(t, leader.Err())
	err := <-proposal
	require.ErrorIs(t, err, host.ErrUnknown)
	require.ErrorIs(t, err, host.ErrStopped)
	require.ErrorIs(t, <-read, host.ErrStopped)
	_, err = leader.Propose(context.Background(), []byte("x"))
	require.ErrorIs(t, err, host.ErrStopped)
	require.ErrorIs(t, err, host.ErrDropped)
	require.ErrorIs(t, leader.Read(context.Background()), host.ErrStopped)
	require.Equal(t, leader.id, leader.Status().ID)
}

// Claim: what is proposed beyond Config.MaxProposalBytes is dropped at once instead of waiting.
func TestFullQueueSaysSo(t *testing.T) {
	g := newGroup(t, 1, func(c *host.Config) { c.MaxProposalBytes = 1000 })
	g.write("first")
	x := g.leader()
	gate := make(chan struct{})
	x.ledger.set(func() { x.ledger.gate = gate })
	answer := make(chan error, 1)
	go func() {
		_, err := x.Propose(g.context(), make([]byte, 2000))
		answer <- err
	}()
	for x.Metrics().ProposalBytes < 2000 && g.context().Err() == nil {
		x.Status()
	}
	_, err := x.Propose(g.context(), []byte("one more"))
	var drop *host.DroppedError
	require.ErrorAs(t, err, &drop)
	require.Equal(t, host.DropQueueFull, drop.Reason)
	x.ledger.set(func() { x.ledger.gate = nil })
	close(gate)
	require.NoError(t, <-answer)
}
