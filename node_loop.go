package raft

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// maxWaitingTicks is how many ticks wait while the member is busy; more are lost.
const maxWaitingTicks = 128

// node is a RawNode behind a gate, and one goroutine. A Ready is accepted when it is put on offer; what
// arrives while it waits gathers for the next one.
//
// Callers step the member themselves, and put the next Ready on offer when they leave, which saves
// switches between goroutines. What may read from Storage, which may be slow, is left to the goroutine
// if the caller must be able to leave before it is done.
type node struct {
	gate gate

	rn        *RawNode      // inside the gate
	out       bool          // inside the gate: a Ready is on offer, or was taken and Advance was not called
	canServe  chan struct{} // inside the gate: closed when proposals can go on; nil if nobody waits
	isRemoved bool          // inside the gate: this member was removed and takes no proposals
	gathers   bool          // inside the gate: the goroutine will put the next Ready on offer, see releaseProposal

	// readyc has room for one Ready with synchronous writes: Advance tells when there may be another.
	// With asynchronous writes it has none, and the goroutine waits until somebody takes it.
	readyc chan Ready

	ticks   atomic.Int32
	wake    chan struct{} // has room for one: there is something for the goroutine
	yields  atomic.Bool   // the goroutine lets others run first
	jobs    jobs
	stopped atomic.Bool
	stop    chan struct{} // closed by Stop
	done    chan struct{} // closed when the goroutine has ended
	once    sync.Once
}

