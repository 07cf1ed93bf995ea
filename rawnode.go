package raft

import (
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// RawNode is one member as a plain value: not safe for use by several goroutines, without a goroutine
// of its own. The host gives it input, and does what its Ready says. Node is the same behind a lock.
type RawNode struct {
	looked bool  // and nothing has happened since
	found  due   // if looked
	asleep bool  // nothing has happened since a tick found nothing to do
	async  bool  // Config.AsyncStorageWrites
	state  uint8 // as the host knows it

	raft raft

	hardState pb.HardState // as the host knows it
	lead      uint64       // as the host knows it
}

// onAdvance is what Advance reports for the Ready that the host has, beside load.own.
type onAdvance struct {
	ack         ownAck
	write       writeReport // if written
	applied     []pb.Entry
	appliedSize uint64 // bytes
	written     bool
}

func (a *onAdvance) waits() bool { return a.ack.index > 0 || a.written || len(a.applied) > 0 }

// NewRawNode returns a member with the state that config.Storage holds. The error says which field of
// config, or what in Storage, is wrong.
func NewRawNode(config *Config) (*RawNode, error) {
	rn := &RawNode{}
	r := &rn.raft
	if err := r.start(config); err != nil {
		return nil, err
	}
	rn.async, rn.hardState = r.cfg.AsyncStorageWrites, r.hardState()
	rn.lead, rn.state = r.lead, uint8(r.state)
	return rn, nil
}

// Bootstrap starts a new group: peers are its first voters, and every one of them must be started with
// the same list. Storage must be empty. Each peer's Context comes back in the configuration change that
// is applied for it.
func (rn *RawNode) Bootstrap(peers []Peer) error {
	rn.hardState = pb.HardState{}
	rn.touch()
	return rn.raft.bootstrap(peers)
}

// Tick tells that one tick of time has passed.
func (rn *RawNode) Tick() {
	r := &rn.raft
	if rn.asleep && r.clock.sinceContact+1 < r.clock.timeout {
		r.clock.sinceContact++ // all that a tick does in most groups of a large process, in one cache line
		return
	}
	rn.touch()
	if !r.halted() {
		r.tick()
		r.checkStorage()
		rn.asleep = r.idles()
	}
}

// TickQuiesced tells a member whose group is asleep that one tick has passed, without an election or
// heartbeats coming of it.
func (rn *RawNode) TickQuiesced() { rn.raft.clock.sinceContact++ }

// touch is called before everything that may change anything, but for proposals and reads at a leader.
func (rn *RawNode) touch() {
	rn.looked, rn.asleep = false, false
	rn.raft.out.endRounds()
}

// Campaign makes this member ask for votes now, if it may.
func (rn *RawNode) Campaign() error { return rn.input(&pb.Message{Type: pb.MsgHup}) }

// Propose asks for data to be appended to the log. The library keeps data until the entry is applied;
// the caller must not change it. A nil error does not mean that it will be committed.
func (rn *RawNode) Propose(data []byte) error {
	if r := &rn.raft; r.state == StateLeader && !r.halted() {
		rn.looked, r.out.beating = false, false // the outbox goes on with its round of appends
		err := r.propose(data)
		r.checkStorage()
		return err
	}
	return rn.input(&pb.Message{Type: pb.MsgProp, From: rn.raft.id, Entries: []pb.Entry{{Data: data}}})
}

// ProposeConfChange asks for a membership change (thesis 4). At the leader the error says why a change
// cannot be taken now: ErrConfChangePending, ErrMustLeaveJoint, ErrNotJoint. When the change is
// committed it comes out of Ready and takes effect with ApplyConfChange.
func (rn *RawNode) ProposeConfChange(cc pb.ConfChangeI) error {
	m, err := confChangeProposal(cc)
	if err != nil {
		return err
	}
	return rn.input(&m)
}

func confChangeProposal(cc pb.ConfChangeI) (pb.Message, error) {
	typ, data, err := pb.MarshalConfChange(cc)
	if err != nil {
		return pb.Message{}, err
	}
	return pb.Message{Type: pb.MsgProp, Entries: []pb.Entry{{Type: typ, Data: data}}}, nil
}

// ApplyConfChange puts a committed change into force. The host calls it for each configuration change
// among the committed entries, at its place, and stores the returned configuration with its next
// snapshot. A change that does not fit is skipped, on all members alike.
func (rn *RawNode) ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState {
	rn.touch()
	conf := rn.raft.applyConfChange(cc.AsV2())
	rn.touch()
	rn.raft.checkStorage()
	return &conf
}

// Step takes a message from another member, or a Response of a storage message. The library keeps what
// the message refers to. ErrStepLocalMsg and ErrStepPeerNotFound are returned for messages that are
// not for this call or not from a member, ErrBadMessage for one that cannot be true; none of them
// changes anything.
func (rn *RawNode) Step(m pb.Message) error {
	if IsLocalMsg(m.Type) && !IsLocalMsgTarget(m.From) {
		return ErrStepLocalMsg
	}
	return rn.input(&m)
}

// input is what every input but Tick goes through.
func (rn *RawNode) input(m *pb.Message) error {
	rn.touch()
	r := &rn.raft
	if r.halted() {
		return ErrHalted
	}
	if IsResponseMsg(m.Type) && !IsLocalMsgTarget(m.From) && !r.peers.Has(m.From) {
		return ErrStepPeerNotFound
	}
	if err := r.checkMessage(m); err != nil {
		return err
	}
	err := r.step(m)
	r.checkStorage()
	return err
}

// HasReady reports whether Ready has something to say.
func (rn *RawNode) HasReady() bool { return rn.due() != 0 }

// Ready returns what is to be done, and takes it as accepted: the host must do it all. With synchronous
// writes the next call must come after Advance.
func (rn *RawNode) Ready() (rd Ready) {
	rn.take(&rd, rn.due())
	rn.raft.checkStorage()
	if rn.raft.halted() {
		return Ready{}
	}
	return rd
}

// Advance tells that the last Ready is saved, sent and applied. It is not called with
// Config.AsyncStorageWrites.
func (rn *RawNode) Advance(_ Ready) {
	r := &rn.raft
	rn.touch()
	if r.halted() {
		return
	}
	l := r.out.load
	if l == nil {
		return
	}
	if l.ownTaken > 0 {
		r.stepOwn()
	}
	done := &l.onAdvance
	if done.ack.index > 0 && done.ack.term == r.term {
		r.onOwnAck(done.ack.index)
	}
	done.ack = ownAck{}
	if done.written {
		done.written = false
		r.written(&done.write)
	}
	if len(done.applied) > 0 {
		r.applied(done.applied, done.appliedSize)
		done.applied = nil
	}
	r.checkStorage()
}

// Status returns the state of this member, with what a leader knows of the others. It allocates.
func (rn *RawNode) Status() Status { return rn.raft.status() }

// BasicStatus returns the state of this member without the others. It does not allocate.
func (rn *RawNode) BasicStatus() BasicStatus { return rn.raft.basicStatus() }

// ProgressType says whether a member votes.
type ProgressType byte

const (
	// ProgressTypePeer is a voter.
	ProgressTypePeer ProgressType = iota
	// ProgressTypeLearner is a learner (thesis 4.2.1).
	ProgressTypeLearner
)

// WithProgress calls visitor for each member in ascending order of ID, with what is known of it, as a
// copy without its in-flight window. It does not allocate.
func (rn *RawNode) WithProgress(visitor func(id uint64, typ ProgressType, pr tracker.Progress)) {
	peers := &rn.raft.peers
	for i := 0; i < peers.Len(); i++ {
		p := peers.Peer(i)
		pr := p.Progress
		pr.Inflights = nil
		typ := ProgressTypePeer
		if pr.IsLearner {
			typ = ProgressTypeLearner
		}
		visitor(p.ID, typ, pr)
	}
}

// ReportUnreachable tells that the last message to a member was probably lost, so that a leader probes
// it instead of sending on.
func (rn *RawNode) ReportUnreachable(id uint64) {
	_ = rn.input(&pb.Message{Type: pb.MsgUnreachable, From: id})
}

// SnapshotStatus is how the sending of a snapshot goes.
type SnapshotStatus int

const (
	// SnapshotFinish says that the member has received the snapshot.
	SnapshotFinish SnapshotStatus = 1
	// SnapshotFailure says that it has not, and another one is wanted.
	SnapshotFailure SnapshotStatus = 2
	// SnapshotInProgress says that it is still being sent, so that Config.SnapshotTimeout starts anew.
	SnapshotInProgress SnapshotStatus = 3
)

// ReportSnapshot tells how the sending of the last snapshot to a member went. The host must report the
// end of each, or replication to that member rests until Config.SnapshotTimeout.
func (rn *RawNode) ReportSnapshot(id uint64, status SnapshotStatus) {
	if status == SnapshotInProgress {
		rn.raft.snapshotInProgress(id)
		return
	}
	_ = rn.input(&pb.Message{Type: pb.MsgSnapStatus, From: id, Reject: status == SnapshotFailure})
}

// TransferLeader asks the leader to hand over to transferee (thesis 3.10). On a follower it is passed
// on to the leader. It is given up after an election timeout.
func (rn *RawNode) TransferLeader(transferee uint64) {
	_ = rn.input(&pb.Message{Type: pb.MsgTransferLeader, From: transferee})
}

// ForgetLeader makes a follower forget whom it follows, so that it is free to vote for another. It is
// for hosts that know better than the election timeout that the leader is gone.
func (rn *RawNode) ForgetLeader() error {
	return rn.input(&pb.Message{Type: pb.MsgForgetLeader})
}

// ReadIndex asks for a linearizable read (thesis 6.4). The answer comes in Ready.ReadStates with rctx,
// which the caller must not change meanwhile. It may never come: there is no leader, or it changed.
func (rn *RawNode) ReadIndex(rctx []byte) {
	if r := &rn.raft; r.state == StateLeader && !r.halted() {
		rn.looked, r.out.repeats = false, false
		_ = r.read(&waiting{context: rctx})
		return
	}
	_ = rn.input(&pb.Message{Type: pb.MsgReadIndex, Entries: []pb.Entry{{Data: rctx}}})
}

// Peer is a voter of a new group.
type Peer struct {
	ID      uint64
	Context []byte // given back in the configuration change that adds it
}
