package raft

import (
	"context"
	"errors"

	pb "quorate.example/raft/raftpb"
)

// Node is one member that several goroutines may use at once. Its Readys come out of a channel. The
// methods of this interface are frozen, since people write their own implementations for tests.
type Node interface {
	// Tick tells that one tick of time has passed. It does not wait for anything; ticks that the
	// member is too busy for are made up for, up to a limit.
	Tick()
	// Campaign makes this member ask for votes now, if it may.
	Campaign(ctx context.Context) error
	// Propose asks for data to be appended to the log. It waits while there is no leader, and returns
	// what became of the proposal at this member: nil does not mean that it will be committed. The
	// library keeps data; the caller must not change it.
	Propose(ctx context.Context, data []byte) error
	// ProposeConfChange asks for a membership change. See RawNode.ProposeConfChange.
	ProposeConfChange(ctx context.Context, cc pb.ConfChangeI) error
	// Step takes a message from another member, or a Response of a storage message. A proposal among
	// them waits while there is no leader. ErrBadMessage is returned for what cannot be true.
	Step(ctx context.Context, msg pb.Message) error
	// Ready returns the channel of what is to be done. What comes out of it is accepted and must be
	// done. It is never closed.
	Ready() <-chan Ready
	// Advance tells that the last Ready is saved, sent and applied. The next one comes after it. With
	// Config.AsyncStorageWrites it does nothing.
	Advance()
	// ApplyConfChange puts a committed change into force. See RawNode.ApplyConfChange.
	ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState
	// TransferLeadership asks lead to hand over to transferee.
	TransferLeadership(ctx context.Context, lead, transferee uint64)
	// ForgetLeader makes a follower forget whom it follows. See RawNode.ForgetLeader.
	ForgetLeader(ctx context.Context) error
	// ReadIndex asks for a linearizable read. See RawNode.ReadIndex.
	ReadIndex(ctx context.Context, rctx []byte) error
	// Status returns the state of this member; empty after Stop.
	Status() Status
	// ReportUnreachable tells that the last message to a member was probably lost.
	ReportUnreachable(id uint64)
	// ReportSnapshot tells how the sending of a snapshot went. See RawNode.ReportSnapshot.
	ReportSnapshot(id uint64, status SnapshotStatus)
	// Stop ends the member. A Ready that nobody has taken is withdrawn. When it returns, no goroutine
	// of the member is left.
	Stop()
}

// StartNode starts the first run of a member of a new group; peers are its voters, see
// RawNode.Bootstrap. It panics if c is wrong.
func StartNode(c *Config, peers []Peer) Node {
	if len(peers) == 0 {
		panic("no peers given; use RestartNode instead")
	}
	rn, err := NewRawNode(c)
	if err != nil {
		panic(err)
	}
	if err := rn.Bootstrap(peers); err != nil {
		rn.raft.logger.warn("is not bootstrapped", logErr(err))
	}
	return startNode(rn)
}

// RestartNode starts a member with the state that c.Storage holds: after a restart, or when it joins a
// group that will bring it its log. It panics if c is wrong.
func RestartNode(c *Config) Node {
	rn, err := NewRawNode(c)
	if err != nil {
		panic(err)
	}
	return startNode(rn)
}

// ---- the methods of Node

func (n *node) Tick() {
	if n.ticks.Add(1) > maxWaitingTicks {
		n.ticks.Add(-1)
		return
	}
	n.wakeUp()
}

func (n *node) Campaign(ctx context.Context) error {
	return n.input(ctx, pb.Message{Type: pb.MsgHup})
}

func (n *node) Propose(ctx context.Context, data []byte) error {
	if err := n.acquireServing(ctx); err != nil {
		return err
	}
	if ctx.Done() == nil || n.rn.raft.staysInMemory(&proposalOf) {
		err := n.rn.Propose(data)
		n.releaseProposal()
		return err
	}
	n.release()
	return n.delegate(ctx, pb.Message{Type: pb.MsgProp, Entries: []pb.Entry{{Data: data}}})
}

// proposalOf stands for any proposal.
var proposalOf = pb.Message{Type: pb.MsgProp}

// input steps m, as soon as proposals can be served if it is one.
func (n *node) input(ctx context.Context, m pb.Message) error {
	acquire, release := n.acquire, n.release
	if m.Type == pb.MsgProp {
		acquire, release = n.acquireServing, n.releaseProposal
	}
	if err := acquire(ctx); err != nil {
		return err
	}
	if ctx.Done() == nil || n.rn.raft.staysInMemory(&m) {
		err := n.rn.input(&m)
		release()
		return err
	}
	n.release()
	return n.delegate(ctx, m)
}

func (n *node) ProposeConfChange(ctx context.Context, cc pb.ConfChangeI) error {
	m, err := confChangeProposal(cc)
	if err != nil {
		return err
	}
	return n.input(ctx, m)
}

func (n *node) Step(ctx context.Context, m pb.Message) error {
	if IsLocalMsg(m.Type) && !IsLocalMsgTarget(m.From) {
		return nil
	}
	err := n.input(ctx, m)
	if errors.Is(err, ErrStepPeerNotFound) || errors.Is(err, ErrProposalDropped) || isRefusal(err) {
		return nil // as if the network had lost it
	}
	return err
}

func isRefusal(err error) bool {
	return errors.Is(err, ErrConfChangePending) || errors.Is(err, ErrMustLeaveJoint) || errors.Is(err, ErrNotJoint)
}

func (n *node) Ready() <-chan Ready { return n.readyc }

func (n *node) Advance() {
	if n.rn.async {
		return
	}
	if n.acquire(context.Background()) != nil {
		return
	}
	if n.out && len(n.readyc) == 0 { // or there was nothing to advance from
		n.out = false
		n.rn.Advance(Ready{})
	}
	n.release()
}

func (n *node) ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState {
	if n.acquire(context.Background()) != nil {
		return &pb.ConfState{}
	}
	defer n.release()
	r := &n.rn.raft
	wasMember := r.peers.Has(r.id)
	conf := n.rn.ApplyConfChange(cc)
	isMember := r.peers.Has(r.id)
	n.isRemoved = !isMember && (wasMember || n.isRemoved)
	return conf
}

func (n *node) TransferLeadership(ctx context.Context, lead, transferee uint64) {
	_ = n.input(ctx, pb.Message{Type: pb.MsgTransferLeader, From: transferee, To: lead})
}

func (n *node) ForgetLeader(ctx context.Context) error {
	return n.input(ctx, pb.Message{Type: pb.MsgForgetLeader})
}

func (n *node) ReadIndex(ctx context.Context, rctx []byte) error {
	return n.input(ctx, pb.Message{Type: pb.MsgReadIndex, Entries: []pb.Entry{{Data: rctx}}})
}

func (n *node) Status() Status {
	if n.acquire(context.Background()) != nil {
		return Status{}
	}
	defer n.release()
	return n.rn.Status()
}

func (n *node) ReportUnreachable(id uint64) {
	if n.acquire(context.Background()) != nil {
		return
	}
	defer n.release()
	n.rn.ReportUnreachable(id)
}

func (n *node) ReportSnapshot(id uint64, status SnapshotStatus) {
	if n.acquire(context.Background()) != nil {
		return
	}
	defer n.release()
	n.rn.ReportSnapshot(id, status)
}

func (n *node) Stop() {
	n.once.Do(n.stopNow)
}
