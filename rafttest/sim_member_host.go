package rafttest

import (
	"encoding/binary"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// HasReady reports whether there is something to take with Ready.
func (m *Member) HasReady() bool { return m.state == stateUp && m.node.HasReady() }

// Ready takes what the RawNode wants done.
func (m *Member) Ready() raft.Ready {
	if m.state != stateUp {
		return raft.Ready{}
	}
	rd := m.node.Ready()
	m.w.oracle.ready(m, &rd)
	return rd
}

// Advance says that the last Ready is dealt with.
func (m *Member) Advance(rd raft.Ready) {
	if m.state != stateUp {
		return
	}
	m.node.Advance(rd)
	m.w.oracle.check(m)
}

// Step hands the RawNode an answer of this member's own storage.
func (m *Member) Step(msg pb.Message) {
	if m.state != stateUp {
		return
	}
	m.w.oracle.sent(m, &msg)
	_ = m.node.Step(msg)
	m.w.oracle.check(m)
}

// Save gives a batch to the disk and calls done when it is through. Batches
// are worked off in the order of their saving.
func (m *Member) Save(b Write, done func(error)) {
	if m.state != stateUp || m.passes(pointBeforeSave) {
		return
	}
	m.disk.issue(op{Write: b, done: done})
}

// Send puts messages to other members on their way.
func (m *Member) Send(msgs ...pb.Message) {
	if m.state != stateUp || m.passes(pointBeforeSend) {
		return
	}
	for i := range msgs {
		m.w.oracle.sent(m, &msgs[i])
		m.w.trace.message(m.w, traceSend, &msgs[i], m.w.now)
		m.w.net.send(m, &msgs[i])
		if m.passes(pointSent) {
			return
		}
	}
}

// Install puts the state of another member in place of the state machine's.
func (m *Member) Install(snap pb.Snapshot) {
	if m.state != stateUp || m.passes(pointInstall) {
		return
	}
	m.w.stats.Snapshots++
	m.w.trace.note(m.w, m, "install snapshot at "+idText(snap.Metadata.Index))
	if err := decodeState(snap.Data, &m.calls, m.machine); err != nil {
		m.w.fail(OracleStateMachine, m, "snapshot cannot be restored: %v", err)
		return
	}
	m.applied, m.conf = snap.Metadata.Index, snap.Metadata.ConfState
	m.w.oracle.installed(m, &snap.Metadata)
	m.passes(pointInstalled)
}

// Apply runs committed entries through the state machine and tells the RawNode
// of configuration changes. It answers the clients that waited for them.
func (m *Member) Apply(entries []pb.Entry) {
	for i := range entries {
		if m.state != stateUp || m.w.violation != nil || m.passes(pointApply) {
			return
		}
		m.applyOne(&entries[i])
	}
	if len(entries) > 0 && m.state == stateUp {
		m.w.clients.serveReads(m)
		if m.applied >= m.store.snap.Metadata.Index+m.w.setup.compactEvery {
			m.saveState()
		}
	}
}

// applyOne applies an entry. Until it is through, the member's state is the one
// before it: the RawNode may ask for a snapshot within ApplyConfChange.
func (m *Member) applyOne(e *pb.Entry) {
	m.w.oracle.apply(m, e)
	cc, err := confChangeOf(*e)
	switch {
	case err != nil:
		m.w.fail(OracleStateMachine, m, "entry %d: %v", e.Index, err)
	case cc != nil:
		m.conf = *m.node.ApplyConfChange(cc)
		m.applied = e.Index
		m.w.oracle.configured(m, e.Index)
		m.w.oracle.check(m)
		m.w.op.applied(m, e.Index)
	case len(e.Data) == 0:
		m.applied = e.Index
	default:
		m.applyCall(e)
	}
}

func (m *Member) applyCall(e *pb.Entry) {
	number, call, err := decodeCall(e.Data)
	if err != nil {
		m.w.fail(OracleStateMachine, m, "entry %d: %v", e.Index, err)
		return
	}
	fresh := m.calls.add(number)
	m.applied = e.Index
	if fresh {
		m.w.clients.applied(m, number, m.machine.Apply(call))
	}
}

// Answer takes the reads that the RawNode has confirmed. Each is answered as
// soon as the state machine has come to its index.
func (m *Member) Answer(reads []raft.ReadState) {
	if m.state != stateUp {
		return
	}
	for _, r := range reads {
		if len(r.RequestCtx) == 4 {
			m.w.clients.confirmed(m, binary.LittleEndian.Uint32(r.RequestCtx), r.Index)
		}
	}
	m.w.clients.serveReads(m)
}

// After calls f in that many microseconds of virtual time, unless the process
// has ended by then.
func (m *Member) After(micros int64, f func()) {
	if m.state == stateUp {
		m.w.after(micros, m, f)
	}
}

// ApplyTime draws how long it takes to apply n entries, in microseconds.
func (m *Member) ApplyTime(n int) int64 {
	if n > 0 && !m.w.healed && m.src.chance(m.w.profile.SlowApplyChance) {
		return m.src.between(TickMicros, 30*TickMicros)
	}
	return m.src.between(20, 200) + int64(n)*5
}

// snapshot returns the state machine as it is.
func (m *Member) snapshot() pb.Snapshot {
	if m.applied <= m.store.snap.Metadata.Index {
		return m.store.snap
	}
	return pb.Snapshot{
		Data: encodeState(&m.calls, m.machine),
		Metadata: pb.SnapshotMetadata{
			Index: m.applied, Term: m.log.term(m.applied), ConfState: m.conf,
		},
	}
}

// saveState writes a snapshot of the state machine to the disk, and has the log
// shortened when it is safe.
func (m *Member) saveState() {
	if m.saving || m.state != stateUp || m.applied <= m.store.snap.Metadata.Index {
		return
	}
	m.saving = true
	snap := m.snapshot()
	to := m.applied - min(m.applied, m.w.setup.keepBehind)
	m.disk.issue(op{Write: Write{Sync: true}, local: &snap, compactTo: to, done: func(err error) {
		if err != nil {
			m.Fail(err)
		}
	}})
}

// stateSaved goes on when the snapshot is safe.
func (m *Member) stateSaved(o *op) {
	m.saving = false
	if o.local.Metadata.Index <= m.store.snap.Metadata.Index {
		return
	}
	m.store.snap = *o.local
	first, err := m.store.FirstIndex()
	if err == nil && o.compactTo >= first {
		err = m.store.inner.Compact(o.compactTo)
	}
	if err != nil {
		m.w.fail(OracleStorage, m, "Compact(%d): %v", o.compactTo, err)
	}
}

// point is a step of a host loop at which a process may end.
type point uint8

const (
	pointBeforeSave point = iota
	pointWritten
	pointSaved
	pointBeforeSend
	pointSent
	pointApply
	pointInstall
	pointInstalled
	points
)

var pointNames = [...]string{
	"before a write", "between write and sync", "after a write", "before sending",
	"between two sends", "while applying", "before a snapshot is installed",
	"after a snapshot is installed",
}

func (p point) String() string { return pointNames[p] }

// trap ends a process at the next step of a kind, or a few of them later.
type trap struct {
	point   point
	skip    int
	downFor int64 // microseconds; zero means that there is no trap
}

// passes reports whether the process has ended at this step.
func (m *Member) passes(p point) bool {
	if m.trap.downFor == 0 || m.trap.point != p {
		return false
	}
	if m.trap.skip > 0 {
		m.trap.skip--
		return false
	}
	m.crashFor(m.trap.downFor, "crash "+p.String())
	return true
}
