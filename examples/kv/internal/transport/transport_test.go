package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/transport"
	pb "quorate.example/raft/raftpb"
)

const patience = 20 * time.Second

// member is a Handler that writes down what it is told.
type member struct {
	store     *store.Store
	transport *transport.Transport
	address   string
	received  chan pb.Message
	snapshots chan pb.Message

	mu          sync.Mutex
	unreachable int
}

func (m *member) Receive(ctx context.Context, msg pb.Message) error {
	select {
	case m.received <- msg:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *member) ReceiveSnapshot(_ context.Context, msg pb.Message, content io.Reader) error {
	staging, err := m.store.Stage(content)
	if err != nil {
		return err
	}
	if err := m.store.Install(msg.Snapshot.Metadata, staging); err != nil {
		return err
	}
	m.snapshots <- msg
	return nil
}

func (m *member) Answer(_ context.Context, question []byte) ([]byte, error) {
	if len(question) == 0 {
		return nil, errors.New("there is no question")
	}
	return append([]byte("an answer to "), question...), nil
}

func (m *member) ReportUnreachable(uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unreachable++
}

func (m *member) losses() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unreachable
}

// start runs member id of a cluster on loopback.
func start(t *testing.T, id uint64, cluster string, room int) *member {
	t.Helper()
	s, err := store.Open(store.Options{Dir: "data", FS: vfs.NewMem()})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &member{
		store:     s,
		address:   l.Addr().String(),
		received:  make(chan pb.Message, room),
		snapshots: make(chan pb.Message, 1),
	}
	m.transport = transport.New(transport.Config{
		MemberID: id, Address: m.address, Cluster: cluster, Metrics: metrics.New(fmt.Sprint(id)),
	}, m)
	go m.transport.Serve(l)
	t.Cleanup(func() {
		m.transport.Close()
		require.NoError(t, s.Close())
	})
	return m
}

func receive(t *testing.T, m *member) pb.Message {
	t.Helper()
	select {
	case msg := <-m.received:
		return msg
	case <-time.After(patience):
		require.FailNow(t, "nothing arrives")
		return pb.Message{}
	}
}

func fill(t *testing.T, s *store.Store, n int, value string) {
	t.Helper()
	a := s.Apply()
	for i := range n {
		c := store.Command{Op: store.OpPut, Key: fmt.Sprintf("key-%05d", i), Value: []byte(value)}
		_, err := a.Entry(pb.Entry{Index: uint64(i + 1), Term: 1, Data: c.Encode()})
		require.NoError(t, err)
	}
	require.NoError(t, a.Commit())
}

// Claim: appends arrive whole and in the order they were sent.
func TestAppendsArriveInOrder(t *testing.T) {
	a, b := start(t, 1, "x", 0), start(t, 2, "x", 100)
	a.transport.SetPeers(map[uint64]string{1: a.address, 2: b.address})
	for i := range uint64(100) {
		a.transport.Send([]pb.Message{{
			Type: pb.MsgApp, From: 1, To: 2, Term: 3, Index: i,
			Entries: []pb.Entry{{Index: i + 1, Term: 3, Data: []byte(strings.Repeat("x", int(i)*100))}},
		}})
	}
	for i := range uint64(100) {
		msg := receive(t, b)
		require.Equal(t, i, msg.Index)
		require.Len(t, msg.Entries[0].Data, int(i)*100)
	}
}

// Claim: a member that was not told of its peer's address can answer it.
func TestAnswerFindsItsWayBack(t *testing.T) {
	a, b := start(t, 1, "x", 1), start(t, 2, "x", 1)
	a.transport.SetPeers(map[uint64]string{2: b.address})
	a.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: 1, To: 2}})
	require.Equal(t, pb.MsgHeartbeat, receive(t, b).Type)
	b.transport.Send([]pb.Message{{Type: pb.MsgHeartbeatResp, From: 2, To: 1}})
	require.Equal(t, pb.MsgHeartbeatResp, receive(t, a).Type)
}

