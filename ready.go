package raft

import pb "quorate.example/raft/raftpb"

// Ready is what a member wants done: state to save, messages to send, entries to apply. All slices
// belong to the host, which may keep them but must not change what they hold: entries are shared with
// the log.
//
// With synchronous writes the host (1) saves Snapshot, Entries and HardState in one atomic step,
// synced if MustSync is set; (2) then sends Messages; (3) applies Snapshot, then CommittedEntries, and
// calls ApplyConfChange for each configuration change among them; (4) calls Advance. See the package
// comment.
type Ready struct {
	// SoftState is who leads and what this member is; nil if unchanged. It need not be saved.
	*SoftState
	// HardState is term, vote and commit; empty if unchanged.
	pb.HardState

	// ReadStates answers reads: each may be served once everything up to its Index is applied.
	ReadStates []ReadState

	// Entries are to be saved, at their indexes; older entries there and above are void.
	Entries []pb.Entry
	// Snapshot is to be saved and to replace the state machine; empty if there is none.
	Snapshot pb.Snapshot
	// CommittedEntries are to be applied in order.
	CommittedEntries []pb.Entry

	// Messages are to be sent, in order for each target, after the rest is saved. Losing one is
	// harmless; a MsgSnap wants a ReportSnapshot. With Config.AsyncStorageWrites they may be sent at
	// once, and those for LocalAppendThread and LocalApplyThread say what to save and to apply.
	Messages []pb.Message

	// MustSync reports whether saving HardState and Entries must be synced to disk before Messages
	// leave. It is false for a mere change of the commit index.
	MustSync bool
}

// ReadState answers a read: everything up to Index was committed when the read was confirmed.
type ReadState struct {
	Index      uint64
	RequestCtx []byte // what the caller gave to ReadIndex
}

// due says which parts of a Ready there is something for.
type due uint8

const (
	dueSoftState due = 1 << iota
	dueHardState
	dueSnapshot
	dueEntries
	dueCommitted
	dueReads
	dueMessages
)

// due returns what there is for a Ready. It is looked up once after each input.
func (rn *RawNode) due() due {
	if !rn.looked {
		rn.looked, rn.found = true, rn.look()
	}
	return rn.found
}

// look is the one place that decides whether there is a Ready and what is in it.
func (rn *RawNode) look() due {
	r := &rn.raft
	if r.halted() {
		return 0
	}
	var d due
	if uint8(r.state) != rn.state || r.lead != rn.lead {
		d |= dueSoftState
	}
	if r.log.committed != rn.hardState.Commit || r.term != rn.hardState.Term || r.vote != rn.hardState.Vote {
		d |= dueHardState
	}
	if r.log.tail.snapshotWaits() {
		d |= dueSnapshot
	}
	if r.log.tail.handed < r.log.tail.last() {
		d |= dueEntries
	}
	if r.log.hasCommitted(!rn.async) {
		d |= dueCommitted
	}
	if len(r.out.marks) > 0 || r.out.now.waits() {
		d |= dueMessages
	}
	if l := r.out.load; l != nil {
		if l.waits() {
			d |= dueMessages
		}
		if l.reads.waits() {
			d |= dueReads
		}
	}
	return d
}

// take builds the Ready for d and notes that the host has it.
func (rn *RawNode) take(rd *Ready, d due) {
	rn.touch()
	r := &rn.raft
	if d&dueSoftState != 0 {
		soft := r.softState()
		rn.lead, rn.state = soft.Lead, uint8(soft.RaftState)
		rd.SoftState = &soft
	}
	if d&dueEntries != 0 {
		rd.Entries = r.log.tail.waiting()
	}
	if d&dueHardState != 0 {
		rd.HardState = r.hardState()
		rd.MustSync = MustSync(rd.HardState, rn.hardState, len(rd.Entries))
		rn.hardState = rd.HardState
	} else {
		rd.MustSync = len(rd.Entries) > 0
	}
	if d&dueSnapshot != 0 {
		rd.Snapshot = *r.log.tail.snapshot
	}
	if d&dueCommitted != 0 {
		rd.CommittedEntries = r.log.nextCommitted(!rn.async)
	}
	if d&dueReads != 0 {
		rd.ReadStates = r.out.load.reads.take()
	}
	if rn.async {
		rn.takeAsync(rd)
	} else {
		rn.takeSync(rd, d)
	}
	r.log.tail.handOut()
	if len(rd.CommittedEntries) > 0 {
		size := entsSize(rd.CommittedEntries)
		if !rn.async {
			r.out.underLoad().onAdvance.appliedSize = size
		}
		r.log.handOutCommitted(rd.CommittedEntries, size, !rn.async)
	}
}

