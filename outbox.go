package raft

import (
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
	now   lane
	marks []mark
	later lane

	// What this member tells itself once it is durable, with synchronous writes; the first ownTaken of
	// them belong to the Ready that the host has. With asynchronous writes they are in later.
	own      []pb.Message
	ownTaken int

	used bool // since the last tick
}

// mark stands for messages that are built when a Ready is asked for.
type mark struct {
	to     uint64
	before int // its place: before this many messages of the lane
	count  int // appends that are due
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

// waits reports whether there is anything for the next Ready.
func (o *outbox) waits() bool {
	return len(o.marks) > 0 || len(o.own) > o.ownTaken || o.now.waits() || o.later.waits()
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
	}
	*r.out.now.next() = m
}

// sendLater queues what waits for the disk.
func (r *raft) sendLater(m *pb.Message) {
	if m.To == r.id && !r.cfg.AsyncStorageWrites {
		r.out.own = append(r.out.own, *m)
	} else {
		*r.out.later.next() = *m
	}
}

// acknowledge tells to, which may be this member itself, that this log agrees with the leader's up to
// index, as soon as it is durable. Acknowledgements that follow each other become the highest.
func (r *raft) acknowledge(to, index uint64) {
	waiting := r.out.later.waiting()
	if to == r.id && !r.cfg.AsyncStorageWrites {
		waiting = r.out.own[r.out.ownTaken:]
	}
	if n := len(waiting); n > 0 && !r.cfg.EagerAppends {
		if m := &waiting[n-1]; m.Type == pb.MsgAppResp && !m.Reject && m.To == to && m.Term == r.term {
			m.Index = max(m.Index, index)
			return
		}
	}
	r.sendLater(&pb.Message{Type: pb.MsgAppResp, To: to, From: r.id, Term: r.term, Index: index})
}

// mark returns p's last item if it is a mark of this sort, or a new one.
func (o *outbox) mark(p *tracker.Peer, sort markSort) *mark {
	if p.Queued != 0 {
		if m := &o.marks[p.Queued-1]; m.sort == sort {
			return m
		}
	}
	o.marks = append(o.marks, mark{to: p.ID, before: len(o.now.waiting()), sort: sort})
	p.Queued = uint32(len(o.marks))
	return &o.marks[len(o.marks)-1]
}

// markAppend marks one append for p.
func (o *outbox) markAppend(p *tracker.Peer) { o.mark(p, markAppends).count++ }

// markFill marks appends for p until its window is full.
func (o *outbox) markFill(p *tracker.Peer) { o.mark(p, markAppends).fill = true }

// markHeartbeat marks a heartbeat for p.
func (o *outbox) markHeartbeat(p *tracker.Peer) { o.mark(p, markHeartbeat) }

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
	r.unqueue() // positions have changed
}

// unqueue makes the next mark for each member a new one.
func (r *raft) unqueue() {
	peers := r.peers.All()
	for i := range peers {
		peers[i].Queued = 0
	}
}

// rest lets go of memory that only load justifies, at the second tick without any.
func (o *outbox) rest() {
	if o.used {
		o.used = false
		return
	}
	if len(o.own) == 0 {
		o.own = nil
	}
	if len(o.marks) == 0 {
		o.marks = nil
	}
	o.now.rest()
	o.later.rest()
}

// takeNow empties the first lane, with every mark turned into what is due by now. Room for extra more
// messages is left behind them.
func (r *raft) takeNow(extra int) []pb.Message {
	o := &r.out
	o.used = true
	if len(o.marks) == 0 {
		return o.now.take(extra)
	}
	finished := o.now.take(0)
	o.now.reserve(len(finished) + len(o.marks) + extra)
	n := 0
	for i := range o.marks {
		m := &o.marks[i]
		o.now.add(finished[n:m.before])
		n = m.before
		if p := r.peers.Get(m.to); p == nil {
			continue
		} else if m.sort == markHeartbeat {
			r.heartbeat(p)
		} else {
			r.takeAppends(p, m)
		}
	}
	o.now.add(finished[n:])
	o.marks = o.marks[:0]
	r.unqueue()
	return o.now.take(extra)
}

// takeAppends turns a mark into appends. The first one goes even without entries, unless it would
// only repeat what this Ready holds for the member already; further ones go if there are entries.
func (r *raft) takeAppends(p *tracker.Peer, m *mark) {
	always := p.Queued != sent
	for left := m.count; (left > 0 || m.fill) && !p.IsPaused(); left-- {
		if !r.nextAppend(p, always) {
			break
		}
		always, p.Queued = false, sent
	}
}
