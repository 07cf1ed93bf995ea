package rafttest

import (
	"encoding/binary"
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Process is a process of one member of an Exploration, as its host loop sees it: a RawNode, a disk, a
// network and a state machine. After it has ended, which may happen within any of these calls, they do
// nothing.
type Process struct {
	e     *explorer
	id    uint64
	node  *raft.RawNode
	store *memberStore
	explored

	points  int // steps of the host loop so far
	crashAt int // the one at which the process ends; 0: none
	ended   bool

	ledTerm uint64 // the term that it led before this step
	did     transition
}

// explored is what is known of a member between two steps, beside its RawNode.
type explored struct {
	disk     exploredDisk // as written
	safe     exploredDisk // what a crash leaves
	log      logID        // as given to the host
	applied  logID
	conf     confID // as of applied
	appends  []pb.Message
	applies  []pb.Message
	term     uint64
	vote     uint64
	commit   uint64
	role     raft.StateType
	leadsFor uint64 // whom it hands over to
}

// exploredDisk is what a disk holds: the whole log goes on from the snapshot.
type exploredDisk struct {
	hard pb.HardState
	log  logID
	snap logID
	conf confID // of the snapshot
}

// confID names a configuration.
type confID uint32

// ID returns the member's ID.
func (p *Process) ID() uint64 { return p.id }

// start begins the process on what disk holds.
func (p *Process) start(disk exploredDisk) {
	p.explored = explored{disk: disk, safe: disk, log: disk.log, applied: disk.snap, conf: disk.conf}
	p.crashAt, p.ended, p.ledTerm = 0, false, 0
	if !p.openStore() {
		return
	}
	cfg := p.e.config(p.id)
	cfg.Storage, cfg.Applied = p.store, p.e.logs.last(disk.snap)
	node, err := raft.NewRawNode(&cfg)
	if err != nil {
		p.fail(OraclePanic, "NewRawNode: %v", err)
		return
	}
	p.node = node
	st := node.BasicStatus()
	if st.Term != disk.hard.Term || st.Vote != disk.hard.Vote {
		p.fail(OracleHardState, "restarted in term %d with vote %d, its disk has %d and %d",
			st.Term, st.Vote, disk.hard.Term, disk.hard.Vote)
	}
	p.note(&st)
	p.e.loop(p)
}

// openStore fills a new storage with what the disk holds.
func (p *Process) openStore() bool {
	logs, d := p.e.logs, &p.disk
	base := logs.last(d.snap)
	p.store = &memberStore{fresh: p.snapshot}
	err := p.store.open(p.e.x.Storage(p.id), &image{
		hard: d.hard, snap: p.e.snapshot(d.snap, d.conf), log: logs.after(d.log, base),
		base: pb.Entry{Index: base, Term: logs.lastTerm(d.snap)},
	})
	if err != nil {
		p.fail(OracleStorage, "storage cannot be opened: %v", err)
	}
	return err == nil
}

// snapshot returns the state machine as it is.
func (p *Process) snapshot() pb.Snapshot {
	if p.e.logs.last(p.applied) <= p.store.snap.Metadata.Index {
		return p.store.snap
	}
	return p.e.snapshot(p.applied, p.conf)
}

func (p *Process) fail(oracle Oracle, format string, args ...any) {
	if p.did.violation == nil {
		p.did.violation = &Violation{Oracle: oracle, Member: p.id, Text: fmt.Sprintf(format, args...)}
	}
}

// runs reports whether the process is there, and nothing is wrong.
func (p *Process) runs() bool { return !p.ended && p.did.violation == nil }

// passes counts a step of the host loop, and reports whether the process goes on with it.
func (p *Process) passes() bool {
	if !p.runs() {
		return false
	}
	p.points++
	p.ended = p.points == p.crashAt
	return !p.ended
}

// HasReady reports whether there is something to take with Ready.
func (p *Process) HasReady() bool { return p.runs() && p.node.HasReady() }

// Ready takes what the RawNode wants done.
func (p *Process) Ready() raft.Ready {
	if !p.runs() {
		return raft.Ready{}
	}
	rd := p.node.Ready()
	p.checkReady(&rd)
	return rd
}

// Advance says that the last Ready is dealt with.
func (p *Process) Advance(rd raft.Ready) {
	if p.runs() {
		p.node.Advance(rd)
		p.check()
	}
}

// Save writes a batch to the disk.
func (p *Process) Save(w Write) {
	if !p.passes() {
		return
	}
	logs, d := p.e.logs, &p.disk
	if w.Snapshot != nil {
		snap, known := p.e.snapped(w.Snapshot)
		if !known {
			p.fail(OracleStateMachine, "snapshot at %d is of no log", w.Snapshot.Metadata.Index)
			return
		}
		d.snap, d.log, d.conf = snap, snap, p.e.confOf(&w.Snapshot.Metadata.ConfState)
	}
	for i := range w.Entries {
		e := &w.Entries[i]
		if d.log = logs.upTo(d.log, e.Index-1); d.log == noLog {
			p.fail(OracleLogMatching, "entry %d leaves a gap on disk", e.Index)
			return
		}
		d.log = logs.extend(d.log, e)
	}
	if !raft.IsEmptyHardState(w.HardState) {
		d.hard = w.HardState
	}
	if w.Sync {
		p.safe = *d
	}
	if err := p.store.write(&w); err != nil {
		p.fail(OracleStorage, "%v", err)
	}
}

// Send puts messages to other members on their way.
func (p *Process) Send(msgs ...pb.Message) {
	if len(msgs) == 0 || !p.passes() {
		return
	}
	for i := range msgs {
		m := &msgs[i]
		p.checkSent(m)
		if m.To == p.id || raft.IsLocalMsgTarget(m.To) {
			p.fail(OracleMessage, "%s to %d leaves", m.Type, m.To)
			return
		}
		if m.To <= uint64(p.e.members) {
			p.did.sent = append(p.did.sent, p.e.flight(m))
		}
	}
}

// Step hands the RawNode an answer of this member's own storage.
func (p *Process) Step(m pb.Message) {
	if p.runs() {
		p.checkSent(&m)
		_ = p.node.Step(m)
		p.check()
	}
}

// Install puts the state of another member in place of the state machine's.
func (p *Process) Install(snap pb.Snapshot) {
	if !p.passes() {
		return
	}
	applied, known := p.e.snapped(&snap)
	if !known {
		p.fail(OracleStateMachine, "snapshot at %d is of no log", snap.Metadata.Index)
		return
	}
	p.applied, p.conf = applied, p.e.confOf(&snap.Metadata.ConfState)
	p.configured()
	p.did.notes = append(p.did.notes, note{kind: noteApplied, log: applied})
}

// Apply runs committed entries through the state machine and tells the RawNode of configuration changes.
func (p *Process) Apply(entries []pb.Entry) {
	if len(entries) == 0 || !p.passes() {
		return
	}
	for i := range entries {
		if !p.runs() {
			return
		}
		p.applyOne(&entries[i])
	}
	p.did.notes = append(p.did.notes, note{kind: noteApplied, log: p.applied})
}

func (p *Process) applyOne(e *pb.Entry) {
	logs := p.e.logs
	if e.Index != logs.last(p.applied)+1 {
		p.fail(OracleStateMachine, "entry %d applied after %d", e.Index, logs.last(p.applied))
		return
	}
	applied := logs.extend(p.applied, e)
	if p.e.async && logs.upTo(p.safe.log, e.Index) != applied {
		p.fail(OracleDurability, "entry %d handed out for application before it is on disk", e.Index)
	}
	cc, err := confChangeOf(*e)
	if err != nil {
		p.fail(OracleStateMachine, "entry %d: %v", e.Index, err)
		return
	}
	if cc == nil {
		p.applied = applied
		return
	}
	// Within ApplyConfChange the member may ask for a snapshot, which is of before the change.
	p.conf = p.e.confOf(p.node.ApplyConfChange(cc))
	p.applied = applied
	p.configured()
	p.check()
}

// configured checks that the same log leads to the same configuration, whoever applies it when.
func (p *Process) configured() {
	want, known := p.e.confAt[p.applied]
	if !known {
		p.e.confAt[p.applied] = p.conf
	} else if want != p.conf {
		p.fail(OracleConfChange, "change at %d leads to %s here and to %s elsewhere", p.e.logs.last(p.applied),
			confText(&p.e.confs[p.conf]), confText(&p.e.confs[want]))
	}
}

// Answer takes the reads that the RawNode has confirmed.
func (p *Process) Answer(reads []raft.ReadState) {
	if !p.runs() {
		return
	}
	for _, r := range reads {
		if number, n := binary.Uvarint(r.RequestCtx); n > 0 {
			p.did.notes = append(p.did.notes, note{kind: noteRead, term: number, index: r.Index})
		}
	}
}

// Later keeps a MsgStorageAppend or MsgStorageApply until the log writer or the state machine comes to
// it. The jobs of each are done one after the other, at any moment later.
func (p *Process) Later(job pb.Message) {
	switch {
	case !p.runs():
	case job.Type == pb.MsgStorageAppend:
		p.appends = append(p.appends[:len(p.appends):len(p.appends)], job)
	default:
		p.applies = append(p.applies[:len(p.applies):len(p.applies)], job)
	}
}

// writeNext does the log writer's next job.
func (p *Process) writeNext() {
	job := p.appends[0]
	p.appends = p.appends[1:]
	w := Write{
		Entries:   job.Entries,
		HardState: pb.HardState{Term: job.Term, Vote: job.Vote, Commit: job.Commit},
		Snapshot:  job.Snapshot,
		Sync:      len(job.Responses) > 0,
	}
	p.Save(w)
	if w.Snapshot != nil {
		for len(p.applies) > 0 && p.runs() { // what is being applied comes before the snapshot
			p.applyNext()
		}
		p.Install(*w.Snapshot)
	}
	p.respond(job.Responses)
}

// applyNext does the state machine's next job.
func (p *Process) applyNext() {
	job := p.applies[0]
	p.applies = p.applies[1:]
	p.Apply(job.Entries)
	p.respond(job.Responses)
}

// respond delivers what waited for storage: to this member, or to others.
func (p *Process) respond(responses []pb.Message) {
	var others []pb.Message
	for _, m := range responses {
		if m.To == p.id {
			p.Step(m)
		} else {
			others = append(others, m)
		}
	}
	p.Send(others...)
}

// SyncLoop is the host loop of Ready and Advance: save, send, apply, advance, one Ready after the other.
func SyncLoop(p *Process) {
	for p.HasReady() {
		rd := p.Ready()
		if len(rd.Entries) > 0 || !raft.IsEmptyHardState(rd.HardState) || !raft.IsEmptySnap(rd.Snapshot) {
			p.Save(writeOf(&rd))
		}
		if !raft.IsEmptySnap(rd.Snapshot) {
			p.Install(rd.Snapshot)
		}
		p.Send(rd.Messages...)
		p.Answer(rd.ReadStates)
		p.Apply(rd.CommittedEntries)
		p.Advance(rd)
	}
}

// AsyncLoop is the host loop for Config.AsyncStorageWrites: it sends at once what may leave, and keeps what
// is to be saved and applied for later.
func AsyncLoop(p *Process) {
	for p.HasReady() {
		rd := p.Ready()
		p.Answer(rd.ReadStates)
		for _, m := range rd.Messages {
			if m.To == raft.LocalAppendThread || m.To == raft.LocalApplyThread {
				p.Later(m)
			} else {
				p.Send(m)
			}
		}
	}
}
