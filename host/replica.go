package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Replica is a running member. Its methods may be called by any goroutine.
type Replica struct {
	cfg   Config
	e     *engine // belongs to the loop
	inbox *inbox
	clock clock
	age   elapsed // belongs to the loop
	lanes [LaneApply + 1]chan *Task

	receiving sync.Mutex // held while a snapshot is received
	working   sync.WaitGroup
	stop      chan struct{}
	stopOnce  sync.Once
	done      chan struct{}
	err       error                 // set before done is closed
	cause     atomic.Pointer[error] // of the stop, as soon as calls are no longer taken
	after     sync.Mutex
}

// clock is where time comes from.
type clock struct {
	now  func() time.Time
	tick func(time.Duration) (<-chan time.Time, func())
}

var systemClock = clock{
	now: time.Now,
	tick: func(d time.Duration) (<-chan time.Time, func()) {
		t := time.NewTicker(d)
		return t.C, t.Stop
	},
}

// Start brings a member up from what its parts have, and runs it until Stop or a failure. It returns when
// the state is restored, which may take long.
func Start(cfg Config) (*Replica, error) { return startWith(cfg, systemClock) }

func startWith(cfg Config, c clock) (*Replica, error) {
	e, err := newEngine(cfg, c.now)
	if err != nil {
		return nil, err
	}
	r := &Replica{
		cfg: e.cfg, e: e, inbox: newInbox(e.cfg.MaxInboxBytes), clock: c,
		stop: make(chan struct{}), done: make(chan struct{}),
		age: elapsed{begin: c.now(), interval: e.cfg.TickInterval, limit: 10 * e.cfg.ElectionTicks},
	}
	for i := range r.lanes {
		r.lanes[i] = make(chan *Task, 1)
		r.working.Add(1)
		go r.runLane(r.lanes[i])
	}
	go r.loop()
	return r, nil
}

// runLane does the tasks of one lane, one at a time.
func (r *Replica) runLane(tasks <-chan *Task) {
	defer r.working.Done()
	for t := range tasks {
		r.run(t)
	}
}

func (r *Replica) run(t *Task) {
	t.Run()
	if !r.inbox.put(func(in *input) { in.finished = append(in.finished, t) }) {
		t.forget()
	}
}

// loop is the one goroutine that uses the engine.
func (r *Replica) loop() {
	ticks, stopTicks := r.clock.tick(r.cfg.TickInterval)
	defer stopTicks()
	gathered := time.AfterFunc(time.Hour, r.inbox.ring)
	defer gathered.Stop()
	for r.turn(r.inbox.take()) {
		if until := r.e.gathering.until; !until.IsZero() {
			gathered.Reset(until.Sub(r.clock.now()))
		}
		select {
		case <-r.inbox.wake:
		case <-ticks:
		case <-r.stop:
			r.end()
			return
		}
	}
	r.end()
}

// turn handles what gathered, and reports whether the member goes on.
func (r *Replica) turn(in input) bool {
	e := r.e
	// Time comes first: a read or a vote must find the clock where it is, also after a pause.
	due := r.age.ticks(r.clock.now())
	if due > 1 {
		e.counters.ticksCaughtUp.Add(uint64(due - 1))
	}
	for ; due > 0; due-- {
		e.tick()
	}
	for _, t := range in.finished {
		e.finish(t)
	}
	for i := range in.messages {
		e.step(in.messages[i])
	}
	for _, id := range in.lost {
		e.unreachable(id)
	}
	for _, call := range in.calls {
		call()
	}
	e.propose(in.proposals)
	e.reads.next = append(e.reads.next, in.reads...)
	e.work()
	return r.output() && e.failure == nil
}

// output sends and starts what the engine wants, and reports whether the transport works.
func (r *Replica) output() bool {
	messages, tasks := r.e.output()
	if len(messages) > 0 {
		if err := r.cfg.Transport.Send(messages); err != nil {
			r.e.fail(fmt.Errorf("host: Transport.Send: %w", err))
			r.e.work()
			for _, t := range tasks {
				t.forget()
			}
			return false
		}
	}
	for _, t := range tasks {
		switch t := t; t.Lane {
		case LaneLog, LaneApply:
			r.lanes[t.Lane] <- t
		default:
			r.working.Add(1)
			go func() {
				defer r.working.Done()
				r.run(t)
			}()
		}
	}
	return true
}

// end answers all who wait, and waits for what is being done.
func (r *Replica) end() {
	e := r.e
	cause := e.failure
	if cause == nil {
		e.emit(Event{Kind: EventStopped, Reason: "its owner stopped it"})
	}
	r.cause.Store(&cause)
	in := r.inbox.close()
	e.propose(in.proposals)
	e.reads.next = append(e.reads.next, in.reads...)
	if e.failure == nil {
		e.failure = ErrStopped
	}
	for _, call := range in.calls {
		call()
	}
	for _, t := range in.finished {
		t.forget()
	}
	e.abandon(cause)
	for _, lane := range r.lanes {
		close(lane)
	}
	r.working.Wait()
	e.events.close()
	r.err = cause
	close(r.done)
}

