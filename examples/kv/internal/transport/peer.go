package transport

import (
	"cmp"
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	pb "quorate.example/raft/raftpb"
)

const (
	queueMessages = 4096
	queueBytes    = 64 << 20
	reconnect     = 50 * time.Millisecond
	keepaliveTime = 10 * time.Second
)

// peer sends to one other member.
type peer struct {
	t       *Transport
	id      uint64
	address string
	conn    *grpc.ClientConn
	ctx     context.Context
	cancel  context.CancelFunc

	// Heartbeats and votes overtake appends, which must stay in order among themselves: a follower
	// refuses an append that arrives before the one it follows.
	urgent, bulk chan pb.Message
	bytes        atomic.Int64 // in bulk
}

func newPeer(t *Transport, id uint64, address string) (*peer, error) {
	conn, err := grpc.NewClient("passthrough:///"+cmp.Or(t.cfg.Via[address], address),
		grpc.WithTransportCredentials(t.clientCredentials(id)),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(2*windowBytes),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: reconnect, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 10 * reconnect,
			},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepaliveTime, Timeout: keepaliveTime / 2, PermitWithoutStream: true,
		}),
	)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	return &peer{
		t: t, id: id, address: address, conn: conn, ctx: ctx, cancel: cancel,
		urgent: make(chan pb.Message, queueMessages),
		bulk:   make(chan pb.Message, queueMessages),
	}, nil
}

// stop ends the peer after it had a while to send what is queued.
func (p *peer) stop(after time.Duration) {
	if after == 0 {
		p.cancel()
		return
	}
	time.AfterFunc(after, p.cancel)
}

// enqueue reports whether there was room for m.
func (p *peer) enqueue(m *pb.Message) bool {
	lane := p.urgent
	if m.Type == pb.MsgApp || m.Type == pb.MsgProp {
		lane = p.bulk
		size := int64(m.Size())
		if p.bytes.Add(size) > queueBytes {
			p.bytes.Add(-size)
			return false
		}
	}
	select {
	case lane <- *m:
		return true
	default:
		p.taken(m)
		return false
	}
}

// taken gives back the room that m had in its queue.
func (p *peer) taken(m *pb.Message) {
	if m.Type == pb.MsgApp || m.Type == pb.MsgProp {
		p.bytes.Add(-int64(m.Size()))
	}
}

// next waits for a message, an urgent one if there is one.
func (p *peer) next() (pb.Message, error) {
	var m pb.Message
	select {
	case m = <-p.urgent:
		return m, nil
	default:
	}
	select {
	case m = <-p.urgent:
	case m = <-p.bulk:
		p.taken(&m)
	case <-p.ctx.Done():
		return m, p.ctx.Err()
	}
	return m, nil
}

// run sends what is queued until the peer is stopped, over one stream after another.
func (p *peer) run() {
	defer p.t.running.Done()
	defer p.conn.Close()
	for {
		m, err := p.next()
		if err != nil {
			return
		}
		p.stream(m)
		p.t.dropped(p.id, 1+p.drain())
		select {
		case <-time.After(reconnect):
		case <-p.ctx.Done():
			return
		}
	}
}

// stream opens a stream, sends m and everything after it, and returns when the stream breaks. The
// last message is lost then, and perhaps some before it.
func (p *peer) stream(m pb.Message) {
	ctx, cancel := context.WithCancel(p.t.outgoing(p.ctx, p.id))
	defer cancel()
	stream, err := p.open(ctx, methodMessages)
	if err != nil {
		return
	}
	sent := p.t.cfg.Metrics.MessagesSent.WithLabelValues(strconv.FormatUint(p.id, 10))
	for {
		data, err := encode(&m)
		if err == nil {
			err = stream.SendMsg(data)
		}
		if err != nil {
			return
		}
		sent.Inc()
		if m, err = p.next(); err != nil {
			return
		}
	}
}

func (p *peer) open(ctx context.Context, method string) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{StreamName: method, ClientStreams: true}
	return p.conn.NewStream(ctx, desc, "/"+serviceName+"/"+method)
}

// drain empties the queues: after a break Raft has better things to say than what waited.
func (p *peer) drain() int {
	for n := 0; ; n++ {
		select {
		case m := <-p.urgent:
			p.taken(&m)
		case m := <-p.bulk:
			p.taken(&m)
		default:
			return n
		}
	}
}

// closeAndWait ends the sending side and returns what the other side answers.
func closeAndWait(stream grpc.ClientStream) ([]byte, error) {
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var answer frame
	err := stream.RecvMsg(&answer)
	return answer.data, err
}