// Claim: a peer that does not take its messages never blocks the sender; what does not fit is dropped
// and reported.
func TestFullQueueDropsAndReports(t *testing.T) {
	a, b := start(t, 1, "x", 0), start(t, 2, "x", 0) // b takes nothing
	a.transport.SetPeers(map[uint64]string{2: b.address})
	data := make([]byte, 1<<20)
	deadline := time.Now().Add(patience)
	for a.losses() == 0 && time.Now().Before(deadline) {
		a.transport.Send([]pb.Message{{Type: pb.MsgApp, From: 1, To: 2, Entries: []pb.Entry{{Index: 1, Data: data}}}})
	}
	require.NotZero(t, a.losses())
	for range 5 {
		receive(t, b) // what was sent before is still there
	}
}

// Claim: messages to a member that is not there are reported.
func TestUnreachablePeerIsReported(t *testing.T) {
	a := start(t, 1, "x", 0)
	a.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: 1, To: 9}})
	require.Equal(t, 1, a.losses(), "it has no address")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a.transport.SetPeers(map[uint64]string{2: l.Addr().String()})
	require.NoError(t, l.Close())
	a.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: 1, To: 2}})
	require.Eventually(t, func() bool { return a.losses() >= 2 }, patience, time.Millisecond)
}

// Claim: members of another cluster, and messages for another member, stay outside.
func TestStrangersAreRefused(t *testing.T) {
	a, stranger, b := start(t, 1, "x", 0), start(t, 3, "y", 0), start(t, 2, "x", 10)
	stranger.transport.SetPeers(map[uint64]string{2: b.address})
	a.transport.SetPeers(map[uint64]string{7: b.address})
	stranger.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: 3, To: 2}})
	a.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: 1, To: 7}})
	require.Eventually(t, func() bool {
		// The refusal of a stream shows when the next message is sent on it.
		stranger.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: 3, To: 2}})
		a.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: 1, To: 7}})
		return stranger.losses() > 0 && a.losses() > 0
	}, patience, time.Millisecond)
	require.Empty(t, b.received)
}

// send has member 1 send its state to member 2.
func send(a *member) error {
	snap := pb.Snapshot{Metadata: a.store.Applied()}
	content := a.store.Capture()
	defer content.Release()
	msg := pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 4, Snapshot: &snap}
	return a.transport.SendSnapshot(context.Background(), msg, content)
}

// Claim: a snapshot arrives as it was sent, and the sender learns of it.
func TestSnapshotArrivesWhole(t *testing.T) {
	a, b := start(t, 1, "x", 0), start(t, 2, "x", 0)
	a.transport.SetPeers(map[uint64]string{2: b.address})
	fill(t, a.store, 3000, strings.Repeat("v", 500))
	require.NoError(t, send(a))
	msg := <-b.snapshots
	require.EqualValues(t, 4, msg.Term)
	require.EqualValues(t, 3000, msg.Snapshot.Metadata.Index)
	o := store.ListOptions{Limit: 5000, MaxBytes: 1 << 30, Values: true}
	want, err := a.store.List(o)
	require.NoError(t, err)
	got, err := b.store.List(o)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// Claim: a snapshot that is not taken is an error of its sender, and leaves room for the next one.
func TestLostSnapshotIsReported(t *testing.T) {
	a, b := start(t, 1, "x", 0), start(t, 2, "x", 0)
	fill(t, a.store, 10, "v")
	require.Error(t, send(a), "the peer is not known")
	a.transport.SetPeers(map[uint64]string{2: b.address})
	staging, err := b.store.NewStaging()
	require.NoError(t, err)
	require.Error(t, send(a), "the peer is busy with another snapshot")
	require.NoError(t, staging.Discard())
	require.NoError(t, send(a))
	<-b.snapshots
}

// Claim: a question gets the answer of the member that it is for, or an error.
func TestQuestionIsAnswered(t *testing.T) {
	a, b := start(t, 1, "x", 0), start(t, 2, "x", 0)
	_, err := a.transport.Ask(t.Context(), 2, []byte("this"))
	require.Error(t, err, "the peer is not known")
	a.transport.SetPeers(map[uint64]string{2: b.address})
	answer, err := a.transport.Ask(t.Context(), 2, []byte("this"))
	require.NoError(t, err)
	require.Equal(t, "an answer to this", string(answer))
	_, err = a.transport.Ask(t.Context(), 2, nil)
	require.ErrorContains(t, err, "there is no question")
}
