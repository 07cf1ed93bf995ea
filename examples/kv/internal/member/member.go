// Package member runs one member of a replicated key-value store: it joins the Raft library, the store
// and the transport. loop.go is the part to read first, and the pattern to take for other programs.
package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/raftlog"
	pb "quorate.example/raft/raftpb"
)

var (
	// ErrNoLeader says that a request found no leader in time. It changed nothing.
	ErrNoLeader = errors.New("no leader answered within the deadline, nothing was changed")
	// ErrUnknown says that a command was handed to a leader and no answer came: it may or may not
	// have been carried out, or may still be.
	ErrUnknown = errors.New("no answer within the deadline, the change may or may not have been made")
	// ErrStopped says that the member is shutting down.
	ErrStopped = errors.New("the member is stopped")
	// ErrRemoved is how Run ends after the member was removed from the cluster.
	ErrRemoved = errors.New("the member was removed from the cluster")
)

// Transport is what a member needs to reach the others. No method may wait for the network.
type Transport interface {
	Send(messages []pb.Message)
	SendSnapshot(m pb.Message, content *store.Outgoing)
	SetPeers(addresses map[uint64]string)
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
}

const (
	inboxMessages = 1024
	maxWaiting    = 4096
	maxDrain      = 512
)

// Member is one member. Its methods may be called from any goroutine; what they ask is carried out by
// the goroutine that is in Run.
type Member struct {
	cfg       Config
	store     *store.Store
	transport Transport
	metrics   *metrics.Metrics
	log       *slog.Logger
	origin    uint64 // tells this life of the member from earlier ones

	inbox     chan pb.Message
	arrivals  chan arrival
	proposals chan *proposal
	reads     chan *read
	calls     chan func()
	lost      chan uint64
	stopped   chan struct{}

	// What follows belongs to the loop.
	node     *raft.RawNode
	failure  error // of the store, while Raft was reading
	skipped  error // why the change that is being applied had no effect
	leader   uint64
	arriving *store.Staging // the content of the snapshot that Raft is deciding about
	pending  pending
	rounds   rounds
	removal  removal
	watchers []*leaderWatcher
	nextSeq  uint64
	// Entries written and applied, and snapshots installed, in this life.
	appended, carriedOut, installed uint64
}

// New prepares a member on what its store remembers. Run starts it.
func New(cfg Config) (*Member, error) {
	if cfg.Tick == 0 {
		cfg.Tick = 100 * time.Millisecond
	}
	if cfg.ElectionTicks == 0 {
		cfg.ElectionTicks = 10
	}
	if cfg.HeartbeatTicks == 0 {
		cfg.HeartbeatTicks = 1
	}
	m := &Member{
		cfg:       cfg,
		store:     cfg.Store,
		metrics:   cfg.Metrics,
		log:       cfg.Logger,
		origin:    rand.Uint64(),
		inbox:     make(chan pb.Message, inboxMessages),
		arrivals:  make(chan arrival),
		proposals: make(chan *proposal, maxDrain),
		reads:     make(chan *read, maxDrain),
		calls:     make(chan func(), maxDrain),
		lost:      make(chan uint64, maxDrain),
		stopped:   make(chan struct{}),
		pending:   pending{handed: map[store.RequestID]*proposal{}},
	}
	m.rounds = rounds{origin: m.origin, patience: max(cfg.ElectionTicks/2, 2)}
	return m, m.startNode()
}

