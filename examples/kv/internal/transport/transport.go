// Package transport carries Raft's messages between members over gRPC.
//
// Each member keeps one stream to each other member for messages, and opens another one for each
// snapshot and for each question that it asks. Sending messages never waits: what does not fit into a peer's queue is dropped and reported, as
// Raft is made for losing messages but not for a loop that stands still. Receiving does wait, until
// the loop has room; gRPC's flow control passes the wait on to the sender, whose queue then fills.
package transport

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/tlsconf"
	pb "quorate.example/raft/raftpb"
)

// Handler is the member that a transport works for. ReportUnreachable must not wait; the others may.
type Handler interface {
	// Receive takes a message from a peer.
	Receive(ctx context.Context, m pb.Message) error
	// ReceiveSnapshot takes a snapshot, whose content ends with io.EOF only if all of it arrived as it was
	// sent. It returns when the snapshot was installed or found superfluous.
	ReceiveSnapshot(ctx context.Context, m pb.Message, content io.Reader) error
	// Answer answers a peer's question.
	Answer(ctx context.Context, question []byte) ([]byte, error)
	// ReportUnreachable says that messages to a peer were lost.
	ReportUnreachable(id uint64)
}

// Config says who a transport speaks for.
type Config struct {
	MemberID uint64
	// Address is where the other members reach this one.
	Address string
	// Cluster is compared when two members meet.
	Cluster string
	// Via has the addresses of proxies in front of members, by the members' own addresses.
	Via     map[string]string
	Metrics *metrics.Metrics
	// TLS is this member's identity. Without one, connections are neither encrypted nor authenticated.
	TLS *tlsconf.Identity
	// Logger is told who was refused and why. Nil logs nothing.
	Logger *slog.Logger
}

const (
	maxMessageBytes = 64 << 20
	windowBytes     = 4 << 20
	// lingering is how long a removed peer still gets what was meant for it: the news of its removal.
	lingering = 3 * time.Second

	serviceName    = "quorate.kv.Raft"
	methodMessages = "Messages"
	methodSnapshot = "Snapshot"
	methodAsk      = "Ask"

	headerCluster = "kv-cluster"
	headerFrom    = "kv-from"
	headerTo      = "kv-to"
	headerAddress = "kv-address"
)

// Transport connects one member with the others.
type Transport struct {
	cfg     Config
	handler Handler
	server  *grpc.Server
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	audit   audit

	mu     sync.Mutex
	closed bool
	peers  map[uint64]*peer
	// known are the addresses that the configuration gives; met are those that peers gave when they
	// connected, and serve a new member until it has read the configuration from the log.
	known, met map[uint64]string
}

// New returns a transport that sends nothing and listens nowhere yet.
func New(cfg Config, handler Handler) *Transport {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Transport{
		cfg:     cfg,
		handler: handler,
		ctx:     ctx,
		cancel:  cancel,
		peers:   map[uint64]*peer{},
		met:     map[uint64]string{},
	}
	t.audit.log = cfg.Logger
	if cfg.Logger == nil {
		t.audit.log = slog.New(slog.DiscardHandler)
	}
	t.server = grpc.NewServer(
		grpc.Creds(t.serverCredentials()),
		grpc.ForceServerCodecV2(codec{}),
		grpc.WaitForHandlers(true),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(2*windowBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTime}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: keepaliveTime / 2, PermitWithoutStream: true,
		}),
	)
	t.server.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			{StreamName: methodMessages, Handler: t.receiveMessages, ClientStreams: true},
			{StreamName: methodSnapshot, Handler: t.receiveSnapshot, ClientStreams: true},
			{StreamName: methodAsk, Handler: t.receiveQuestion, ClientStreams: true},
		},
	}, t)
	return t
}

// Serve accepts peers on l until Close.
func (t *Transport) Serve(l net.Listener) error { return t.server.Serve(l) }

// Close ends all streams and returns when nothing of the transport is left running.
func (t *Transport) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.server.Stop()
	t.running.Wait()
}

// SetPeers gives the addresses of all members, which replace those of the last call.
func (t *Transport) SetPeers(addresses map[uint64]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = map[uint64]string{}
	for id, address := range addresses {
		if id != t.cfg.MemberID {
			t.known[id] = address
			delete(t.met, id)
			t.connect(id, address)
		}
	}
	for id, p := range t.peers {
		if _, met := t.met[id]; t.known[id] == "" && !met {
			delete(t.peers, id)
			p.stop(lingering)
		}
	}
}

