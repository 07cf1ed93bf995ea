package host_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// Claim: changes return when they are in force, and a guard on the configuration keeps a second one out.
func TestMembershipChangesReturnWhenInForce(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	g.net.Attach(4, nil)
	before := leader.Status().ConfIndex
	index, err := leader.AddLearner(g.context(), 4, host.IfConfiguration(before), host.WithContext([]byte("there:1")))
	require.NoError(t, err)
	require.Equal(t, []uint64{4}, leader.Status().Conf.Learners)
	require.Equal(t, index, leader.Status().ConfIndex)
	require.Contains(t, leader.ledger.contexts, "there:1")

	_, err = leader.Remove(g.context(), 4, host.IfConfiguration(before))
	require.ErrorIs(t, err, host.ErrConfigurationMoved)

	fourth := g.start(4, nil)
	g.write("for all")
	_, err = leader.Promote(g.context(), 4)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2, 3, 4}, leader.Status().Conf.Voters)
	require.NoError(t, fourth.Read(g.context()))
	require.Equal(t, []string{"for all"}, fourth.ledger.all())

	_, err = leader.Demote(g.context(), 4)
	require.NoError(t, err)
	_, err = leader.Remove(g.context(), 4)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2, 3}, leader.Status().Conf.Voters)
	require.Empty(t, leader.Status().Conf.Learners)
}

// Claim: several changes are made at once, and the call returns when the joint configuration is left.
func TestSeveralChangesAtOnceAreJoint(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	gone := g.others(leader)[0].id
	g.net.Attach(4, nil)
	g.start(4, nil)
	_, err := leader.Change(g.context(), []pb.ConfChangeSingle{
		{Type: pb.ConfChangeAddNode, NodeID: 4}, {Type: pb.ConfChangeRemoveNode, NodeID: gone},
	})
	require.NoError(t, err)
	conf := leader.Status().Conf
	require.Empty(t, conf.VotersOutgoing)
	require.Contains(t, conf.Voters, uint64(4))
	require.NotContains(t, conf.Voters, gone)
	g.crash(gone)
	delete(g.nodes, gone)
	g.write("and on")
}

// Claim: what makes no sense is refused with the reason, and changes nothing.
func TestChangesThatDoNotFitAreRefused(t *testing.T) {
	g := newGroup(t, 1, nil)
	x := g.leader()
	g.write("first")
	last := x.Status().LastLog
	for text, call := range map[string]func() (uint64, error){
		"no voter would be left":    func() (uint64, error) { return x.Remove(g.context(), 1) },
		"member 9 does not exist":   func() (uint64, error) { return x.Remove(g.context(), 9) },
		"member 1 is a voter":       func() (uint64, error) { return x.Promote(g.context(), 1) },
		"member 8 does not exist":   func() (uint64, error) { return x.Promote(g.context(), 8) },
		"0 cannot be a member's ID": func() (uint64, error) { return x.AddVoter(g.context(), 0) },
		"nothing to change":         func() (uint64, error) { return x.Change(g.context(), nil) },
	} {
		_, err := call()
		require.ErrorIs(t, err, host.ErrChangeRefused)
		require.ErrorContains(t, err, text)
	}
	require.Equal(t, last, x.Status().LastLog)
}

// Claim: a change on a follower names the leader, and a second change while one is pending is refused.
func TestChangeNeedsTheLeaderAndOneAtATime(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	follower := g.others(leader)[0]
	_, err := follower.AwaitLeader(g.context())
	require.NoError(t, err)
	_, err = follower.AddLearner(g.context(), 5)
	require.ErrorIs(t, err, host.ErrNotLeader)

	g.net.Isolate(leader.id, true)
	g.net.Attach(5, nil)
	first, second := make(chan error, 1), make(chan error, 1)
	before := leader.Metrics().EntriesAppended
	ctx, cancel := context.WithCancel(g.context())
	go func() {
		_, err := leader.AddLearner(ctx, 5)
		first <- err
	}()
	for leader.Metrics().EntriesAppended == before && ctx.Err() == nil {
		leader.Status()
	}
	go func() {
		_, err := leader.AddLearner(ctx, 6)
		second <- err
	}()
	require.ErrorIs(t, <-second, raft.ErrConfChangePending)
	cancel()
	require.ErrorIs(t, <-first, host.ErrUnknown)
}

