// Package member runs one member of a replicated key-value store: it gives package host the store and the
// transport, and says in this program's words what came of a request. How entries become durable, who waits for
// what, reads, snapshots and the log's length are host's.
package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/host"
	"quorate.example/raft/raftlog"
	pb "quorate.example/raft/raftpb"
)

var (
	// ErrNoLeader says that a request found no leader in time. It changed nothing.
	ErrNoLeader = errors.New("no leader answered within the deadline, nothing was changed")
	// ErrUnknown says that a command was handed to a leader and no answer came: it may or may not
	// have been carried out, or may still be.
	ErrUnknown = errors.New("no answer within the deadline, the change may or may not have been made")
	// ErrStopped says that the member is shutting down. Nothing was changed.
	ErrStopped = errors.New("the member is stopped, nothing was changed")
	// ErrRemoved is how Run ends after the member was removed from the cluster.
	ErrRemoved = errors.New("the member was removed from the cluster")
)

// Transport is what a member needs to reach the others.
type Transport interface {
	host.Transport
	// SetPeers gives the addresses of all members.
	SetPeers(addresses map[uint64]string)
	// Ask has another member answer a request, by its Answer.
	Ask(ctx context.Context, to uint64, request []byte) ([]byte, error)
}

// Config says who a member is and what it works with.
type Config struct {
	ID      uint64
	Store   *store.Store
	Metrics *metrics.Metrics
	Logger  *slog.Logger
	// Bootstrap names the addresses of the first members of a new cluster. It is used only while the
	// store is empty, and must be the same on all of them.
	Bootstrap map[uint64]string
	// Tick is the unit of ElectionTicks and HeartbeatTicks. Zero values mean 100 ms, 10 and 1.
	Tick           time.Duration
	ElectionTicks  int
	HeartbeatTicks int
	Limits         Limits
}

// Limits says how long the log gets. Zero values are package host's.
type Limits struct {
	// SnapshotEntries and SnapshotBytes say after how many applied entries, or bytes of them, the log is cut.
	SnapshotEntries uint64
	SnapshotBytes   int
	// KeepEntries and KeepBytes bound the tail that stays, for followers that lag a little.
	KeepEntries uint64
	KeepBytes   int
	// GatherTime is for how long writes wait for one another when there are many.
	GatherTime time.Duration
}

// applyBytes bounds the entries that are applied together.
const applyBytes = 4 << 20

// Member is one member. Its methods may be called from any goroutine, and wait for Run.
type Member struct {
	cfg       Config
	store     *store.Store
	transport Transport
	log       *slog.Logger
	origin    uint64 // tells this life of the member from earlier ones
	nextSeq   atomic.Uint64
	removal   removal

	replica *host.Replica // set before started is closed
	started chan struct{}
	stopped chan struct{}
}

// New prepares a member on what its store remembers. Run starts it.
func New(cfg Config) (*Member, error) {
	cfg.Tick = cmp.Or(cfg.Tick, 100*time.Millisecond)
	cfg.ElectionTicks = cmp.Or(cfg.ElectionTicks, 10)
	if len(cfg.Bootstrap) > 0 && cfg.Bootstrap[cfg.ID] == "" {
		return nil, fmt.Errorf("member %d is not among the members to begin with", cfg.ID)
	}
	m := &Member{
		cfg: cfg, store: cfg.Store, log: cfg.Logger, origin: rand.Uint64(),
		started: make(chan struct{}), stopped: make(chan struct{}),
	}
	cfg.Metrics.Follow(m.measure)
	return m, nil
}

// Run runs the member: it returns when ctx ends (nil), when the member was removed from the cluster
// (ErrRemoved), or when its store fails.
func (m *Member) Run(ctx context.Context, transport Transport) error {
	defer close(m.stopped)
	m.transport = transport
	if err := m.refreshPeers(); err != nil {
		return err
	}
	r, err := host.Start(m.hostConfig())
	if err != nil {
		return err
	}
	m.replica = r
	close(m.started)
	ticker := time.NewTicker(m.cfg.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.Stop()
		case <-r.Done():
			return r.Err()
		case <-ticker.C:
			if m.removal.tick(m.cfg.ElectionTicks) {
				return cmp.Or(r.Stop(), ErrRemoved)
			}
		}
	}
}

