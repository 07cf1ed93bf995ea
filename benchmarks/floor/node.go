package floor

import (
	"context"
	"sync"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Node is a RawNode for several goroutines.
type Node struct {
	mu      sync.Mutex
	raw     *RawNode
	ready   chan raft.Ready
	advance chan struct{}
	wake    chan struct{}
	done    chan struct{}
	ended   chan struct{}
}

// StartNode starts a member as NewRawNode does.
func StartNode(c *raft.Config) *Node {
	raw, err := NewRawNode(c)
	if err != nil {
		panic(err)
	}
	n := &Node{raw: raw, ready: make(chan raft.Ready), advance: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		done: make(chan struct{}), ended: make(chan struct{})}
	go n.run()
	return n
}

func (n *Node) run() {
	defer close(n.ended)
	for {
		n.mu.Lock()
		has := n.raw.HasReady()
		var rd raft.Ready
		if has {
			rd = n.raw.Ready()
		}
		n.mu.Unlock()
		if !has {
			select {
			case <-n.wake:
				continue
			case <-n.done:
				return
			}
		}
		select {
		case n.ready <- rd:
		case <-n.done:
			return
		}
		select {
		case <-n.advance:
		case <-n.done:
			return
		}
	}
}

func (n *Node) with(work func(r *RawNode) error) error {
	n.mu.Lock()
	err := work(n.raw)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return err
}

// Tick counts time.
func (n *Node) Tick() {
	_ = n.with(func(r *RawNode) error { r.Tick(); return nil })
}

// Campaign makes this member the leader.
func (n *Node) Campaign(context.Context) error { return n.with((*RawNode).Campaign) }

// Propose appends an entry on the leader.
func (n *Node) Propose(_ context.Context, data []byte) error {
	return n.with(func(r *RawNode) error { return r.Propose(data) })
}

// Step takes a message.
func (n *Node) Step(_ context.Context, m pb.Message) error {
	return n.with(func(r *RawNode) error { return r.Step(m) })
}

// Ready returns the channel of what is to be done.
func (n *Node) Ready() <-chan raft.Ready { return n.ready }

// Advance tells that the last Ready was worked off.
func (n *Node) Advance() {
	n.mu.Lock()
	n.raw.Advance(raft.Ready{})
	n.mu.Unlock()
	select {
	case n.advance <- struct{}{}:
	case <-n.done:
	}
}

// Stop ends the member.
func (n *Node) Stop() {
	close(n.done)
	<-n.ended
}