// Claim: a learner that makes no progress is not promoted, and the call says why.
func TestLearnerThatIsBehindIsNotPromoted(t *testing.T) {
	g := newGroup(t, 1, func(c *host.Config) { c.PromoteLag = 1; c.ElectionTicks = 4 })
	leader := g.leader()
	_, err := leader.AddLearner(g.context(), 2) // nobody is there
	require.NoError(t, err)
	g.write("x")
	_, err = leader.Promote(g.context(), 2)
	require.ErrorIs(t, err, host.ErrNotCaughtUp)
	require.ErrorContains(t, err, "nothing was heard of it")
}

// Claim: TransferLeadership returns when the other one leads, from whichever member it is called, and fails
// with a reason where it cannot.
func TestTransferWaitsForItsOutcome(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	to := g.others(leader)[0]
	require.NoError(t, leader.TransferLeadership(g.context(), to.id))
	require.Equal(t, to.id, g.leader().id)
	require.NoError(t, leader.TransferLeadership(g.context(), leader.id), "asked by a follower")
	require.Equal(t, leader.id, g.leader().id)
	require.ErrorIs(t, leader.TransferLeadership(g.context(), 9), host.ErrTransferFailed)

	silent := g.others(leader)[1]
	g.crash(silent.id)
	require.ErrorIs(t, leader.TransferLeadership(g.context(), silent.id), host.ErrTransferFailed)
	g.write("it still leads")
}

// Claim: reads on every member, learners too, see what was acknowledged before, and share rounds.
func TestReadsAreLinearizableEverywhereAndShareRounds(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	g.net.Attach(4, nil)
	_, err := leader.AddLearner(g.context(), 4)
	require.NoError(t, err)
	g.start(4, nil)
	for i := 1; i <= 10; i++ {
		g.write(fmt.Sprint(i))
		for _, x := range g.nodes {
			require.NoError(t, x.Read(g.context()))
			require.Len(t, x.ledger.all(), i, "member %d", x.id)
		}
	}
	before := leader.Metrics()
	done := make(chan error, 200)
	for i := 0; i < 200; i++ {
		go func() { done <- leader.Read(g.context()) }()
	}
	for i := 0; i < 200; i++ {
		require.NoError(t, <-done)
	}
	after := leader.Metrics()
	require.EqualValues(t, 200, after.Reads-before.Reads)
	require.Less(t, after.ReadRounds-before.ReadRounds, uint64(200))
	require.ErrorIs(t, leader.LeaseRead(g.context()), host.ErrLeaseReadsOff)
}

// Claim: with Config.LeaseReads reads are answered without a round, and see what was acknowledged.
func TestLeaseReadsSeeWhatWasAcknowledged(t *testing.T) {
	g := newGroup(t, 3, func(c *host.Config) { c.LeaseReads = true })
	for i := 1; i <= 5; i++ {
		g.write(fmt.Sprint(i))
		for _, x := range g.nodes {
			require.NoError(t, x.LeaseRead(g.context()))
			require.Len(t, x.ledger.all(), i)
		}
	}
}

// Claim: a read that finds no leader ends with its context and says what it waited for.
func TestReadWithoutLeaderEndsWithItsContext(t *testing.T) {
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
	ctx, end := context.WithCancel(context.Background())
	answer := make(chan error, 1)
	go func() { answer <- leader.Read(ctx) }()
	for leader.Explain().Reads == "" && g.context().Err() == nil {
		leader.Status()
	}
	require.Contains(t, leader.Explain().Reads, "there is no leader")
	end()
	require.ErrorIs(t, <-answer, context.Canceled)
}