func startNode(rn *RawNode) *node {
	n := &node{
		gate:   gate{left: make(chan struct{}, 1)},
		rn:     rn,
		readyc: make(chan Ready, count(!rn.async)),
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go n.run()
	n.wakeUp()
	return n
}

// ---- inside the gate

// acquire enters the gate, unless ctx or the member ends first. The ticks of a leader that have come by
// then count: what follows may be a read that rests on a lease. They need no Storage.
func (n *node) acquire(ctx context.Context) error {
	if n.stopped.Load() {
		return ErrStopped
	}
	if err := n.gate.enter(ctx, n.stop); err != nil {
		return err
	}
	for n.ticks.Load() > 0 && n.rn.raft.state == StateLeader {
		n.ticks.Add(-1)
		n.rn.Tick()
	}
	return nil
}

// release leaves the gate, with the next Ready on offer if there is one, and tells whoever waits for
// what has happened.
func (n *node) release() {
	if n.canServe != nil && n.serves() {
		close(n.canServe)
		n.canServe = nil
	}
	due := !n.out && n.rn.HasReady()
	if due && !n.rn.async && n.rn.readyStaysInMemory() {
		n.putReady()
		due = false
	}
	n.gate.leave()
	if due {
		n.wakeUp()
	}
}

// releaseProposal is release after a proposal. While other entries are under way, a proposal seldom comes
// alone, but the scheduler runs whoever takes Readys next: each proposal would get a Ready of its own. So
// the goroutine puts it on offer, after all who can run have done so, if no other caller does before.
func (n *node) releaseProposal() {
	if n.out || !n.rn.raft.hasEntriesUnderWay() {
		n.release()
		return
	}
	isFirst := !n.gathers
	n.gathers = true
	n.gate.leave()
	if isFirst {
		n.yields.Store(true)
		n.wakeUp()
	}
}

// hasEntriesUnderWay reports whether a leader has entries before its last one that were not handed out as
// committed.
func (r *raft) hasEntriesUnderWay() bool {
	return r.state == StateLeader && r.log.apply.handed+1 < r.log.last()
}

// putReady puts the next Ready on offer if there is one, with synchronous writes.
func (n *node) putReady() {
	if rd, ok := n.nextReady(); ok && !n.stopped.Load() {
		n.out = true
		n.readyc <- rd // there is room: the one before was taken
	}
}

// nextReady takes a Ready from the member if one is due.
func (n *node) nextReady() (rd Ready, ok bool) {
	n.gathers = false
	for n.rn.HasReady() {
		rd = n.rn.Ready()
		if !isEmptyReady(&rd) {
			return rd, true
		}
		n.rn.Advance(rd) // Storage was compacted under what was due
	}
	return Ready{}, false
}

func isEmptyReady(rd *Ready) bool {
	return len(rd.Messages)+len(rd.Entries)+len(rd.CommittedEntries)+len(rd.ReadStates) == 0 &&
		rd.SoftState == nil && IsEmptyHardState(rd.HardState) && rd.Snapshot.Metadata.Index == 0
}

// serves reports whether a proposal has somewhere to go.
func (n *node) serves() bool { return n.rn.raft.lead != None && !n.isRemoved }

// acquireServing enters the gate when proposals can be served.
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

// readyStaysInMemory reports whether building the next Ready certainly does not read from Storage.
func (rn *RawNode) readyStaysInMemory() bool {
	r := &rn.raft
	if r.log.apply.handed < r.log.tail.start && r.log.hasCommitted(!rn.async) {
		return false
	}
	for i := range r.out.marks {
		if !r.markStaysInMemory(&r.out.marks[i]) {
			return false
		}
	}
	return true
}

// markStaysInMemory reports whether turning m into messages certainly does not read from Storage.
func (r *raft) markStaysInMemory(m *mark) bool {
	if m.to != None {
		p := r.peers.Get(m.to)
		return p == nil || p.Next > r.log.tail.start
	}
	peers := r.peers.All()
	for i := range peers {
		if p := &peers[i]; p.Next <= r.log.tail.start && p.ID != r.id {
			return false
		}
	}
	return true
}

// staysInMemory reports whether stepping m certainly does not read from Storage: nobody is to be sent a
// probe, a snapshot or anything from far back, and no terms from far back are compared.
func (r *raft) staysInMemory(m *pb.Message) bool {
	switch {
	case m.Type == pb.MsgProp && r.state != StateLeader:
		return true
	case m.Type == pb.MsgProp && r.out.repeats:
		return true
	case m.Term > r.term || r.cfg.EagerAppends:
		return false
	case r.state == StateFollower && m.Type == pb.MsgHeartbeat:
		return true
	case r.state == StateFollower && m.Type == pb.MsgApp:
		_, known := r.log.terms.at(m.Index)
		return known && r.log.matches(entryID{term: m.LogTerm, index: m.Index})
	case r.state != StateLeader || m.Type != pb.MsgProp && m.Type != pb.MsgAppResp && m.Type != pb.MsgHeartbeatResp:
		return false
	case m.Reject || r.log.committed < r.log.terms.start():
		return false
	}
	peers := r.peers.All()
	for i := range peers {
		p := &peers[i]
		if p.ID != r.id && (p.State != tracker.StateReplicate || p.Next <= r.log.apply.handed) {
			return false
		}
	}
	return true
}

// ---- the goroutine

// jobs are messages that the goroutine steps for callers.
type jobs struct {
	mu    sync.Mutex
	queue []*job
}

type job struct {
	m      pb.Message
	begun  atomic.Bool // by the goroutine; or nobody waits for it any more
	result chan error  // has room for the result
}

func (js *jobs) add(j *job) {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.queue = append(js.queue, j)
}

func (js *jobs) take() []*job {
	js.mu.Lock()
	defer js.mu.Unlock()
	queue := js.queue
	js.queue = nil
	return queue
}

// delegate leaves m to the goroutine, and waits for the result.
func (n *node) delegate(ctx context.Context, m pb.Message) error {
	j := &job{m: m, result: make(chan error, 1)}
	n.jobs.add(j)
	n.wakeUp()
	select {
	case err := <-j.result:
		return err
	case <-ctx.Done():
		j.begun.Store(true)
		return ctx.Err()
	case <-n.stop:
		return ErrStopped
	}
}

func (n *node) wakeUp() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run does what must not be done in a caller's goroutine, and offers Readys that callers could not put
// on offer.
func (n *node) run() {
	defer close(n.done)
	for !n.stopped.Load() {
		<-n.wake
		if n.yields.Swap(false) {
			runtime.Gosched()
		}
		n.attend()
		for n.rn.async && n.offer() {
		}
	}
}

// attend does what callers have left.
func (n *node) attend() {
	if n.acquire(context.Background()) != nil {
		return
	}
	for k := n.ticks.Swap(0); k > 0; k-- {
		n.rn.Tick()
	}
	for _, j := range n.jobs.take() {
		if !j.begun.Swap(true) {
			j.result <- n.rn.input(&j.m)
		}
	}
	if !n.out && !n.rn.async {
		n.putReady()
	}
	n.release()
}

// offer waits until somebody takes the next Ready, with asynchronous writes. It returns false if there
// is none.
func (n *node) offer() bool {
	if n.acquire(context.Background()) != nil {
		return false
	}
	rd, due := n.nextReady()
	n.out = due // nobody needs to wake this goroutine for another one
	n.release()
	for due {
		select {
		case n.readyc <- rd:
			return true
		case <-n.wake:
			n.attend()
			due = !n.stopped.Load()
		}
	}
	return false
}

func (n *node) stopNow() {
	n.stopped.Store(true)
	close(n.stop)
	n.wakeUp()
	<-n.done
	// Somebody inside may still put a Ready on offer; nobody will after that.
	_ = n.gate.enter(context.Background(), nil)
	defer n.gate.leave()
	select {
	case <-n.readyc:
	default:
	}
}
