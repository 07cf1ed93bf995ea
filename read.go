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
	confirmed uint64    // the number of the newest read that is confirmed
	queue     []waiting // numbers confirmed+1 and up
	context   []byte    // of the newest heartbeat, shared by all that say the same
}

// waiting is a read that waits.
type waiting struct {
	index   uint64 // the commit index when it arrived
	context []byte
	asker   *asker // nil: this leader's host
}

// asker is who else wants to know.
type asker struct {
	id      uint64     // the member that forwarded the read; None: the leader itself, to know that it leads
	entries []pb.Entry // as they came, with the context
}

// rest lets go of memory that only load justifies.
func (p *pendingReads) rest() {
	if len(p.queue) == 0 {
		p.queue, p.context = nil, nil
	}
}

// newest returns the number of the newest read.
func (p *pendingReads) newest() uint64 { return p.confirmed + uint64(len(p.queue)) }

// onRead takes a read, the leader's own or a forwarded one.
func (r *raft) onRead(m *pb.Message) error {
	if len(m.Entries) == 0 {
		return badMessage(m, "Entries", "empty", "one, with the context")
	}
	w := waiting{context: m.Entries[0].Data}
	if m.From != None && m.From != r.id {
		w.asker = &asker{id: m.From, entries: m.Entries}
	}
	return r.read(&w)
}

// read answers a read, or lets it wait for a round of heartbeats or for the first commit of the term.
func (r *raft) read(w *waiting) error {
	reads := &r.leadership.reads
	if r.deviates(d9BoundedReads) && len(reads.queue)+len(r.leadership.early()) >= maxWaitingReads {
		return ErrTooManyReads
	}
	switch alone := r.isQuorum(); {
	case alone && !r.deviates(d14SingleVoterReadWaits):
		r.answerRead(w, r.log.committed)
	case !r.committedInTerm():
		// Until then our commit index may be behind that of the leader before us.
		s := r.leadership.seldomly()
		s.early = append(s.early, *w)
	case alone:
		r.answerRead(w, r.log.committed)
	case r.takeRead(w):
		r.heartbeatAll()
	}
	return nil
}

// isQuorum reports whether this leader needs nobody else to know that it leads.
func (r *raft) isQuorum() bool {
	if !r.deviates(d16OwnQuorum) {
		return r.peers.Singleton()
	}
	in, out := r.peers.Voters()
	if in != 1 || out > 1 {
		return false
	}
	self := r.peers.Get(r.id)
	return self != nil && self.Role.Incoming() && (out == 0 || self.Role.Outgoing())
}

// committedInTerm reports whether an entry of this leader's term is committed.
func (r *raft) committedInTerm() bool {
	return r.log.matches(entryID{term: r.term, index: r.log.committed})
}

// takeRead answers w from the lease, or queues it and reports that it needs a round of heartbeats.
func (r *raft) takeRead(w *waiting) (needsRound bool) {
	if r.leaseHolds() {
		r.answerRead(w, r.log.committed)
		return false
	}
	reads := &r.leadership.reads
	w.index = r.log.committed
	reads.queue = append(reads.queue, *w)
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
	case r.leadership.seldom != nil && r.leadership.seldom.leaseEnded && r.deviates(d8TransferEndsLease):
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
	early := r.leadership.early()
	if len(early) == 0 || !r.committedInTerm() {
		return
	}
	r.leadership.seldom.early = nil
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
// leases always the tick of its sending, too. Heartbeats that say the same share the bytes.
func (r *raft) readContext() []byte {
	reads := &r.leadership.reads
	number, tick, size := reads.newest(), r.leadership.ticks, 16
	if !r.leaseReads() {
		if len(reads.queue) == 0 && r.leadership.leaving().read == 0 {
			return nil
		}
		tick, size = 0, 8
	}
	le := binary.LittleEndian
	if c := reads.context; len(c) == size && le.Uint64(c) == number && (size == 8 || le.Uint64(c[8:]) == tick) {
		return c
	}
	context := reads.context[len(reads.context):]
	if cap(context) < size {
		context = make([]byte, 0, 64)
	}
	context = context[:size]
	le.PutUint64(context, number)
	if size == 16 {
		le.PutUint64(context[8:], tick)
	}
	reads.context = context
	return context[:size:size]
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
	leaving := r.leadership.leaving().read > 0
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
	confirmed := r.peers.Quorum(func(p *tracker.Peer) uint64 { return r.readAck(p) })
	n := 0
	for n < len(reads.queue) && reads.confirmed < confirmed {
		reads.confirmed++
		r.answerRead(&reads.queue[n], reads.queue[n].index)
		n++
	}
	rest := copy(reads.queue, reads.queue[n:])
	clear(reads.queue[rest:])
	reads.queue = reads.queue[:rest]
}

// readAck returns the number of the newest read that p has echoed. This member knows all of its own.
func (r *raft) readAck(p *tracker.Peer) uint64 {
	if p.ID == r.id {
		return r.leadership.reads.newest()
	}
	return p.ReadAck
}

// answerRead gives the answer to the host, or sends it to the member that forwarded the read.
func (r *raft) answerRead(w *waiting, index uint64) {
	switch a := w.asker; {
	case a == nil:
		*r.out.underLoad().reads.next() = ReadState{Index: index, RequestCtx: w.context}
	case a.id != None:
		r.send(pb.Message{To: a.id, Type: pb.MsgReadIndexResp, Index: index, Entries: a.entries})
	}
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
	*r.out.underLoad().reads.next() = ReadState{Index: m.Index, RequestCtx: m.Entries[0].Data}
	return nil
}
