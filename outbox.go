package raft

import (
	"slices"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// outbox is the one door for messages. It has two lanes: what may leave at once, and what must wait
// until log, term and vote are durable.
//
// In the first lane stand messages, and between them marks. A mark says that a member is due appends
// or a heartbeat; the message is built when the host asks for a Ready, with all that was proposed and
// committed until then. So a thousand proposals between two Readys make one append for each member.
// No time is lost by it: the host could not have sent anything earlier.
//
// A mark keeps its place, so each member gets its messages in the order of their causes. It joins the
// member's last item if that is a mark of the same sort.
type outbox struct {
	now   lane[pb.Message]
	marks []mark

	// A leader that is given proposal after proposal, and nothing else, would mark everybody again for
	// each. It counts in again how often, for the marks of this round.
	round   uint32
	again   int32
	repeats bool // nothing but proposals came since the last round
	beating bool // nothing but reads came since everybody was marked for a heartbeat

	emitted int32 // messages since the last tick
	load    *load // nil at rest; see underLoad
}

// load is what a member only has while there is something to save, to apply or to read. One that only
// beats, or answers to that, has none.
type load struct {
	later lane[pb.Message]

	// What this member tells itself once it is durable, with synchronous writes; the first ownTaken of
	// them belong to the Ready that the host has. With asynchronous writes they are in later. A leader
	// acknowledges to itself so often that this is only a number; own is for the rest.
	own      []pb.Message
	ownTaken int
	ownAck   ownAck

	reads     lane[ReadState] // answered, for the next Ready
	onAdvance onAdvance
}

// underLoad returns the load, to put something into it.
func (o *outbox) underLoad() *load {
	if o.load == nil {
		o.load = new(load)
	}
	return o.load
}

// waits reports whether there are messages for the next Ready.
func (l *load) waits() bool {
	return l.later.waits() || l.ownAck.index > 0 || len(l.own) > l.ownTaken
}

// rests reports whether there is nothing in l.
func (l *load) rests() bool {
	return !l.waits() && !l.reads.waits() && len(l.own) == 0 && !l.onAdvance.waits()
}

// ownAck says that a leader's log is durable up to index, in the term in which it appended that.
type ownAck struct{ term, index uint64 }

// mark stands for messages that are built when a Ready is asked for.
type mark struct {
	to     uint64 // None: everybody else, all of whom have it as their last item or had it
	before int32  // its place: before this many messages of the lane
	count  int32  // appends that are due
	round  uint32 // see outbox.again
	sort   markSort
	fill   bool // appends are due until the member's window is full
}

type markSort uint8

const (
	markAppends markSort = iota
	markHeartbeat
)

// sent marks a member, in Peer.Queued, that this Ready already has an append for.
const sent = ^uint32(0)

// message adds an empty message that may leave at once, to be filled in before the next call.
func (o *outbox) message() *pb.Message {
	l := &o.now
	if len(l.room) == cap(l.room) {
		l.reserve(1)
	}
	l.room = l.room[:len(l.room)+1]
	return &l.room[len(l.room)-1]
}

// send is the only way out for a finished message.
func (r *raft) send(m pb.Message) {
	k := kinds[m.Type]
	if m.From == None {
		m.From = r.id
	}
	switch {
	case k&noTerm != 0:
		m.Term = 0 // a request is not of a term: it is to reach the leader of any
	case k&ownTerm == 0:
		m.Term = r.term
	}
	if k&waitsOnDisk != 0 {
		r.sendLater(&m)
		return
	}
	assert(m.To != r.id, "what needs no disk is not sent to oneself")
	if len(r.out.marks) > 0 {
		if p := r.peers.Get(m.To); p != nil {
			p.Queued = 0 // the next mark comes after this message
		}
		r.out.endRounds()
	}
	*r.out.message() = m
}

// sendLater queues what waits for the disk.
func (r *raft) sendLater(m *pb.Message) {
	if m.To == r.id && !r.cfg.AsyncStorageWrites {
		l := r.out.underLoad()
		l.own = append(l.own, *m)
	} else {
		*r.out.underLoad().later.next() = *m
	}
}

// acknowledge tells to that this log agrees with the leader's up to index, as soon as it is durable.
// Acknowledgements that follow each other become the highest.
func (r *raft) acknowledge(to, index uint64) {
	load := r.out.underLoad()
	if !r.cfg.EagerAppends {
		if to == r.id && !r.cfg.AsyncStorageWrites {
			load.ownAck = ownAck{term: r.term, index: index}
			return
		}
		if l := &load.later; l.waits() {
			last := &l.room[len(l.room)-1]
			if last.Type == pb.MsgAppResp && !last.Reject && last.To == to && last.Term == r.term {
				last.Index = max(last.Index, index)
				return
			}
		}
	}
	if to == r.id {
		r.sendLater(&pb.Message{Type: pb.MsgAppResp, To: to, From: r.id, Term: r.term, Index: index})
		return
	}
	m := load.later.next()
	m.Type, m.To, m.From, m.Term, m.Index = pb.MsgAppResp, to, r.id, r.term, index
}

// mark returns p's last item if it is a mark of this sort, or a new one.
func (o *outbox) mark(p *tracker.Peer, sort markSort) *mark {
	if p.Queued != 0 {
		if m := &o.marks[p.Queued-1]; m.sort == sort && (m.to != None || sort == markHeartbeat) {
			return m
		}
	}
	m := o.newMark(p.ID, sort)
	p.Queued = uint32(len(o.marks))
	return m
}

func (o *outbox) newMark(to uint64, sort markSort) *mark {
	if o.marks == nil {
		o.marks = make([]mark, 0, 2)
	}
	o.marks = append(o.marks, mark{to: to, before: int32(len(o.now.room)) - o.now.taken, sort: sort})
	return &o.marks[len(o.marks)-1]
}

// markAll is one mark for everybody else, where all of them are in the same position: their last item is
// the same mark for everybody, or none. Otherwise it returns nil, and each has to get a mark of its own.
func (r *raft) markAll(sort markSort) *mark {
	o := &r.out
	peers := r.peers.All()
	queued := sent
	for i := range peers {
		p := &peers[i]
		switch {
		case p.ID == r.id:
		case sort == markAppends && (p.State != tracker.StateReplicate || p.MsgAppFlowPaused || p.Next <= r.log.apply.handed):
			return nil // only some get one, or a snapshot
		case queued == sent:
			queued = p.Queued
		case queued != p.Queued:
			return nil
		}
	}
	if queued == sent {
		return nil // there is nobody else
	}
	if queued != 0 {
		m := &o.marks[queued-1]
		switch {
		case m.to != None:
			return nil
		case m.sort == sort:
			return m
		}
	}
	m := o.newMark(None, sort)
	for i := range peers {
		peers[i].Queued = uint32(len(o.marks))
	}
	return m
}

// spreadMarks makes marks for everybody into one for each: the configuration is about to change, and who is
// new is not meant by them.
func (r *raft) spreadMarks() {
	o := &r.out
	if !slices.ContainsFunc(o.marks, func(m mark) bool { return m.to == None }) {
		return
	}
	marks := o.marks
	o.marks = nil
	for _, m := range marks {
		if m.to != None {
			o.marks = append(o.marks, m)
			continue
		}
		for _, p := range r.peers.All() {
			if m.to = p.ID; m.to != r.id {
				o.marks = append(o.marks, m)
			}
		}
	}
}

// markAppend marks one append for p.
func (o *outbox) markAppend(p *tracker.Peer) { o.mark(p, markAppends).count++ }

// endRounds makes the next round one of its own: something else has happened.
func (o *outbox) endRounds() { o.repeats, o.beating = false, false }

// beginRound is for a round of appends to everybody.
func (o *outbox) beginRound() {
	for i := range o.marks {
		if m := &o.marks[i]; m.round == o.round {
			m.count += o.again
		}
	}
	o.round++
	o.again = 0
}

// markFill marks appends for p until its window is full.
func (o *outbox) markFill(p *tracker.Peer) { o.mark(p, markAppends).fill = true }

// dropMarks forgets all marks: the leadership that they are for has ended.
func (r *raft) dropMarks() { r.dropMarksOf(func(uint64) bool { return true }) }

// dropMarksOf forgets the marks for the members that gone reports.
func (r *raft) dropMarksOf(gone func(id uint64) bool) {
	o := &r.out
	if len(o.marks) == 0 {
		return
	}
	kept := o.marks[:0]
	for _, m := range o.marks {
		if !gone(m.to) {
			kept = append(kept, m)
		}
	}
	o.marks = kept
	o.endRounds()
	r.peers.Unqueue() // positions have changed
}

// fewMessages is how many a member sends between two ticks that has no load: it beats.
const fewMessages = 8

// rest lets go of memory that only load justifies.
func (o *outbox) rest() {
	few := o.emitted <= fewMessages
	o.emitted = 0
	if !few {
		return
	}
	if o.load != nil && o.load.rests() {
		o.load = nil
	}
	if len(o.marks) == 0 && cap(o.marks) > fewMessages {
		o.marks = nil
	}
	o.now.rest()
}

// rests reports whether rest has nothing to do.
func (o *outbox) rests() bool {
	return o.emitted == 0 && o.load == nil && len(o.marks) == 0 && cap(o.now.room) == 0 && o.now.pieces == 0
}

// takeNow empties the first lane, with every mark turned into what is due by now. Room for extra more
// messages is left behind them.
func (r *raft) takeNow(extra int) []pb.Message {
	o := &r.out
	if len(o.marks) == 0 {
		return o.now.takeWith(extra)
	}
	finished := o.now.take()
	o.now.reserve(len(finished) + r.dueMessages() + extra)
	var last piece
	n := int32(0)
	for i := range o.marks {
		m := &o.marks[i]
		if n < m.before {
			o.now.add(finished[n:m.before])
			n = m.before
		}
		if m.to == None {
			r.takeForAll(m, &last)
		} else if p := r.peers.Get(m.to); p != nil {
			r.takeMark(p, m, &last)
		}
	}
	if int(n) < len(finished) {
		o.now.add(finished[n:])
	}
	o.marks, o.again = o.marks[:0], 0
	r.peers.Unqueue()
	return o.now.takeWith(extra)
}

// takeForAll turns a mark into messages for everybody else, who as a rule are all sent the same.
func (r *raft) takeForAll(m *mark, last *piece) {
	left := r.out.appendsDue(m)
	peers := r.peers.All()
	for i := range peers {
		p := &peers[i]
		switch {
		case p.ID == r.id:
		case m.sort == markHeartbeat:
			r.heartbeat(p)
		case p.Next == last.next && p.Queued != sent && p.State == tracker.StateReplicate && !p.MsgAppFlowPaused &&
			!p.Inflights.Full():
			r.emitAppend(p, last)
			p.Queued = sent
			if left > 1 {
				r.takeAppends(p, left-1, false, last)
			}
		default:
			r.takeAppends(p, left, m.fill, last)
		}
	}
}

// dueMessages returns how many messages the marks will be, if each is one.
func (r *raft) dueMessages() int {
	n := 0
	for i := range r.out.marks {
		if r.out.marks[i].to == None {
			n += r.peers.Len() - 1
		} else {
			n++
		}
	}
	return n
}

// takeMark turns a mark into messages for p.
func (r *raft) takeMark(p *tracker.Peer, m *mark, last *piece) {
	if m.sort == markHeartbeat {
		r.heartbeat(p)
	} else {
		r.takeAppends(p, r.out.appendsDue(m), m.fill, last)
	}
}

// appendsDue returns how many appends m stands for.
func (o *outbox) appendsDue(m *mark) int32 {
	if m.round == o.round {
		return m.count + o.again
	}
	return m.count
}

// takeAppends sends p as many appends as are left, or with fill until its window is full. The first one goes
// even without entries, unless it would only repeat what this Ready holds for the member already; further
// ones go if there are entries.
func (r *raft) takeAppends(p *tracker.Peer, left int32, fill bool, last *piece) {
	always := p.Queued != sent
	for ; (left > 0 || fill) && !p.IsPaused(); left-- {
		if !r.nextAppend(p, always, last) {
			break
		}
		always, p.Queued = false, sent
	}
}