// takeSync puts both lanes into the Ready: the host saves before it sends anything. What this member
// tells itself once it is durable and applied is kept for Advance.
func (rn *RawNode) takeSync(rd *Ready, d due) {
	r := &rn.raft
	o := &r.out
	if d&dueMessages != 0 {
		switch l := o.load; {
		case l == nil:
			rd.Messages = r.takeNow(0)
		case len(o.marks) == 0 && !o.now.waits():
			rd.Messages = l.later.take()
		default:
			later := l.later.waiting()
			if rd.Messages = r.takeNow(len(later)); len(later) > 0 {
				rd.Messages = append(rd.Messages, later...)
				l.later.forget()
			}
		}
		o.emitted += int32(len(rd.Messages))
	}
	writes := rn.writesLog(rd)
	if o.load == nil && !writes && len(rd.CommittedEntries) == 0 {
		return
	}
	l := o.underLoad()
	done := &l.onAdvance
	l.ownTaken = len(l.own)
	done.ack, l.ownAck = l.ownAck, ownAck{}
	if writes {
		done.written, done.write = true, r.writeReport(rd)
	}
	if len(rd.CommittedEntries) > 0 {
		done.applied = rd.CommittedEntries
	}
}

// takeAsync turns what is to be saved and applied into messages for the host's threads, with what
// they are to send when they are done.
func (rn *RawNode) takeAsync(rd *Ready) {
	r := &rn.raft
	writes := len(rd.Entries) > 0 || !IsEmptyHardState(rd.HardState) || !IsEmptySnap(rd.Snapshot) ||
		r.out.load != nil && r.out.load.later.waits()
	applies := len(rd.CommittedEntries) > 0
	rd.Messages = r.takeNow(count(writes) + count(applies))
	if !writes && !applies {
		r.out.emitted += int32(len(rd.Messages))
		return
	}
	later := &r.out.underLoad().later
	if writes {
		m := pb.Message{Type: pb.MsgStorageAppend, To: LocalAppendThread, From: r.id, Entries: rd.Entries,
			Term: rd.HardState.Term, Vote: rd.HardState.Vote, Commit: rd.HardState.Commit}
		if !IsEmptySnap(rd.Snapshot) {
			m.Snapshot = r.log.tail.snapshot
		}
		if rn.writesLog(rd) {
			*later.next() = r.writeReport(rd).message(r.id)
		}
		m.Responses = later.take()
		rd.Messages = append(rd.Messages, m)
	}
	r.out.emitted += int32(len(rd.Messages))
	if applies {
		*later.next() = r.applyReport(rd)
		rd.Messages = append(rd.Messages, pb.Message{Type: pb.MsgStorageApply, To: LocalApplyThread,
			From: r.id, Entries: rd.CommittedEntries, Responses: later.take()})
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// writesLog reports whether the log writer has something to report: entries or a snapshot, of this
// Ready or of one before it.
func (rn *RawNode) writesLog(rd *Ready) bool {
	return rn.raft.log.tail.writing() || rd.Snapshot.Metadata.Index != 0
}

// writeReport is what the log writer says when a Ready is durable: the log up to id is, and the
// snapshot. It was made in a term, and is void in a later one, in which the entries may have been
// replaced.
type writeReport struct {
	term     uint64
	id       entryID // zero if there is nothing but a snapshot
	snapshot *pb.Snapshot
}

func (r *raft) writeReport(rd *Ready) writeReport {
	w := writeReport{term: r.term}
	if r.log.tail.writing() {
		w.id = r.log.lastID()
	}
	if rd.Snapshot.Metadata.Index != 0 {
		w.snapshot = r.log.tail.snapshot
	}
	return w
}

// message returns w as the message that it is with asynchronous writes.
func (w writeReport) message(to uint64) pb.Message {
	return pb.Message{Type: pb.MsgStorageAppendResp, To: to, From: LocalAppendThread, Term: w.term,
		Index: w.id.index, LogTerm: w.id.term, Snapshot: w.snapshot}
}

// applyReport is what the state machine says when it has applied rd's committed entries.
func (r *raft) applyReport(rd *Ready) pb.Message {
	return pb.Message{Type: pb.MsgStorageApplyResp, To: r.id, From: LocalApplyThread, Entries: rd.CommittedEntries}
}