func (m *Member) startNode() error {
	fresh := m.store.Empty()
	node, err := raft.NewRawNode(&raft.Config{
		ID:                        m.cfg.ID,
		ElectionTick:              m.cfg.ElectionTicks,
		HeartbeatTick:             m.cfg.HeartbeatTicks,
		Storage:                   m.store,
		Applied:                   m.store.Position().Applied,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  4 << 20,
		MaxUncommittedEntriesSize: 64 << 20,
		MaxInflightMsgs:           256,
		MaxInflightBytes:          32 << 20,
		CheckQuorum:               true,
		PreVote:                   true,
		StepDownOnRemoval:         true,
		SnapshotTimeout:           -1, // the transport reports the end of each one, in any case
		Logger:                    raftlog.Slog(m.log),
		OnStorageError:            raft.StorageErrorFunc(func(err error) { m.failure = err }),
		OnEvent:                   raft.EventFunc(m.onEvent),
	})
	if err != nil {
		return err
	}
	m.node = node
	if !fresh || len(m.cfg.Bootstrap) == 0 {
		return nil
	}
	if m.cfg.Bootstrap[m.cfg.ID] == "" {
		return fmt.Errorf("member %d is not among the members to begin with", m.cfg.ID)
	}
	var peers []raft.Peer
	for id, address := range m.cfg.Bootstrap {
		context := changeContext{address: address}
		peers = append(peers, raft.Peer{ID: id, Context: context.encode()})
	}
	// Each member writes these entries itself, so they must come out the same everywhere.
	slices.SortFunc(peers, func(a, b raft.Peer) int { return cmp.Compare(a.ID, b.ID) })
	return node.Bootstrap(peers)
}

// onEvent hears what the library has to say to an operator.
func (m *Member) onEvent(e raft.Event) {
	if skipped, ok := e.(raft.ConfChangeSkipped); ok {
		m.skipped = skipped.Reason
	}
	m.log.Warn("raft event", "event", fmt.Sprintf("%+v", e))
}

// Propose replicates a command and returns what it did. The errors are ErrNoLeader, ErrUnknown and
// ErrStopped; ctx bounds the wait.
func (m *Member) Propose(ctx context.Context, c store.Command) (store.Result, error) {
	return m.propose(ctx, &proposal{command: &c})
}

// Barrier returns when this member's state contains everything that was acknowledged, anywhere in
// the cluster, before the call: reading the state after it is linearizable.
func (m *Member) Barrier(ctx context.Context) error {
	r := &read{ctx: ctx, done: make(chan struct{})}
	select {
	case m.reads <- r:
	case <-ctx.Done():
		return ErrNoLeader
	case <-m.stopped:
		return ErrStopped
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ErrNoLeader
	case <-m.stopped:
		return ErrStopped
	}
}

// Receive takes a message from a peer, waiting while the loop is behind.
func (m *Member) Receive(ctx context.Context, msg pb.Message) error {
	select {
	case m.inbox <- msg:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.stopped:
		return ErrStopped
	}
}

// arrival is a snapshot that was received whole.
type arrival struct {
	message pb.Message
	content *store.Staging
	done    chan error
}

// NewStaging returns where an arriving snapshot is put.
func (m *Member) NewStaging() (*store.Staging, error) { return m.store.NewStaging() }

// ReceiveSnapshot hands a received snapshot to Raft, and returns when it is installed or dropped.
func (m *Member) ReceiveSnapshot(ctx context.Context, msg pb.Message, content *store.Staging) error {
	a := arrival{message: msg, content: content, done: make(chan error, 1)}
	select {
	case m.arrivals <- a:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), content.Discard())
	case <-m.stopped:
		return errors.Join(ErrStopped, content.Discard())
	}
	select {
	case err := <-a.done:
		return err
	case <-m.stopped:
		return ErrStopped
	}
}

// ReportUnreachable tells Raft that messages to a peer were lost. Reports that do not fit are dropped:
// the next loss makes another one.
func (m *Member) ReportUnreachable(id uint64) {
	select {
	case m.lost <- id:
	default:
	}
}

// ReportSnapshot tells Raft how sending a snapshot ended.
func (m *Member) ReportSnapshot(id uint64, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	m.post(context.Background(), func() { m.node.ReportSnapshot(id, status) })
}

// post has the loop call f some time later.
func (m *Member) post(ctx context.Context, f func()) error {
	select {
	case m.calls <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.stopped:
		return ErrStopped
	}
}

// ask has the loop call f and waits for the end of the call.
func (m *Member) ask(ctx context.Context, f func()) error {
	done := make(chan struct{})
	if err := m.post(ctx, func() { f(); close(done) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.stopped:
		return ErrStopped
	}
}
