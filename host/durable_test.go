package host_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
	pb "quorate.example/raft/raftpb"
)

// durableLedger is a ledger that survives its process, with its position.
type durableLedger struct {
	*ledger
	meta        pb.SnapshotMetadata
	safe        durableImage // what a crash leaves, if it takes away what no checkpoint covers
	checkpoints int
	discarded   int
}

type durableImage struct {
	meta  pb.SnapshotMetadata
	lines []string
}

// keep makes the state safe.
func (d *durableLedger) keep() {
	d.safe = durableImage{d.meta, append([]string(nil), d.lines...)}
}

// revert takes the state back to what is safe.
func (d *durableLedger) revert() {
	d.set(func() {
		d.meta, d.index = d.safe.meta, d.safe.meta.Index
		d.lines = append([]string(nil), d.safe.lines...)
	})
}

func (d *durableLedger) Applied() (pb.SnapshotMetadata, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.meta, nil
}

func (d *durableLedger) Apply(entries []host.Entry) error {
	if err := d.ledger.Apply(entries); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last := entries[len(entries)-1]
	d.meta.Index, d.meta.Term = last.Index, last.Term
	for _, e := range entries {
		if e.Conf != nil {
			d.meta.ConfState = *e.Conf
		}
	}
	return nil
}

func (d *durableLedger) Checkpoint() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checkpoints++
	d.keep()
	return d.meta.Index, nil
}

type stagedLedger struct {
	d    *durableLedger
	data []byte
}

func (s *stagedLedger) Discard() error {
	s.d.set(func() { s.d.discarded++ })
	return nil
}

func (d *durableLedger) Stage(_ pb.SnapshotMetadata, content io.Reader) (host.Staged, error) {
	data, err := io.ReadAll(content)
	return &stagedLedger{d, data}, err
}

func (d *durableLedger) Install(meta pb.SnapshotMetadata, staged host.Staged) error {
	if err := d.ledger.Restore(meta, bytes.NewReader(staged.(*stagedLedger).data)); err != nil {
		return err
	}
	d.set(func() { d.meta = meta; d.keep() })
	return nil
}

// newDurableGroup has durable state machines, which the result maps by member.
func newDurableGroup(t *testing.T, n int) (*group, map[uint64]*durableLedger) {
	states := map[uint64]*durableLedger{}
	g := newGroup(t, n, func(c *host.Config) {
		smallSnapshots(c)
		c.Snapshots = nil
		if states[c.ID] == nil {
			states[c.ID] = &durableLedger{ledger: c.StateMachine.(*ledger)}
		}
		c.StateMachine = states[c.ID]
	})
	return g, states
}

// Claim: a durable state machine goes on where it was, applies nothing twice, and the log is shortened up to
// its checkpoints.
func TestDurableStateGoesOnWhereItWas(t *testing.T) {
	g, states := newDurableGroup(t, 1)
	events, cancel := g.nodes[1].Subscribe(1000)
	defer cancel()
	for i := 0; i < 50; i++ {
		g.write(fmt.Sprint(i))
	}
	await(t, events, ofKind(host.EventCompacted))
	require.NotZero(t, states[1].checkpoints)
	g.crash(1)
	x := g.start(1, nil)
	require.EqualValues(t, 51, g.write("after").Value)
	require.Zero(t, states[1].restores)
	require.Equal(t, []uint64{1}, x.Status().Conf.Voters)
}

// Claim: a member with a durable state is brought up by a snapshot that is made while others write.
func TestDurableStateIsSentAndInstalled(t *testing.T) {
	g, states := newDurableGroup(t, 3)
	g.write("first")
	behind := g.others(g.leader())[0]
	g.crash(behind.id)
	g.silence(behind.id)
	for i := 0; i < 60; i++ {
		g.write(fmt.Sprint(i))
	}
	back := g.start(behind.id, nil)
	require.NoError(t, back.Read(g.context()))
	require.Len(t, states[back.id].all(), 61)
	require.Equal(t, 1, states[back.id].restores)
	g.write("and on")
	require.NoError(t, back.Read(g.context()))
	require.Len(t, states[back.id].all(), 62)
}

