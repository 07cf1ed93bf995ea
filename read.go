package raft

import (
	"encoding/binary"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// Linearizable reads (thesis 6.4). The leader notes its commit index when the read arrives, and
// answers with it once a quorum shows that it still leads.
//
// Reads are numbered in the order of their arrival, from the start of the leadership. A heartbeat
// carries the newest number, members echo it, and the number that a quorum has echoed confirms all
// reads up to it: each of these members heard from this leader after those reads had arrived. The
// caller's context only comes back with the answer; it confirms nothing.

// With ReadOnlyLeaseBased a read is answered at once while a lease holds (thesis 6.4.1): a quorum has
// answered heartbeats that were sent so lately that none of these members can have voted since.

// maxWaitingReads bounds the reads that wait in one leadership (D9).
const maxWaitingReads = 1 << 16

// pendingReads are the reads of one leadership that wait.
type pendingReads struct {
	confirmed uint64       // the number of the newest read that is confirmed
	queue     []waiting    // numbers confirmed+1 and up
	early     []pb.Message // came before an entry of this term was committed
}

type waiting struct {
	request pb.Message
	index   uint64 // the commit index when it arrived
}

// newest returns the number of the newest read.
func (p *pendingReads) newest() uint64 { return p.confirmed + uint64(len(p.queue)) }

// onRead takes a read, the leader's own or a forwarded one.
func (r *raft) onRead(m *pb.Message) error {
	if len(m.Entries) == 0 {
		return badMessage(m, "Entries", "empty", "one, with the context")
	}
	reads := &r.leadership.reads
	if r.deviates(d9BoundedReads) && len(reads.queue)+len(reads.early) >= maxWaitingReads {
		return ErrTooManyReads
	}
	switch alone := r.isQuorum(); {
	case alone && !r.deviates(d14SingleVoterReadWaits):
		r.answerRead(m, r.log.committed)
	case !r.committedInTerm():
		// Until then our commit index may be behind that of the leader before us.
		reads.early = append(reads.early, *m)
	case alone:
		r.answerRead(m, r.log.committed)
	case r.takeRead(m):
		r.heartbeatAll()
	}
	return nil
}

// isQuorum reports whether this leader needs nobody else to know that it leads.
func (r *raft) isQuorum() bool {
	if !r.deviates(d16OwnQuorum) {
		return r.peers.Singleton()
	}
	self := r.peers.Get(r.id)
	in, out := r.peers.Voters()
	return self != nil && self.Role.Incoming() && in == 1 && (out == 0 || out == 1 && self.Role.Outgoing())
}

// committedInTerm reports whether an entry of this leader's term is committed.
func (r *raft) committedInTerm() bool {
	return r.log.matches(entryID{term: r.term, index: r.log.committed})
}

// takeRead answers m from the lease, or queues it and reports that it needs a round of heartbeats.
func (r *raft) takeRead(m *pb.Message) (needsRound bool) {
	if r.leaseHolds() {
		r.answerRead(m, r.log.committed)
		return false
	}
	reads := &r.leadership.reads
	reads.queue = append(reads.queue, waiting{request: *m, index: r.log.committed})
	if self := r.peers.Get(r.id); self != nil {
		self.ReadAck = reads.newest()
	}
	return true
}

// leaseReads reports whether reads rest on leases that are counted in ticks (D15).
func (r *raft) leaseReads() bool {
	return r.cfg.ReadOnlyOption == ReadOnlyLeaseBased && r.deviates(d15LeaseCountsFromSending)
}

// leaseHolds reports whether a read may be answered without a round. The lease counts from the sending
// of the heartbeats that a quorum answered, is LeaseMargin shorter than what their receivers keep, and
// another tick for each end, which may be in the middle of one.
func (r *raft) leaseHolds() bool {
	switch {
	case r.cfg.ReadOnlyOption != ReadOnlyLeaseBased:
		return false
	case r.leadership.leaseEnded && r.deviates(d8TransferEndsLease):
		return false
	case !r.leaseReads():
		return true
	}
	now := r.leadership.ticks
	sentAt := r.peers.Quorum(func(p *tracker.Peer) uint64 {
		if p.ID == r.id {
			return now
		}
		return p.TickAck
	})
	return int64(now-min(sentAt, now)) <= int64(r.cfg.ElectionTick-2-r.cfg.LeaseMargin)
}

// releaseReads takes the reads that came before this term's first commit.
func (r *raft) releaseReads() {
	reads := &r.leadership.reads
	if len(reads.early) == 0 || !r.committedInTerm() {
		return
	}
	early := reads.early
	reads.early = nil
	needRound := false
	for i := range early {
		m := &early[i]
		if r.deviates(d14SingleVoterReadWaits) && r.isQuorum() {
			r.answerRead(m, r.log.committed)
			continue
		}
		if !r.takeRead(m) {
			continue
		}
		needRound = true
		if !r.deviates(d10OneRoundForReads) {
			r.heartbeatAll()
		}
	}
	if needRound && r.deviates(d10OneRoundForReads) {
		r.heartbeatAll()
	}
}

// readContext is what a heartbeat carries: the number of the newest read while reads wait, and with
// leases always the tick of its sending, too.
func (r *raft) readContext() []byte {
	reads := &r.leadership.reads
	if r.leaseReads() {
		context := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), reads.newest())
		return binary.LittleEndian.AppendUint64(context, r.leadership.ticks)
	}
	if len(reads.queue) == 0 && r.leadership.handover.read == 0 {
		return nil
	}
	return binary.LittleEndian.AppendUint64(nil, reads.newest())
}