// meet notes the address under which a peer says that it can be reached.
func (t *Transport) meet(id uint64, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id == t.cfg.MemberID || address == "" || t.known[id] != "" {
		return
	}
	t.met[id] = address
	t.connect(id, address)
}

// connect makes the peer, or makes it anew if its address changed. The caller holds the lock.
func (t *Transport) connect(id uint64, address string) {
	old := t.peers[id]
	if t.closed || old != nil && old.address == address {
		return
	}
	p, err := newPeer(t, id, address)
	if err != nil {
		return // an address that gRPC cannot parse: the peer stays unreachable
	}
	if old != nil {
		old.stop(0)
	}
	t.peers[id] = p
	t.running.Add(1)
	go p.run()
}

func (t *Transport) peer(id uint64) *peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id]
}

// Send implements host.Transport. It never fails.
func (t *Transport) Send(messages []pb.Message) error {
	for i := range messages {
		m := &messages[i]
		if p := t.peer(m.To); p == nil || !p.enqueue(m) {
			t.dropped(m.To, 1)
		}
	}
	return nil
}

// dropped counts lost messages and tells Raft, which then asks the peer what it has.
func (t *Transport) dropped(id uint64, n int) {
	t.cfg.Metrics.MessagesDropped.WithLabelValues(strconv.FormatUint(id, 10)).Add(float64(n))
	t.handler.ReportUnreachable(id)
}

// outgoing returns the context of a stream to a peer.
func (t *Transport) outgoing(ctx context.Context, to uint64) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		headerCluster, t.cfg.Cluster,
		headerFrom, strconv.FormatUint(t.cfg.MemberID, 10),
		headerTo, strconv.FormatUint(to, 10),
		headerAddress, t.cfg.Address)
}

// admit checks who opened a stream, and that it was meant for this member of this cluster: addresses
// get reused.
func (t *Transport) admit(ctx context.Context) (uint64, error) {
	from, address, err := t.identify(ctx)
	if err != nil {
		remote := "unknown"
		if p, ok := grpcpeer.FromContext(ctx); ok {
			remote = host(p.Addr)
		}
		t.audit.refused(remote, "direction", "from", "member", from, "reason", status.Convert(err).Message())
		return 0, err
	}
	t.meet(from, address)
	return from, nil
}

// identify returns which member opened a stream and where that can be reached.
func (t *Transport) identify(ctx context.Context) (from uint64, address string, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	first := func(key string) string {
		if values := md.Get(key); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	from, err = strconv.ParseUint(first(headerFrom), 10, 64)
	if err != nil || from == 0 {
		return 0, "", status.Errorf(codes.InvalidArgument, "%s: not a member's ID", headerFrom)
	}
	if cluster := first(headerCluster); cluster != t.cfg.Cluster {
		return from, "", status.Errorf(codes.FailedPrecondition, "this is cluster %q, not %q", t.cfg.Cluster, cluster)
	}
	if to := first(headerTo); to != strconv.FormatUint(t.cfg.MemberID, 10) {
		return from, "", status.Errorf(codes.FailedPrecondition, "this is member %d, not %s", t.cfg.MemberID, to)
	}
	return from, first(headerAddress), t.checkCertificate(ctx, from)
}

// receiveMessages serves one peer's stream of messages.
func (t *Transport) receiveMessages(_ any, stream grpc.ServerStream) error {
	from, err := t.admit(stream.Context())
	if err != nil {
		return err
	}
	count := t.cfg.Metrics.MessagesReceived.WithLabelValues(strconv.FormatUint(from, 10))
	for {
		var m message
		if err := stream.RecvMsg(&m); err != nil {
			return err
		}
		count.Inc()
		if m.To != t.cfg.MemberID {
			return status.Errorf(codes.InvalidArgument, "message to member %d", m.To)
		}
		// A request to move the leadership is in the name of the member that shall lead.
		if m.From != from && m.Type != pb.MsgTransferLeader {
			t.audit.refused(strconv.FormatUint(from, 10), "direction", "from", "member", from,
				"reason", "it sends messages of member "+strconv.FormatUint(m.From, 10))
			return status.Errorf(codes.InvalidArgument, "message from member %d", m.From)
		}
		if err := t.handler.Receive(stream.Context(), m.Message); err != nil {
			return err
		}
	}
}
