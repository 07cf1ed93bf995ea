package host

import (
	"fmt"
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// core is what the engine drives: a *raft.RawNode.
type core interface {
	Tick()
	Step(m pb.Message) error
	HasReady() bool
	Ready() raft.Ready
	ProposeConfChange(cc pb.ConfChangeI) error
	ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState
	ReadIndex(context []byte)
	TransferLeader(id uint64)
	Campaign() error
	ForgetLeader() error
	ReportUnreachable(id uint64)
	ReportSnapshot(id uint64, status raft.SnapshotStatus)
	BasicStatus() raft.BasicStatus
	Status() raft.Status
}

// engine is one member as a plain value: inputs go in by its methods, and out come messages and tasks. It
// has no goroutine and no clock; whoever drives it calls its methods from one goroutine.
//
// Every input is followed by work, which carries out what package raft wants and gives idle lanes their next
// task. Nothing here waits.
type engine struct {
	cfg      Config
	node     core
	log      *logView
	durable  DurableStateMachine // cfg.StateMachine, if it is one
	now      func() time.Time
	random   random
	counters *counters
	events   *eventLog
	failure  error

	role      raft.SoftState
	term      uint64 // as of the last Ready
	last      uint64 // index of the last entry that is handed out or proposed
	ticks     uint64
	conf      pb.ConfState
	confIndex uint64

	saves     saves
	applies   applies
	proposals proposals
	gathering gathering
	forwarded forwarded
	reads     reads
	changes   changes
	transfers []*transfer
	watchers  []*leaderWatcher
	snapshots snapshots
	sending   sending
	receiving receiving
	health    health

	outbox []pb.Message
	tasks  []*Task
	busy   [lanes]bool // LaneLog and LaneApply
}

// newEngine brings the parts of cfg to where they stood, and makes a member of them.
func newEngine(cfg Config, now func() time.Time) (*engine, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	e := bareEngine(cfg, now)
	meta, err := e.recoverState()
	if err != nil {
		return nil, err
	}
	e.log = &logView{LogStore: cfg.Log, e: e, start: meta}
	rc := cfg.raftConfig()
	rc.Storage, rc.Applied = e.log, meta.Index
	if cfg.Seed != 0 {
		rc.Rand = &random{state: mix(cfg.Seed, cfg.ID)}
	}
	rc.OnStorageError = raft.StorageErrorFunc(func(err error) { e.fail(err) })
	rc.OnEvent = raft.EventFunc(e.coreEvent)
	node, err := raft.NewRawNode(&rc)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	e.node = node
	if err := e.adopt(meta); err != nil {
		return nil, err
	}
	if e.last == 0 && len(cfg.Bootstrap) > 0 && raft.IsEmptyHardState(node.BasicStatus().HardState) {
		if err := node.Bootstrap(cfg.Bootstrap); err != nil {
			return nil, fmt.Errorf("host: %w", err)
		}
	}
	return e, nil
}

// bareEngine returns an engine without a member.
func bareEngine(cfg Config, now func() time.Time) *engine {
	e := &engine{cfg: cfg, now: now, counters: &counters{}}
	e.durable, _ = cfg.StateMachine.(DurableStateMachine)
	e.random = newRandom(cfg.Seed, cfg.ID)
	e.events = &eventLog{hook: cfg.OnEvent, counters: e.counters}
	e.forwarded.init(e.random.next())
	e.reads.name = e.random.next()
	e.reads.patience = max(cfg.ElectionTicks/2, 2)
	e.sending.streams = map[uint64]*stream{}
	e.health.members = map[uint64]*memberHealth{}
	return e
}

// adopt notes where the member stands at its start.
func (e *engine) adopt(meta pb.SnapshotMetadata) error {
	last, err := e.log.LastIndex()
	if err != nil {
		return fmt.Errorf("host: LogStore.LastIndex: %w", err)
	}
	e.last = last
	e.term = e.node.BasicStatus().Term
	e.applies.applied, e.applies.term = meta.Index, meta.Term
	e.conf, e.confIndex = meta.ConfState, meta.Index
	e.snapshots.index = meta.Index
	e.snapshots.base = e.applies.bytes
	return nil
}

// tick gives the member one tick.
func (e *engine) tick() {
	e.ticks++
	e.counters.ticks.Add(1)
	before := e.node.BasicStatus()
	e.node.Tick()
	e.noteCause(&before, nil)
	e.reads.tick()
	e.forwarded.tick(e)
	e.tickChanges()
	e.tickTransfers()
	e.tickSnapshots()
	e.tickStreams()
	e.tickHealth()
	e.sweepProposals()
	e.tellDropped()
}

// step gives the member a message of another one.
func (e *engine) step(m pb.Message) {
	e.counters.received.Add(1)
	if m.Type == pb.MsgProp {
		if m.Entries = e.admitForwarded(m.Entries); len(m.Entries) == 0 {
			return
		}
		// Indexes are counted: what is appended must be seen before this member proposes again.
		e.proposals.uncounted = true
	}
	e.health.heard(m.From, e.ticks)
	before := e.node.BasicStatus()
	if err := e.node.Step(m); err != nil {
		e.counters.messagesRefused.Add(1)
		e.forgetForwarded(&m)
	}
	e.noteCause(&before, &m)
	e.noteVoteRequest(&before, &m)
}

// work carries out what there is to do until something has to wait.
func (e *engine) work() {
	for e.failure == nil {
		switch {
		case e.proposeNext(), e.changeNext(), e.askRead():
		case e.node.HasReady():
			e.take(e.node.Ready())
		case e.startApply():
		case e.startSave():
		default:
			return
		}
	}
	e.abandon(e.failure)
}

// take distributes what a Ready wants done.
func (e *engine) take(rd raft.Ready) {
	e.proposals.uncounted = false
	e.term = max(e.term, e.node.BasicStatus().Term)
	if !raft.IsEmptySnap(rd.Snapshot) {
		e.last = rd.Snapshot.Metadata.Index
	}
	if n := len(rd.Entries); n > 0 {
		e.last = rd.Entries[n-1].Index
		e.counters.entriesAppended.Add(uint64(n))
		e.snapshots.mark(rd.Entries)
	}
	if rd.SoftState != nil {
		e.roleChanged(*rd.SoftState)
	}
	for i := range rd.ReadStates {
		e.confirmRead(&rd.ReadStates[i])
	}
	for i := range rd.Messages {
		m := &rd.Messages[i]
		switch m.To {
		case raft.LocalAppendThread:
			e.queueSave(m)
		case raft.LocalApplyThread:
			e.queueApply(m)
		default:
			e.send(m)
		}
	}
}

// send puts a message into the outbox.
func (e *engine) send(m *pb.Message) {
	if m.Type == pb.MsgSnap && len(m.Snapshot.Data) == 0 {
		e.sendSnapshot(*m)
		return
	}
	e.counters.sent.Add(1)
	e.noteRefusal(m)
	e.outbox = append(e.outbox, *m)
}

// respond delivers what waited for storage: to this member, or to others.
func (e *engine) respond(responses []pb.Message) {
	for i := range responses {
		m := &responses[i]
		if m.To != e.cfg.ID {
			e.send(m)
			continue
		}
		if err := e.node.Step(*m); err != nil {
			e.counters.messagesRefused.Add(1)
		}
	}
}

// start gives a lane a task. Its end comes back through done, on the loop.
func (e *engine) start(t *Task) {
	e.busy[t.Lane] = true
	e.tasks = append(e.tasks, t)
}

// finish is called when a task has run.
func (e *engine) finish(t *Task) {
	e.busy[t.Lane] = false
	if e.failure == nil {
		t.done(t.err)
	}
}

// output returns what is to be sent and done, and forgets it.
func (e *engine) output() ([]pb.Message, []*Task) {
	messages, tasks := e.outbox, e.tasks
	e.outbox, e.tasks = nil, nil
	return messages, tasks
}

// fail stops the member for good. The first cause counts.
func (e *engine) fail(err error) {
	if e.failure == nil {
		e.failure = err
		e.emit(Event{Kind: EventStopped, Reason: err.Error()})
	}
}

// abandon ends all calls, since nothing happens here any more.
func (e *engine) abandon(cause error) {
	stopped := &stoppedError{cause: cause}
	e.abandonProposals(stopped)
	e.reads.abandon(&ReadError{Waiting: "the replica has stopped", Cause: stopped})
	e.abandonChanges(stopped)
	e.abandonTransfers(stopped)
	e.receiving.abandon(stopped)
	e.sending.abandon()
	e.snapshots.abandon()
}

// stoppedError is ErrStopped with the cause.
type stoppedError struct{ cause error }

func (s *stoppedError) Error() string {
	if s.cause == nil {
		return ErrStopped.Error()
	}
	return fmt.Sprintf("%v: %v", ErrStopped, s.cause)
}

func (s *stoppedError) Is(target error) bool { return target == ErrStopped }
func (s *stoppedError) Unwrap() error        { return s.cause }