// onReadAck notes the number that p echoed, and the tick. What is no number, or one of a read that is
// answered or was never taken, is ignored.
func (r *raft) onReadAck(p *tracker.Peer, context []byte) {
	reads := &r.leadership.reads
	if r.leaseReads() && len(context) == 16 {
		if tick := binary.LittleEndian.Uint64(context[8:]); tick <= r.leadership.ticks {
			p.TickAck = max(p.TickAck, tick)
		}
		context = context[:8]
	}
	leaving := r.leadership.handover.read > 0
	if len(context) != 8 || len(reads.queue) == 0 && !leaving {
		return
	}
	n := binary.LittleEndian.Uint64(context)
	if n <= reads.confirmed && !leaving || n > reads.newest() {
		return
	}
	p.ReadAck = max(p.ReadAck, n)
	r.confirmReads()
	r.goOnHandingOver()
}

// confirmReads answers the reads that a quorum has confirmed.
func (r *raft) confirmReads() {
	reads := &r.leadership.reads
	confirmed := r.peers.Quorum(func(p *tracker.Peer) uint64 { return p.ReadAck })
	for len(reads.queue) > 0 && reads.confirmed < confirmed {
		w := reads.queue[0]
		reads.queue[0] = waiting{}
		reads.queue = reads.queue[1:]
		reads.confirmed++
		r.answerRead(&w.request, w.index)
	}
	if len(reads.queue) == 0 {
		reads.queue = nil
	}
}

// answerRead gives the answer to the host, or sends it to the member that forwarded the read.
func (r *raft) answerRead(m *pb.Message, index uint64) {
	if len(m.Entries) == 0 {
		return // the leader's own, for a hand-over
	}
	if m.From == None || m.From == r.id {
		r.reads = append(r.reads, ReadState{Index: index, RequestCtx: m.Entries[0].Data})
		return
	}
	r.send(pb.Message{To: m.From, Type: pb.MsgReadIndexResp, Index: index, Entries: m.Entries})
}

// forwardRead passes a follower's read on to the leader.
func (r *raft) forwardRead(m *pb.Message) error {
	if len(m.Entries) == 0 {
		return badMessage(m, "Entries", "empty", "one, with the context")
	}
	if r.lead == None || r.loops(m) {
		return nil
	}
	m.To = r.lead
	r.send(*m)
	return nil
}

// onReadAnswer takes the leader's answer to a forwarded read.
func (r *raft) onReadAnswer(m *pb.Message) error {
	if len(m.Entries) != 1 {
		return badMessage(m, "Entries", len(m.Entries), "one, with the context")
	}
	r.reads = append(r.reads, ReadState{Index: m.Index, RequestCtx: m.Entries[0].Data})
	return nil
}
