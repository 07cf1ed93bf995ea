package hosttest

import (
	"context"
	"errors"
	"io"
	"sync"

	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// ErrCut is how a snapshot ends that is sent over a cut link.
var ErrCut = errors.New("hosttest: the link is cut")

// Network connects replicas in one process. Messages cross it as their bytes, in order for each pair.
type Network struct {
	mu       sync.Mutex
	replicas map[uint64]*host.Replica
	queues   map[uint64]*queue
	cut      map[[2]uint64]bool
	doubled  map[pb.MessageType]bool
	running  sync.WaitGroup
	ctx      context.Context
	cancel   context.CancelFunc
}

// NewNetwork returns a network without replicas. Close ends its goroutines.
func NewNetwork() *Network {
	n := &Network{
		replicas: map[uint64]*host.Replica{}, queues: map[uint64]*queue{}, cut: map[[2]uint64]bool{},
		doubled: map[pb.MessageType]bool{},
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Transport returns the transport of a member.
func (n *Network) Transport(id uint64) host.Transport { return &transport{n, id} }

// Attach has messages to a member delivered to r, from now on; nil means to nobody.
func (n *Network) Attach(id uint64, r *host.Replica) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replicas[id] = r
	if n.queues[id] == nil {
		q := &queue{wake: make(chan struct{}, 1)}
		n.queues[id] = q
		n.running.Add(1)
		go n.deliver(id, q)
	}
}

// Cut cuts the link in one direction, or mends it.
func (n *Network) Cut(from, to uint64, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]uint64{from, to}] = cut
}

// Isolate cuts a member off from all others, or lets it back.
func (n *Network) Isolate(id uint64, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.queues {
		n.cut[[2]uint64{id, other}], n.cut[[2]uint64{other, id}] = cut, cut
	}
}

// Double has messages of a type arrive twice from now on.
func (n *Network) Double(typ pb.MessageType) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.doubled[typ] = true
}

// Close ends the network and waits for its goroutines.
func (n *Network) Close() {
	n.cancel()
	n.running.Wait()
}

// queue has what is on its way to one member.
type queue struct {
	mu   sync.Mutex
	data [][]byte
	wake chan struct{}
}

// queued bounds the messages on their way to one member.
const queued = 1 << 14

func (q *queue) put(data []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.data) >= queued {
		return false
	}
	q.data = append(q.data, data)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

func (q *queue) take() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.data
	q.data = nil
	return out
}

func (n *Network) deliver(id uint64, q *queue) {
	defer n.running.Done()
	for {
		for _, data := range q.take() {
			var m pb.Message
			if err := pb.UnmarshalPeer(data, &m); err != nil {
				panic(err)
			}
			if r := n.target(m.From, id); r != nil {
				_ = r.Step(n.ctx, m) // as lost as on any network
			}
		}
		select {
		case <-q.wake:
		case <-n.ctx.Done():
			return
		}
	}
}

// target returns the replica of a member if it can be reached.
func (n *Network) target(from, to uint64) *host.Replica {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[[2]uint64{from, to}] {
		return nil
	}
	return n.replicas[to]
}

func (n *Network) reporter(id uint64) *host.Replica {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.replicas[id]
}

type transport struct {
	n  *Network
	id uint64
}

// Send implements host.Transport.
func (t *transport) Send(messages []pb.Message) error {
	for i := range messages {
		m := &messages[i]
		data, err := m.Marshal()
		if err != nil {
			return err
		}
		t.n.mu.Lock()
		q, times := t.n.queues[m.To], 1
		if t.n.doubled[m.Type] {
			times = 2
		}
		t.n.mu.Unlock()
		for ; times > 0; times-- {
			if q == nil || !q.put(data) || t.n.target(t.id, m.To) == nil {
				if r := t.n.reporter(t.id); r != nil {
					r.ReportUnreachable(m.To)
				}
			}
		}
	}
	return nil
}

// SendSnapshot implements host.Transport.
func (t *transport) SendSnapshot(ctx context.Context, m pb.Message, content io.WriterTo) error {
	r := t.n.target(t.id, m.To)
	if r == nil {
		return ErrCut
	}
	from, to := io.Pipe()
	stop := context.AfterFunc(ctx, func() { to.CloseWithError(ctx.Err()) })
	defer stop()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, err := content.WriteTo(to)
		to.CloseWithError(err)
	}()
	err := r.ReceiveSnapshot(ctx, m, from)
	from.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	<-written
	return err
}