func (m *Member) hostConfig() host.Config {
	return host.Config{
		ID: m.cfg.ID, StateMachine: machine{m}, Log: m.store, Transport: m.transport,
		Bootstrap:    m.bootstrap(),
		TickInterval: m.cfg.Tick, ElectionTicks: m.cfg.ElectionTicks, HeartbeatTicks: m.cfg.HeartbeatTicks,
		Forward:         true,
		MaxApplyBytes:   applyBytes,
		GatherTime:      m.cfg.Limits.GatherTime,
		SnapshotEntries: m.cfg.Limits.SnapshotEntries, SnapshotBytes: m.cfg.Limits.SnapshotBytes,
		TailEntries: m.cfg.Limits.KeepEntries, TailBytes: m.cfg.Limits.KeepBytes,
		Logger:  raftlog.Slog(m.log),
		OnEvent: m.onEvent,
	}
}

// bootstrap returns the first members. Each of them writes these entries itself, so they must come out the
// same everywhere.
func (m *Member) bootstrap() []raft.Peer {
	var peers []raft.Peer
	for id, address := range m.cfg.Bootstrap {
		peers = append(peers, raft.Peer{ID: id, Context: encodeAddress(address)})
	}
	slices.SortFunc(peers, func(a, b raft.Peer) int { return cmp.Compare(a.ID, b.ID) })
	return peers
}

// onEvent writes down what an operator may want to know. It runs on host's loop.
func (m *Member) onEvent(e host.Event) {
	level := slog.LevelInfo
	switch e.Kind {
	case host.EventUnreachable, host.EventCompacted, host.EventSnapshotTaken, host.EventDropped:
		level = slog.LevelDebug
	case host.EventLostState, host.EventSnapshotFailed, host.EventMemberStuck:
		level = slog.LevelWarn
	}
	m.log.Log(context.Background(), level, string(e.Kind), "event", e.String())
}

// ready waits until the member runs.
func (m *Member) ready(ctx context.Context) error {
	select {
	case <-m.stopped:
		return ErrStopped
	default:
	}
	select {
	case <-m.started:
		return nil
	case <-m.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ErrNoLeader
	}
}

// Receive takes a message from a peer, waiting while the loop is behind.
func (m *Member) Receive(ctx context.Context, msg pb.Message) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	m.heard(&msg)
	return m.replica.Step(ctx, msg)
}

// ReceiveSnapshot takes a snapshot from a peer, and returns when it is installed or was not needed.
func (m *Member) ReceiveSnapshot(ctx context.Context, msg pb.Message, content io.Reader) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	m.heard(&msg)
	return m.replica.ReceiveSnapshot(ctx, msg, content)
}

// ReportUnreachable tells that messages to a peer were lost.
func (m *Member) ReportUnreachable(id uint64) {
	select {
	case <-m.started:
		m.replica.ReportUnreachable(id)
	default:
	}
}

// heard notes a sign of life of a leader.
func (m *Member) heard(msg *pb.Message) {
	switch msg.Type {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		m.removal.silence.Store(0)
	}
}

// removal notices that this member was removed. A member that was removed and added again reads of its
// removal in the log, so it counts only if no leader cares for it any more.
type removal struct {
	removed atomic.Bool
	silence atomic.Int64 // ticks since the removal, or since a leader was heard
}

// applied hears of a configuration.
func (r *removal) applied(self uint64, conf *pb.ConfState, id uint64) {
	if id == self {
		r.silence.Store(0)
		r.removed.Store(!has(conf, self))
	}
}

func (r *removal) tick(patience int) bool {
	return r.silence.Add(1) > int64(patience) && r.removed.Load()
}

// has reports whether a member belongs to a configuration.
func has(conf *pb.ConfState, id uint64) bool {
	return slices.Contains(conf.Voters, id) || slices.Contains(conf.Learners, id) ||
		slices.Contains(conf.VotersOutgoing, id) || slices.Contains(conf.LearnersNext, id)
}
