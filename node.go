package raft

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
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

// maxWaitingTicks is how many ticks wait while the member is busy; more are lost.
const maxWaitingTicks = 128

// node is a RawNode behind a lock, and one goroutine that offers Readys. A Ready is accepted when it is
// put on offer; what arrives while it waits gathers for the next one.
//
// Callers step the member themselves, which saves two switches a call. What may read from Storage,
// which may be slow, is left to the goroutine if the caller's context can end: the caller must be able
// to leave.
type node struct {
	// lock holds a token while somebody uses what it guards. It is a channel so that a caller whose
	// context ends can leave while another one is inside.
	lock chan struct{}

	rn        *RawNode      // guarded by lock
	out       bool          // guarded by lock: a Ready was taken that Advance was not called for
	canServe  chan struct{} // guarded by lock: closed when proposals can go on; nil if nobody waits
	isRemoved bool          // guarded by lock: this member was removed and takes no proposals

	ticks  atomic.Int32
	readyc chan Ready
	work   chan job      // for the goroutine
	meet   chan struct{} // whoever can send has waited until the goroutine has finished its step
	taken  atomic.Bool   // the Ready that is out has been received
	wake   chan struct{} // has room for one: there may be ticks, or a Ready
	stop   chan struct{} // closed by Stop
	done   chan struct{} // closed when the goroutine has ended
	once   sync.Once
}

// job is a message that the goroutine steps for somebody.
type job struct {
	m      pb.Message
	result chan error // has room for the result
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

func startNode(rn *RawNode) *node {
	n := &node{
		lock:   make(chan struct{}, 1),
		rn:     rn,
		readyc: make(chan Ready),
		work:   make(chan job),
		meet:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go n.run()
	return n
}

// ---- the goroutine

// run offers Readys, one at a time, and meanwhile does what must not be done in a caller's goroutine.
func (n *node) run() {
	defer close(n.done)
	for {
		rd, due := n.nextReady()
		if !n.offer(rd, due) {
			return
		}
	}
}

// offer works until the Ready is taken, or there may be one if none was due. It returns false when the
// member is stopped.
func (n *node) offer(rd Ready, due bool) bool {
	readyc := n.readyc
	if !due {
		readyc = nil
	}
	for {
		select {
		case readyc <- rd:
			n.taken.Store(!n.rn.async)
			return true
		case <-n.wake:
			n.tickAll()
		case j := <-n.work:
			n.do(j)
		case <-n.meet:
		case <-n.stop:
			return false
		}
		if !due {
			return true
		}
	}
}

// nextReady takes a Ready from the member if one is due.
func (n *node) nextReady() (rd Ready, ok bool) {
	if n.acquire(context.Background()) != nil {
		return Ready{}, false
	}
	defer n.release()
	for !n.out && n.rn.HasReady() {
		rd = n.rn.Ready()
		if isEmptyReady(&rd) { // Storage was compacted under what was due
			n.rn.Advance(rd)
			continue
		}
		n.out = !n.rn.async
		return rd, true
	}
	return Ready{}, false
}

func (n *node) tickAll() {
	if n.acquire(context.Background()) == nil {
		for k := n.ticks.Swap(0); k > 0; k-- {
			n.rn.Tick()
		}
		n.release()
	}
}

func (n *node) do(j job) {
	err := n.acquire(context.Background())
	if err == nil {
		err = n.rn.input(&j.m)
		n.release()
	}
	j.result <- err
}

func isEmptyReady(rd *Ready) bool {
	return rd.SoftState == nil && IsEmptyHardState(rd.HardState) && IsEmptySnap(rd.Snapshot) &&
		len(rd.Entries)+len(rd.CommittedEntries)+len(rd.Messages)+len(rd.ReadStates) == 0
}

// ---- the lock

// acquire takes the lock, unless ctx or the member ends first. The ticks of a leader that have come by
// then count: what follows may be a read that rests on a lease. They need no Storage.
func (n *node) acquire(ctx context.Context) error {
	select {
	case <-n.stop:
		return ErrStopped
	default:
	}
	select {
	case n.lock <- struct{}{}:
	default:
		select {
		case n.lock <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.stop:
			return ErrStopped
		}
	}
	for n.rn.raft.state == StateLeader && n.ticks.Load() > 0 {
		n.ticks.Add(-1)
		n.rn.Tick()
	}
	return nil
}

// release gives the lock back and tells whoever waits for what has happened.
func (n *node) release() {
	if n.canServe != nil && n.serves() {
		close(n.canServe)
		n.canServe = nil
	}
	due := !n.out && n.rn.HasReady()
	<-n.lock
	if due {
		n.wakeUp()
	}
}

func (n *node) wakeUp() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// serves reports whether a proposal has somewhere to go.
func (n *node) serves() bool { return n.rn.raft.lead != None && !n.isRemoved }

// acquireServing takes the lock when proposals can be served.
func (n *node) acquireServing(ctx context.Context) error {
	for {
		if err := n.acquire(ctx); err != nil {
			return err
		}
		if n.serves() {
			return nil
		}
		if n.canServe == nil {
			n.canServe = make(chan struct{})
		}
		wait := n.canServe
		n.release()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.stop:
			return ErrStopped
		}
	}
}

// input steps m, as soon as proposals can be served if it is one.
func (n *node) input(ctx context.Context, m pb.Message) error {
	acquire := n.acquire
	if m.Type == pb.MsgProp {
		acquire = n.acquireServing
	}
	if err := acquire(ctx); err != nil {
		return err
	}
	if ctx.Done() == nil || n.rn.raft.staysInMemory(&m) {
		defer n.release()
		return n.rn.input(&m)
	}
	n.release()
	j := job{m: m, result: make(chan error, 1)}
	select {
	case n.work <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-n.stop:
		return ErrStopped
	}
	select {
	case err := <-j.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.stop:
		return ErrStopped
	}
}

// staysInMemory reports whether stepping m certainly does not read from Storage. It is so for proposals
// while no member needs a probe, a snapshot or entries from far back.
func (r *raft) staysInMemory(m *pb.Message) bool {
	if m.Type != pb.MsgProp {
		return false
	}
	if r.state != StateLeader {
		return true
	}
	peers := r.peers.All()
	for i := range peers {
		p := &peers[i]
		if p.ID != r.id && !p.IsPaused() && (p.State != tracker.StateReplicate || p.Next <= r.log.apply.handed) {
			return false
		}
	}
	return !r.cfg.EagerAppends
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
	return n.input(ctx, pb.Message{Type: pb.MsgProp, Entries: []pb.Entry{{Data: data}}})
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
	if !n.taken.Load() { // the goroutine may be about to note that it was
		select {
		case n.meet <- struct{}{}:
		case <-n.stop:
			return
		}
	}
	if n.acquire(context.Background()) != nil {
		return
	}
	defer n.release()
	if n.taken.Swap(false) {
		n.out = false
		n.rn.Advance(Ready{})
	}
}

func (n *node) ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState {
	if n.acquire(context.Background()) != nil {
		return &pb.ConfState{}
	}
	defer n.release()
	r := n.rn.raft
	wasMember := r.peers.Get(r.id) != nil
	conf := n.rn.ApplyConfChange(cc)
	isMember := r.peers.Get(r.id) != nil
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
	n.once.Do(func() { close(n.stop) })
	<-n.done
}
