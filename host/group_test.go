package host_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
	pb "quorate.example/raft/raftpb"
)

// deadline bounds what a test waits for: only a failure takes so long.
const deadline = 20 * time.Second

// ledger is a state machine that remembers every proposal that it applied, in order.
type ledger struct {
	mu       sync.Mutex
	lines    []string
	index    uint64
	contexts []string
	failure  error         // of the next Apply
	gate     chan struct{} // if set, Apply takes one value per call
	slow     chan struct{} // if set, Restore waits until it is closed
	began    chan struct{} // if set, closed when Restore has begun
	restores int
}

func (l *ledger) Applied() (pb.SnapshotMetadata, error) { return pb.SnapshotMetadata{}, nil }

func (l *ledger) Apply(entries []host.Entry) error {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		return l.failure
	}
	for i := range entries {
		e := &entries[i]
		if e.Index <= l.index {
			return fmt.Errorf("entry %d after %d", e.Index, l.index)
		}
		l.index = e.Index
		if e.Change != nil {
			l.contexts = append(l.contexts, string(e.Change.Context))
		}
		if len(e.Data) > 0 {
			l.lines = append(l.lines, string(e.Data))
			e.Result = len(l.lines)
		}
	}
	return nil
}

func (l *ledger) Snapshot() (host.Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledgerSnapshot{lines: append([]string(nil), l.lines...)}, nil
}

func (l *ledger) Restore(meta pb.SnapshotMetadata, content io.Reader) error {
	l.mu.Lock()
	slow, began := l.slow, l.began
	l.mu.Unlock()
	if began != nil {
		close(began)
	}
	if slow != nil {
		<-slow
	}
	data, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.index = nil, meta.Index
	l.restores++
	for len(data) > 0 {
		n := binary.LittleEndian.Uint32(data)
		l.lines = append(l.lines, string(data[4:4+n]))
		data = data[4+n:]
	}
	return nil
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

func (l *ledger) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

type ledgerSnapshot struct{ lines []string }

func (s *ledgerSnapshot) WriteTo(w io.Writer) (n int64, err error) {
	for _, line := range s.lines {
		record := append(binary.LittleEndian.AppendUint32(nil, uint32(len(line))), line...)
		k, err := w.Write(record)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (s *ledgerSnapshot) Release() {}

// node is one member of a test's group, with what survives its process.
type node struct {
	*host.Replica
	id     uint64
	log    *hosttest.Log
	snaps  *hosttest.Snapshots
	ledger *ledger
}

// group is members in one process.
type group struct {
	t      *testing.T
	net    *hosttest.Network
	config func(*host.Config)
	first  []raft.Peer
	nodes  map[uint64]*node
}

// newGroup starts voters 1 to n. config may change what each is started with.
func newGroup(t *testing.T, n int, config func(*host.Config)) *group {
	t.Helper()
	g := &group{t: t, net: hosttest.NewNetwork(), config: config, nodes: map[uint64]*node{}}
	for id := 1; id <= n; id++ {
		g.first = append(g.first, raft.Peer{ID: uint64(id)})
	}
	for id := 1; id <= n; id++ {
		g.net.Attach(uint64(id), nil)
	}
	for id := 1; id <= n; id++ {
		g.start(uint64(id), g.first)
	}
	t.Cleanup(func() {
		for _, x := range g.nodes {
			_ = x.Stop()
		}
		g.net.Close()
	})
	return g
}

// start runs a member on what it left behind.
func (g *group) start(id uint64, first []raft.Peer) *node {
	g.t.Helper()
	x := &node{id: id, log: hosttest.NewLog(), snaps: &hosttest.Snapshots{}}
	if old := g.nodes[id]; old != nil {
		x.log, x.snaps = old.log, old.snaps
	}
	x.ledger = &ledger{}
	g.net.Attach(id, nil)
	cfg := host.Config{
		ID: id, StateMachine: x.ledger, Log: x.log, Snapshots: x.snaps, Transport: g.net.Transport(id),
		Bootstrap: first, TickInterval: 15 * time.Millisecond, Logger: raft.DiscardLogger(),
	}
	if g.config != nil {
		g.config(&cfg)
	}
	r, err := host.Start(cfg)
	require.NoError(g.t, err)
	x.Replica = r
	g.nodes[id] = x
	g.net.Attach(id, r)
	return x
}

// crash ends a member's process; what was not synced is lost.
func (g *group) crash(id uint64) {
	g.t.Helper()
	x := g.nodes[id]
	g.net.Attach(id, nil)
	require.NoError(g.t, x.Stop())
	log, err := x.log.Crash(0)
	require.NoError(g.t, err)
	x.log = log
}

// silence waits until the leader has not heard of a member for an election timeout.
func (g *group) silence(id uint64) {
	g.t.Helper()
	for ctx := g.context(); ctx.Err() == nil; {
		for _, m := range g.leader().Status().Members {
			if m.ID == id && !m.Active {
				return
			}
		}
	}
	require.Fail(g.t, "the member is still heard")
}

func (g *group) context() context.Context {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	g.t.Cleanup(cancel)
	return ctx
}

// leader waits until a member leads and knows it.
func (g *group) leader() *node {
	g.t.Helper()
	ctx := g.context()
	for {
		for _, x := range g.nodes {
			select {
			case <-x.Done():
				continue
			default:
			}
			id, err := x.AwaitLeader(ctx)
			if errors.Is(err, host.ErrStopped) {
				continue
			}
			require.NoError(g.t, err)
			if y := g.nodes[id]; y != nil && y.Status().Role == raft.StateLeader {
				return y
			}
			break
		}
		require.NoError(g.t, ctx.Err())
	}
}

// write proposes text at whoever leads, until it is applied.
func (g *group) write(text string) host.Result {
	g.t.Helper()
	ctx := g.context()
	for {
		result, err := g.leader().Propose(ctx, []byte(text))
		if err == nil {
			return result
		}
		require.NotErrorIs(g.t, err, context.DeadlineExceeded)
		require.False(g.t, errors.Is(err, host.ErrUnknown), "%v", err)
	}
}

// try calls propose until it ends with something other than an error after which it is safe to try again.
func (g *group) try(propose func() (host.Result, error)) (host.Result, error) {
	for {
		result, err := propose()
		again := errors.Is(err, host.ErrNotLeader) || errors.Is(err, host.ErrLost) || errors.Is(err, host.ErrDropped)
		if !again || g.context().Err() != nil {
			return result, err
		}
		g.leader()
	}
}

// others returns the members but one.
func (g *group) others(than *node) (out []*node) {
	for id := uint64(1); id <= uint64(len(g.nodes)); id++ {
		if x := g.nodes[id]; x != nil && x != than {
			out = append(out, x)
		}
	}
	return out
}

// await returns the first event of a kind that fits.
func await(t *testing.T, events <-chan host.Event, fits func(host.Event) bool) host.Event {
	t.Helper()
	late := time.After(deadline)
	for {
		select {
		case e, ok := <-events:
			require.True(t, ok, "the replica stopped")
			if fits(e) {
				return e
			}
		case <-late:
			require.Fail(t, "the event did not come")
		}
	}
}

func ofKind(kind host.EventKind) func(host.Event) bool {
	return func(e host.Event) bool { return e.Kind == kind }
}
