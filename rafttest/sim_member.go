package rafttest

import (
	"encoding/binary"
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// memberState says where a member is in its life.
type memberState uint8

const (
	stateUnborn memberState = iota // never started, or wiped
	stateUp
	statePaused // its process exists and does nothing
	stateDown   // its process ended, its disk is there
	stateGone   // removed from the group and stopped
)

// Member is one member of a simulated group, as its Host sees it: a RawNode, a
// disk, a network, and a state machine. After its process has ended, which may
// happen within any of these calls, they do nothing.
type Member struct {
	w     *world
	id    uint64
	state memberState
	life  uint32 // counts processes
	epoch uint32 // counts identities: the disk was wiped in between

	node  *raft.RawNode
	cfg   raft.Config
	host  Host
	store *memberStore
	disk  disk

	machine StateMachine
	calls   applied
	applied uint64
	conf    pb.ConfState // as of applied
	saving  bool         // a snapshot of the state machine is on its way to disk

	ticks   int64 // length of this clock's tick in microseconds
	missed  int   // ticks while paused
	backlog []event
	trap    trap
	working bool

	seen    seen
	log     shadowLog
	waiting waiting
	src     source
}

func newMember(w *world, id uint64) *Member {
	m := &Member{w: w, id: id}
	m.src = *newSource(w.sim.Seed, streamMember, id, 0)
	m.disk.init(m)
	return m
}

// ID returns the member's ID.
func (m *Member) ID() uint64 { return m.id }

// Raw returns the RawNode. A Host takes Readys with Ready and hands them back
// with Advance, so that the oracles see them.
func (m *Member) Raw() *raft.RawNode { return m.node }

// Config returns what the member was started with.
func (m *Member) Config() *raft.Config { return &m.cfg }

func (m *Member) running() bool { return m.state == stateUp || m.state == statePaused }

func (m *Member) leads() bool { return m.seen.role == raft.StateLeader }

// start begins a new process on what the disk has.
func (m *Member) start() {
	m.state = stateUp
	m.life++
	m.missed, m.trap, m.saving = 0, trap{}, false
	m.waiting = waiting{}
	if !m.openStore() {
		return
	}
	m.machine, m.calls = m.w.sim.StateMachine(m.id), applied{}
	snap := m.store.snap
	if snap.Metadata.Index > 0 {
		if err := decodeState(snap.Data, &m.calls, m.machine); err != nil {
			m.w.fail(OracleStateMachine, m, "snapshot cannot be restored: %v", err)
			return
		}
	}
	m.applied, m.conf = snap.Metadata.Index, snap.Metadata.ConfState
	m.cfg = m.w.setup.config(m)
	m.cfg.Storage, m.cfg.Applied = m.store, m.applied
	m.host = m.w.sim.Host(m.id, &m.cfg)
	node, err := raft.NewRawNode(&m.cfg)
	if err != nil {
		m.w.fail(OraclePanic, m, "NewRawNode: %v", err)
		return
	}
	m.node = node
	m.w.trace.life(m.w, m, "start")
	m.w.oracle.started(m)
	m.startClock()
	m.work()
}

func (m *Member) openStore() bool {
	var err error
	if old, ok := m.reopener(); ok {
		m.store.inner, err = old.Reopen()
	} else {
		m.store = &memberStore{fresh: m.snapshot}
		if m.w.profile.Crashes > 0 || m.w.profile.ConfChanges > 0 {
			m.store.busy = &m.src
		}
		err = m.store.open(m.w.sim.Storage(m.id), &m.disk.safe)
	}
	if err != nil {
		m.w.fail(OracleStorage, m, "storage cannot be opened: %v", err)
	}
	return err == nil
}

// reopener returns the storage of the last process if it can be opened again.
func (m *Member) reopener() (Reopener, bool) {
	if m.store == nil {
		return nil, false
	}
	r, ok := m.store.inner.(Reopener)
	return r, ok
}

func (m *Member) startClock() {
	m.ticks = TickMicros
	if !m.w.healed {
		src := newSource(m.w.sim.Seed, streamClock, m.id, uint64(m.life))
		spread := int64(m.w.profile.Drift * TickMicros)
		m.ticks += src.between(-spread, spread)
	}
	m.scheduleTick(m.src.between(1, m.ticks))
}

func (m *Member) scheduleTick(in int64) {
	m.w.queue.push(event{at: m.w.now + in, kind: eventTick, who: uint16(m.id), life: m.life})
}

// receive takes an event that is for this process.
func (m *Member) receive(e event) {
	if e.kind == eventTick {
		m.scheduleTick(m.ticks)
	}
	if m.state == statePaused {
		if e.kind == eventTick {
			m.missed++
		} else {
			m.backlog = append(m.backlog, e)
		}
		return
	}
	if e.kind == eventTick {
		m.tick()
		return
	}
	m.disk.advance()
}

func (m *Member) tick() {
	m.node.Tick()
	m.work()
}

// step gives the member a message from another one.
func (m *Member) step(msg pb.Message) {
	// Errors are answers to bad luck, such as a message of a removed member.
	_ = m.node.Step(msg)
	m.work()
}

// orLater calls f, now or when the process wakes up.
func (m *Member) orLater(f func()) {
	switch m.state {
	case stateUp:
		f()
		m.work()
	case statePaused:
		slot := uint32(len(m.w.timers))
		m.w.timers = append(m.w.timers, timer{do: f, who: m, life: m.life})
		m.backlog = append(m.backlog, event{kind: eventTimer, arg: slot})
	}
}

// work lets the host do what is due and then asks the oracles.
func (m *Member) work() {
	if m.state != stateUp || m.working {
		return
	}
	m.working = true
	m.w.oracle.check(m)
	m.host.Work(m)
	m.working = false
	if m.state == stateUp {
		m.w.oracle.check(m)
	}
}

// pause stops the process for a while.
func (m *Member) pause(length int64) {
	m.state = statePaused
	m.w.trace.life(m.w, m, "pause")
	m.w.after(length, nil, m.waker())
}

func (m *Member) waker() func() {
	life := m.life
	return func() {
		if m.life == life && m.state == statePaused {
			m.wake()
		}
	}
}

// wake lets the process go on: first its clock, then what has gathered.
func (m *Member) wake() {
	m.state = stateUp
	m.w.trace.life(m.w, m, "wake")
	ticks := min(m.missed, 1)
	if m.w.profile.CatchUp {
		ticks = m.missed
	}
	m.missed = 0
	life := m.life
	for ; ticks > 0 && m.life == life && m.state == stateUp; ticks-- {
		m.tick()
	}
	backlog := m.backlog
	m.backlog = nil
	for i, e := range backlog {
		if m.w.violation != nil {
			return
		}
		if m.life != life || m.state != stateUp {
			m.backlog = append(m.backlog, backlog[i:]...)
			m.dropBacklog()
			return
		}
		switch e.kind {
		case eventDeliver:
			m.w.net.handOver(e.arg, m)
		case eventTimer:
			m.w.fire(e.arg)
		default:
			m.disk.advance()
		}
	}
}

func (m *Member) dropBacklog() {
	for _, e := range m.backlog {
		if e.kind == eventDeliver {
			m.w.net.done(e.arg)
		}
	}
	m.backlog = m.backlog[:0]
}

// crashFor ends the process. It starts again after that time.
func (m *Member) crashFor(length int64, why string) {
	if !m.running() {
		return
	}
	m.stop(why)
	m.state = stateDown
	life := m.life
	m.w.after(length, nil, func() {
		if m.state == stateDown && m.life == life {
			m.start()
		}
	})
}

// stop ends the process and loses what was not safe.
func (m *Member) stop(why string) {
	m.w.stats.Crashes++
	m.w.trace.life(m.w, m, why)
	m.state = stateDown
	m.life++
	m.dropBacklog()
	m.disk.crash()
	m.w.clients.abandoned(m)
	m.seen.role = raft.StateFollower
}

// reportSnapshot and reportUnreachable are what a transport tells its member.
func (m *Member) reportSnapshot(to uint64, status raft.SnapshotStatus) {
	m.node.ReportSnapshot(to, status)
}

func (m *Member) reportUnreachable(to uint64) {
	m.node.ReportUnreachable(to)
}

// decodeCall splits an entry into the number of the call and its content.
func decodeCall(data []byte) (uint32, []byte, error) {
	if len(data) < 4 {
		return 0, nil, fmt.Errorf("an entry of %d bytes", len(data))
	}
	return binary.LittleEndian.Uint32(data), data[4:], nil
}
