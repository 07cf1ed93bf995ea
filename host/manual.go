package host

import (
	"io"
	"time"

	pb "quorate.example/raft/raftpb"
)

// Manual is a member without goroutines and without a clock: a simulation gives it its inputs, and does what
// Take returns at its own time. The methods are called by one goroutine; Task.Run may be called by others.
//
//	m.Tick()                       // or any other input
//	messages, tasks := m.Take()    // send the messages; later, for each task:
//	task.Run()
//	m.Finish(task)                 // an input too
//
// A crash is to stop calling it, between any two of these.
type Manual struct {
	e        *engine
	base     time.Time
	together bool
}

// NewManual brings a member up from what its parts have. Its time is the number of ticks times
// Config.TickInterval. Transport.Send is not called: messages come from Take.
func NewManual(cfg Config) (*Manual, error) {
	m := &Manual{base: time.Unix(0, 0).UTC()}
	e, err := newEngine(cfg, m.now)
	if err != nil {
		return nil, err
	}
	m.e = e
	e.work()
	return m, nil
}

func (m *Manual) now() time.Time {
	if m.e == nil {
		return m.base
	}
	return m.base.Add(time.Duration(m.e.ticks) * m.e.cfg.TickInterval)
}

// do carries out an input, unless the member has stopped.
func (m *Manual) do(input func()) {
	if m.e.failure == nil {
		input()
	}
	m.work()
}

func (m *Manual) work() {
	if !m.together {
		m.e.work()
	}
}

// Together makes the inputs within f one input, as a loop does that finds them waiting.
func (m *Manual) Together(f func()) {
	m.together = true
	f()
	m.together = false
	m.e.work()
}

// Tick tells that one tick has passed.
func (m *Manual) Tick() { m.do(m.e.tick) }

// Step takes a message of another member.
func (m *Manual) Step(message pb.Message) error {
	if err := checkMessage(m.e.cfg.ID, &message); err != nil {
		return err
	}
	m.do(func() { m.e.step(message) })
	return nil
}

// Propose asks for data to be replicated; settle is called once with the outcome.
func (m *Manual) Propose(data []byte, settle func(Result, error)) {
	x := &proposal{data: data, size: proposalSize(data), settle: settle}
	m.e.counters.proposed.Add(1)
	m.e.propose([]*proposal{x})
	m.work()
}

// Read calls settle when reading the state machine is linearizable.
func (m *Manual) Read(settle func(error)) {
	m.e.reads.next = append(m.e.reads.next, &read{gone: never, settle: settle})
	m.work()
}

func never() bool { return false }

// Change makes several changes at once, jointly; settle is called when they are in force, with what names the
// new configuration.
func (m *Manual) Change(changes []pb.ConfChangeSingle, settle func(uint64, error), options ...ChangeOption) {
	x := newChange(changes, options)
	x.settle = settle
	m.e.changes.waiting = append(m.e.changes.waiting, x)
	m.work()
}

// TransferLeadership calls settle when the leadership is with a member, or is not going to be.
func (m *Manual) TransferLeadership(to uint64, settle func(error)) {
	m.do(func() { m.e.transferTo(&transfer{to: to, gone: never, settle: settle}) })
}

// Campaign makes this member ask for votes now, if it may.
func (m *Manual) Campaign() { m.do(func() { _ = m.e.node.Campaign() }) }

// ReceiveSnapshot takes a snapshot of another member. settle is called when it is installed or was not needed.
func (m *Manual) ReceiveSnapshot(message pb.Message, content io.Reader, settle func(error)) {
	if err := checkSnapshot(m.e.cfg.ID, &message); err != nil {
		settle(err)
		return
	}
	a := &arrival{message: message}
	if m.e.receiving.current != nil {
		settle(ErrSnapshotBusy)
		return
	}
	if err := m.e.stage(a, content); err != nil {
		settle(err)
		return
	}
	a.settle = func(used bool, err error) {
		if !used {
			if discarded := a.discard(); err == nil {
				err = discarded
			}
		}
		settle(err)
	}
	m.do(func() { m.e.arrived(a) })
}

// ReportUnreachable tells that messages to a member were lost.
func (m *Manual) ReportUnreachable(id uint64) { m.do(func() { m.e.unreachable(id) }) }

// Take returns the messages to send and the tasks to do, each once.
func (m *Manual) Take() ([]pb.Message, []*Task) { return m.e.output() }

// Finish tells that a task was run.
func (m *Manual) Finish(t *Task) {
	m.e.finish(t)
	m.work()
}

// Stop ends all calls that wait.
func (m *Manual) Stop() { m.e.abandon(nil) }

// Err returns what stopped the member, nil if nothing did.
func (m *Manual) Err() error { return m.e.failure }

// Status returns where the member stands.
func (m *Manual) Status() Status { return m.e.status() }

// Explain says what holds things up.
func (m *Manual) Explain() Explanation { return m.e.explain() }

// Metrics returns what was counted.
func (m *Manual) Metrics() Metrics { return m.e.counters.load() }

// RecentEvents returns the newest events, oldest first.
func (m *Manual) RecentEvents() []Event { return m.e.events.list() }