// Claim: a crash between the installation of a snapshot and the reset of the log leaves a member that starts.
func TestStateAheadOfItsLogResetsTheLog(t *testing.T) {
	meta := pb.SnapshotMetadata{Index: 40, Term: 3, ConfState: pb.ConfState{Voters: []uint64{1}}}
	log := hosttest.NewLog()
	require.NoError(t, log.Save(host.Write{
		Entries:   []pb.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}},
		HardState: pb.HardState{Term: 2, Vote: 1, Commit: 1}, Sync: true,
	}))
	net := hosttest.NewNetwork()
	defer net.Close()
	r, err := host.Start(host.Config{
		ID: 1, StateMachine: &durableLedger{ledger: &ledger{index: 40}, meta: meta}, Log: log,
		Transport: net.Transport(1), Logger: raft.DiscardLogger(), TickInterval: 1e6,
	})
	require.NoError(t, err)
	defer r.Stop()
	first, err := log.FirstIndex()
	require.NoError(t, err)
	require.EqualValues(t, 41, first)
	require.GreaterOrEqual(t, r.Status().Term, uint64(3))
}

// Claim: a log that lacks what the state needs is told at start.
func TestMissingEntriesAreToldAtStart(t *testing.T) {
	log := hosttest.NewLog()
	require.NoError(t, log.Save(host.Write{Snapshot: &pb.SnapshotMetadata{Index: 9, Term: 1}, Sync: true}))
	_, err := host.Start(host.Config{ID: 1, StateMachine: &ledger{}, Log: log, Snapshots: &hosttest.Snapshots{},
		Transport: hosttest.NewNetwork().Transport(1)})
	require.ErrorContains(t, err, "the state ends at index 0 and the log begins at 10")
}

// Claim: a Config that makes no sense is refused with the field and what is allowed.
func TestWrongConfigNamesTheField(t *testing.T) {
	good := host.Config{ID: 1, StateMachine: &ledger{}, Log: hosttest.NewLog(), Snapshots: &hosttest.Snapshots{},
		Transport: hosttest.NewNetwork().Transport(1)}
	for field, spoil := range map[string]func(*host.Config){
		"ID": func(c *host.Config) { c.ID = 0 }, "StateMachine": func(c *host.Config) { c.StateMachine = nil },
		"Log": func(c *host.Config) { c.Log = nil }, "Transport": func(c *host.Config) { c.Transport = nil },
		"Snapshots":      func(c *host.Config) { c.Snapshots = nil },
		"TickInterval":   func(c *host.Config) { c.TickInterval = -1 },
		"ElectionTicks":  func(c *host.Config) { c.ElectionTicks = 1 },
		"HeartbeatTicks": func(c *host.Config) { c.HeartbeatTicks = -1 },
		"MaxApplyBytes":  func(c *host.Config) { c.MaxApplyBytes = -1 },
		"Bootstrap":      func(c *host.Config) { c.Bootstrap = []raft.Peer{{ID: 2}} },
	} {
		c := good
		spoil(&c)
		_, err := host.Start(c)
		require.ErrorIs(t, err, host.ErrConfig)
		require.ErrorContains(t, err, "Config."+field+" is ")
		require.ErrorContains(t, err, "allowed: ")
	}
}

// errBroken is what the parts of these tests fail with.
var errBroken = errors.New("broken on purpose")

// brokenTransport fails for good when it is told to.
type brokenTransport struct {
	host.Transport
	broken chan struct{}
}

func (b *brokenTransport) Send(m []pb.Message) error {
	select {
	case <-b.broken:
		return errBroken
	default:
		return b.Transport.Send(m)
	}
}

// Claim: a part that fails stops its replica with the cause, and no other.
func TestFailingPartStopsItsReplicaWithTheCause(t *testing.T) {
	broken := make(chan struct{})
	for name, spoil := range map[string]func(*node){
		"log":           func(x *node) { x.log.Fail(errBroken) },
		"state machine": func(x *node) { x.ledger.set(func() { x.ledger.failure = errBroken }) },
		"transport":     func(*node) { close(broken) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3, func(c *host.Config) {
				if c.ID == 1 && name == "transport" {
					c.Transport = &brokenTransport{c.Transport, broken}
				}
			})
			g.write("before")
			x := g.nodes[1]
			spoil(x)
			g.net.Isolate(0, false)
			for i := 0; x.Err() == nil && g.context().Err() == nil; i++ {
				ctx := g.context()
				if _, err := g.leader().Propose(ctx, []byte(fmt.Sprint(i))); err != nil {
					require.False(t, errors.Is(err, ctx.Err()) && ctx.Err() != nil, "%v", err)
				}
			}
			<-x.Done()
			require.ErrorIs(t, x.Err(), errBroken)
			require.ErrorIs(t, x.Stop(), errBroken)
			_, err := x.Propose(g.context(), []byte("x"))
			require.ErrorIs(t, err, host.ErrStopped)
			require.ErrorIs(t, err, errBroken)
			require.Contains(t, x.Explain().Stopped, "broken on purpose")
			g.write("the others go on")
		})
	}
}