// elapsed counts the ticks that have passed.
type elapsed struct {
	begin    time.Time
	interval time.Duration
	given    int64
	limit    int
}

// ticks returns how many are due. After a long pause it is no more than limit, which changes as much.
func (a *elapsed) ticks(now time.Time) int {
	passed := int64(now.Sub(a.begin) / a.interval)
	due := passed - a.given
	a.given = max(a.given, passed)
	return int(min(max(due, 0), int64(a.limit)))
}

// Stop ends the replica, and returns when none of its goroutines is left: a call of Save or Apply that is
// under way is waited for. It returns what Err returns.
func (r *Replica) Stop() error {
	r.stopOnce.Do(func() { close(r.stop) })
	<-r.done
	return r.err
}

// Done is closed when the replica has stopped.
func (r *Replica) Done() <-chan struct{} { return r.done }

// Err returns what made the replica stop; nil if it runs or Stop was called.
func (r *Replica) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// stopCause returns why calls are no longer taken.
func (r *Replica) stopCause() error {
	if cause := r.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// call has the loop call f, and reports whether it will.
func (r *Replica) call(f func()) bool {
	return r.inbox.put(func(in *input) { in.calls = append(in.calls, f) })
}

// ask has f called by the loop, or here if that has ended, and returns when it was.
func (r *Replica) ask(f func()) {
	asked := make(chan struct{})
	if r.call(func() { f(); close(asked) }) {
		<-asked
		return
	}
	<-r.done
	r.after.Lock()
	defer r.after.Unlock()
	f()
}

// Step takes a message of another member, decoded by raftpb.UnmarshalPeer. While there is no room it waits,
// which slows the sender down; when ctx ends the message is dropped, as a network would drop it.
func (r *Replica) Step(ctx context.Context, m pb.Message) error {
	if err := checkMessage(r.cfg.ID, &m); err != nil {
		return err
	}
	err := r.inbox.message(ctx, m, m.Size())
	if errors.Is(err, ErrDropped) {
		r.e.counters.messagesDropped.Add(1)
	}
	return err
}

// checkMessage says why a message must not reach the loop.
func checkMessage(id uint64, m *pb.Message) error {
	switch {
	case m.Type == pb.MsgSnap:
		return ErrSnapshotPath
	case m.To != id || raft.IsLocalMsg(m.Type) || raft.IsLocalMsgTarget(m.From) || len(m.Responses) > 0:
		return ErrNotForUs
	}
	return nil
}

// ReceiveSnapshot takes a MsgSnap of another member and its content, and returns when it is installed or was
// not needed. It reads content as fast as it can be put aside; ErrSnapshotBusy while another one is received.
func (r *Replica) ReceiveSnapshot(ctx context.Context, m pb.Message, content io.Reader) error {
	if err := checkSnapshot(r.cfg.ID, &m); err != nil {
		return err
	}
	if !r.receiving.TryLock() {
		return ErrSnapshotBusy
	}
	a := &arrival{message: m}
	if err := r.e.stage(a, contextReader{ctx, content}); err != nil {
		r.receiving.Unlock()
		return err
	}
	type outcome struct {
		used bool
		err  error
	}
	answer := make(chan outcome, 1)
	a.settle = func(used bool, err error) { answer <- outcome{used, err} }
	if !r.call(func() { r.e.arrived(a) }) {
		answer <- outcome{false, ErrStopped}
	}
	result := make(chan error, 1)
	go func() {
		defer r.receiving.Unlock()
		o := <-answer
		if !o.used {
			o.err = errors.Join(o.err, a.discard())
		}
		result <- o.err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(data []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(data)
}

// ReportUnreachable tells that messages to a member were lost. It does not wait.
func (r *Replica) ReportUnreachable(id uint64) {
	r.inbox.put(func(in *input) {
		for _, have := range in.lost {
			if have == id {
				return
			}
		}
		in.lost = append(in.lost, id)
	})
}

// Status returns where the member stands, or stood when it stopped.
func (r *Replica) Status() (s Status) {
	r.ask(func() { s = r.e.status() })
	return s
}

// Explain says what holds things up.
func (r *Replica) Explain() (x Explanation) {
	r.ask(func() { x = r.e.explain() })
	return x
}

// Metrics returns what was counted. It does not wait for the loop.
func (r *Replica) Metrics() Metrics {
	m := r.e.counters.load()
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	m.InboxBytes = int64(r.inbox.in.bytes)
	return m
}

// RecentEvents returns the newest events, oldest first.
func (r *Replica) RecentEvents() []Event { return r.e.events.list() }

// Subscribe returns a channel with room for n events, and a function that ends it. Events that find no room
// are left out; gaps in Event.Number show it. The channel is closed when the replica stops.
func (r *Replica) Subscribe(n int) (<-chan Event, func()) { return r.e.events.subscribe(n) }
