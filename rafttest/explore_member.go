package rafttest

import (
	"encoding/binary"
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// A member is deterministic: what it does follows from its own state and its input, not from what the
// others do meanwhile. So each pair of a member's state and an input is run once, on the real code, and the
// world's state is a few numbers: which state each member is in, and which messages are in flight.

// localID names a state of one member.
type localID uint32

// local is a state of one member. Its node is never called again, only copied.
type local struct {
	id   uint64
	node *raft.RawNode
	explored
}

// transition is what a step of a member led to.
type transition struct {
	next      localID
	points    int      // steps of the host loop
	sent      []uint32 // flights
	notes     []note
	violation *Violation
	crashes   []uint8 // steps at which an end of the process leads to something of its own
	crashable bool    // crashes is known
}

// idle reports whether nothing came of the step.
func (t *transition) idle(from localID) bool {
	return t.next == from && len(t.sent) == 0 && len(t.notes) == 0 && t.violation == nil
}

// explorer has the states of members and what leads from one to the other.
type explorer struct {
	x       Exploration
	members int
	async   bool
	loop    func(*Process)
	rand    exploredRand
	shapes  *shapes
	logs    *logs
	confs   []pb.ConfState
	confIDs map[string]confID
	confAt  map[logID]confID

	locals   []local
	localIDs map[string]localID
	flights  []flight
	known    map[string]uint32 // flights by their bytes
	steps    map[uint64]int32
	done     []transition
	text     []byte

	ghosts   []ghost
	ghostIDs map[string]ghostID
	agreeing map[uint64]bool // pairs of logs that match

	search search
}

// exploredRand is where election timeouts come from: always the same, as an action says when they are
// over, except when an end is continued.
type exploredRand struct {
	free bool
	source
}

func (r *exploredRand) Uint64() uint64 {
	if r.free {
		return r.source.Uint64()
	}
	return exploredElectionTick - 1
}

const exploredElectionTick = 2

func newExplorer(x Exploration) *explorer {
	e := &explorer{
		x: x, members: x.Voters + x.Spares, logs: newLogs(), confIDs: map[string]confID{}, confAt: map[logID]confID{},
		localIDs: map[string]localID{}, known: map[string]uint32{}, steps: map[uint64]int32{},
		ghostIDs: map[string]ghostID{}, agreeing: map[uint64]bool{},
	}
	cfg := e.config(1)
	e.async = cfg.AsyncStorageWrites
	e.loop = x.Loop
	if e.loop == nil && e.async {
		e.loop = AsyncLoop
	} else if e.loop == nil {
		e.loop = SyncLoop
	}
	var skip []string
	if cfg.ReadOnlyOption == raft.ReadOnlySafe {
		skip = append(skip, "leadership.ticks") // only leases count from it
	}
	e.shapes = newShapes(skip...)
	e.confOf(&pb.ConfState{})
	return e
}

// config returns the Config of a member, without its Storage.
func (e *explorer) config(id uint64) raft.Config {
	cfg := raft.Config{
		ID: id, ElectionTick: exploredElectionTick, HeartbeatTick: 1, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 16,
		Logger: quiet, Rand: &e.rand, DisableProposalForwarding: true,
	}
	if e.x.Config != nil {
		e.x.Config(id, &cfg)
	}
	return cfg
}

var quiet = raft.DiscardLogger()

func (e *explorer) confOf(cs *pb.ConfState) confID {
	key := confText(cs)
	id, known := e.confIDs[key]
	if !known {
		id = confID(len(e.confs))
		e.confs = append(e.confs, *cs)
		e.confIDs[key] = id
	}
	return id
}

// snapshot returns the snapshot of a state machine that has applied log. What it holds is the log's digest.
func (e *explorer) snapshot(log logID, conf confID) pb.Snapshot {
	if log == emptyLog {
		return pb.Snapshot{}
	}
	return pb.Snapshot{
		Data: binary.LittleEndian.AppendUint64(nil, e.logs.nodes[log].digest),
		Metadata: pb.SnapshotMetadata{
			Index: e.logs.last(log), Term: e.logs.lastTerm(log), ConfState: e.confs[conf],
		},
	}
}

// snapped is the inverse of snapshot.
func (e *explorer) snapped(snap *pb.Snapshot) (logID, bool) {
	if len(snap.Data) != 8 {
		return noLog, false
	}
	log, known := e.logs.byDigest[binary.LittleEndian.Uint64(snap.Data)]
	return log, known && e.logs.last(log) == snap.Metadata.Index && e.logs.lastTerm(log) == snap.Metadata.Term
}

// flight returns the number of a message by its bytes.
func (e *explorer) flight(m *pb.Message) uint32 {
	data, err := m.Marshal()
	if err != nil {
		panic(fmt.Sprintf("rafttest: %v", err)) // generated code has no reason to fail
	}
	id, known := e.known[string(data)]
	if !known {
		id = uint32(len(e.flights))
		if id >= maxArg {
			panic("rafttest: too many messages for one exploration")
		}
		e.flights = append(e.flights, flight{data: string(data), from: m.From, to: m.To, typ: m.Type})
		e.known[string(data)] = id
	}
	return id
}

// begin returns the first state of a member: the voters have the snapshot of a new group, the spares an
// empty disk.
func (e *explorer) begin(id uint64) (localID, *Violation) {
	var disk exploredDisk
	if id <= uint64(e.x.Voters) {
		var cs pb.ConfState
		for v := uint64(1); v <= uint64(e.x.Voters); v++ {
			cs.Voters = append(cs.Voters, v)
		}
		log := e.logs.extend(emptyLog, &pb.Entry{Term: 1})
		disk = exploredDisk{hard: pb.HardState{Term: 1, Commit: 1}, log: log, snap: log, conf: e.confOf(&cs)}
	}
	p := &Process{e: e, id: id}
	e.guarded(p, func() { p.start(disk) })
	return e.freeze(p), p.did.violation
}

// guarded runs f, and takes a panic for a violation.
func (e *explorer) guarded(p *Process, f func()) {
	defer func() {
		if r := recover(); r != nil {
			p.fail(OraclePanic, "%v", r)
		}
	}()
	f()
}

// freeze returns the state that p is in.
func (e *explorer) freeze(p *Process) localID {
	if p.did.violation != nil {
		return 0 // it goes no further
	}
	text := e.shapes.printNode(e.text[:0], p.node)
	for _, d := range [...]*exploredDisk{&p.disk, &p.safe} {
		for _, n := range [...]uint64{d.hard.Term, d.hard.Vote, d.hard.Commit, uint64(d.log), uint64(d.snap), uint64(d.conf)} {
			text = binary.AppendUvarint(text, n)
		}
	}
	text = binary.AppendUvarint(text, uint64(p.log))
	text = binary.AppendUvarint(text, uint64(p.applied))
	text = binary.AppendUvarint(text, uint64(p.conf))
	for _, jobs := range [...][]pb.Message{p.appends, p.applies} {
		text = binary.AppendUvarint(text, uint64(len(jobs)))
		for i := range jobs {
			data, _ := jobs[i].Marshal()
			text = append(binary.AppendUvarint(text, uint64(len(data))), data...)
		}
	}
	e.text = text
	id, known := e.localIDs[string(text)]
	if !known {
		id = localID(len(e.locals))
		e.locals = append(e.locals, local{id: p.id, node: p.node, explored: p.explored})
		e.localIDs[string(text)] = id
	}
	return id
}

// revive returns a process in that state.
func (e *explorer) revive(from localID) *Process {
	l := &e.locals[from]
	p := &Process{e: e, id: l.id, explored: l.explored}
	if l.role == raft.StateLeader {
		p.ledTerm = l.term
	}
	if p.openStore() {
		p.node = e.shapes.copyNode(l.node, p.store)
	}
	return p
}

// step returns what comes of a for a member in the state from.
func (e *explorer) step(from localID, a action) *transition {
	key := uint64(from)<<32 | uint64(a.step())
	at, known := e.steps[key]
	if !known {
		at = int32(len(e.done))
		e.done = append(e.done, e.take(from, a))
		e.steps[key] = at
	}
	return &e.done[at]
}

// take runs a.
func (e *explorer) take(from localID, a action) transition {
	p := e.play(from, a)
	p.did.next, p.did.points = e.freeze(p), p.points
	if p.did.violation != nil {
		p.did.next = from
	}
	return p.did
}

// play returns a process that was in the state from and has done a.
func (e *explorer) play(from localID, a action) *Process {
	p := e.revive(from)
	p.crashAt = int(a.crashAt)
	e.guarded(p, func() {
		if p.do(a) {
			p.check()
		}
		if p.runs() {
			e.loop(p)
		}
		if p.ended {
			p.start(p.safe)
		}
	})
	return p
}

// do gives the process its input, and reports whether that was one for its RawNode.
func (p *Process) do(a action) bool {
	// That the member refuses some of these is an answer, too.
	switch a.kind {
	case actDeliver, actDuplicate:
		p.receive(a.arg)
	case actCampaign:
		_ = p.node.Campaign()
	case actTick:
		p.node.Tick()
	case actPropose:
		_ = p.node.Propose(binary.AppendUvarint(nil, uint64(a.arg)))
	case actRead:
		p.node.ReadIndex(binary.AppendUvarint(nil, uint64(a.arg)))
	case actTransfer:
		p.node.TransferLeader(uint64(a.arg))
	case actConfChange:
		_ = p.node.ProposeConfChange(p.e.x.ConfChanges[a.arg-1])
	case actCompact:
		p.compact()
		return false
	case actCrash:
		p.start(p.safe)
		return false
	case actCrashKept:
		p.start(p.disk)
		return false
	case actWrite:
		p.writeNext()
		return false
	case actApply:
		p.applyNext()
		return false
	}
	return true
}

// receive steps a message as a host does: out of its bytes.
func (p *Process) receive(number uint32) {
	var m pb.Message
	if err := pb.UnmarshalPeer([]byte(p.e.flights[number].data), &m); err != nil {
		p.fail(OracleMessage, "%v", err)
		return
	}
	_ = p.node.Step(m) // late messages may be refused
}

// compact makes a snapshot of the state machine and cuts off the log that it stands for.
func (p *Process) compact() {
	if p.applied == p.disk.snap || !p.e.logs.extends(p.safe.log, p.applied) {
		return
	}
	for _, d := range [...]*exploredDisk{&p.disk, &p.safe} {
		d.snap, d.conf = p.applied, p.conf
	}
}

// crashPoints returns the steps of the host loop within a at which an end of the process leads to
// something of its own. An end before the first step is one without a, and an end that loses no more than
// what was sent is one after a whose messages are never delivered.
func (e *explorer) crashPoints(from localID, a action) []uint8 {
	t := e.step(from, a)
	if t.crashable {
		return t.crashes
	}
	var distinct []transition
	distinct = append(distinct, *e.step(from, action{kind: actCrash}))
	if t.violation == nil {
		after := *e.step(t.next, action{kind: actCrash})
		after.sent = append(append([]uint32{}, t.sent...), after.sent...)
		distinct = append(distinct, after)
	}
	var crashes []uint8
	for at := 1; at <= min(t.points, maxCrashAt); at++ {
		b := a
		b.crashAt = uint8(at)
		c := *e.step(from, b)
		if c.violation == nil && coveredBy(&c, distinct) {
			continue
		}
		crashes, distinct = append(crashes, uint8(at)), append(distinct, c)
	}
	t = e.step(from, a) // the steps above may have moved it
	t.crashes, t.crashable = crashes, true
	return crashes
}

// coveredBy reports whether one of some leads to the same state and sends as much or more.
func coveredBy(t *transition, some []transition) bool {
	for i := range some {
		if some[i].next == t.next && some[i].violation == nil && includes(some[i].sent, t.sent) {
			return true
		}
	}
	return false
}

// includes reports whether all holds each of part as often.
func includes(all, part []uint32) bool {
	used := make([]bool, len(all))
next:
	for _, n := range part {
		for i := range all {
			if all[i] == n && !used[i] {
				used[i] = true
				continue next
			}
		}
		return false
	}
	return true
}
