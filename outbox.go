package raft

import (
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// outbox is the one door for messages. It has two lanes: what may leave at once, and what must wait
// until log, term and vote are durable.
//
// In the first lane stand messages, and marks. A mark says that a member is due appends or a
// heartbeat; the message is built when the host asks for a Ready, with all that was proposed and
// committed until then. So a thousand proposals between two Readys make one append for each member.
// No time is lost by it: the host could not have sent anything earlier.
//
// A mark keeps its place, so each member gets its messages in the order of their causes. It joins the
// member's last item if that is a mark of the same sort.
type outbox struct {
	now   []pb.Message
	later []pb.Message
	marks int
}

// Types of the marks. A mark of appends counts in Index how many appends are due, and has Reject set
// if they are to go on until the member's window is full.
const (
	markAppends   pb.MessageType = -1
	markHeartbeat pb.MessageType = -2
)

// sent marks a member, in Peer.Queued, that this Ready already has an append for.
const sent = ^uint32(0)

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
		r.sendLater(m)
		return
	}
	assert(m.To != r.id, "what needs no disk is not sent to oneself")
	if r.out.marks > 0 {
		if p := r.peers.Get(m.To); p != nil {
			p.Queued = 0 // the next mark comes after this message
		}
	}
	r.out.now = append(r.out.now, m)
}

// sendLater queues what waits for the disk. Acknowledgements to one leader that follow each other
// become the highest.
func (r *raft) sendLater(m pb.Message) {
	if n := len(r.out.later); n > 0 && !r.cfg.EagerAppends && m.Type == pb.MsgAppResp && !m.Reject {
		if prev := &r.out.later[n-1]; prev.Type == pb.MsgAppResp && !prev.Reject &&
			prev.To == m.To && prev.Term == m.Term {
			prev.Index = max(prev.Index, m.Index)
			return
		}
	}
	r.out.later = append(r.out.later, m)
}

// mark returns p's last item if it is a mark of type t, or a new one.
func (o *outbox) mark(p *tracker.Peer, t pb.MessageType) *pb.Message {
	if p.Queued != 0 {
		if m := &o.now[p.Queued-1]; m.Type == t {
			return m
		}
	}
	o.now = append(o.now, pb.Message{Type: t, To: p.ID})
	o.marks++
	p.Queued = uint32(len(o.now))
	return &o.now[len(o.now)-1]
}

// markAppend marks one append for p.
func (o *outbox) markAppend(p *tracker.Peer) { o.mark(p, markAppends).Index++ }

// markFill marks appends for p until its window is full.
func (o *outbox) markFill(p *tracker.Peer) { o.mark(p, markAppends).Reject = true }

// markHeartbeat marks a heartbeat for p.
func (o *outbox) markHeartbeat(p *tracker.Peer) { o.mark(p, markHeartbeat) }

// dropMarks forgets all marks: the leadership that they are for has ended.
func (r *raft) dropMarks() { r.dropMarksOf(func(uint64) bool { return true }) }

// dropMarksOf forgets the marks for the members that gone reports.
func (r *raft) dropMarksOf(gone func(id uint64) bool) {
	o := &r.out
	if o.marks == 0 {
		return
	}
	kept := o.now[:0]
	for _, m := range o.now {
		if m.Type < 0 && gone(m.To) {
			o.marks--
			continue
		}
		kept = append(kept, m)
	}
	clear(o.now[len(kept):])
	o.now = kept
	r.unqueue() // positions have changed
}

// unqueue makes the next mark for each member a new one.
func (r *raft) unqueue() {
	peers := r.peers.All()
	for i := range peers {
		peers[i].Queued = 0
	}
}

// rest lets go of memory that only load justifies.
func (o *outbox) rest() {
	if len(o.now) == 0 {
		o.now = nil
	}
}

// takeNow empties the first lane into a slice that belongs to the host, with room for extra more,
// and with every mark turned into what is due by now.
func (r *raft) takeNow(extra int) []pb.Message {
	queue := r.out.now
	if len(queue)+extra == 0 {
		return nil
	}
	msgs := make([]pb.Message, 0, len(queue)+extra)
	for i := range queue {
		switch m := &queue[i]; m.Type {
		case markAppends:
			msgs = r.takeAppends(m, msgs)
		case markHeartbeat:
			if p := r.peers.Get(m.To); p != nil {
				msgs = append(msgs, r.heartbeat(p))
			}
		default:
			msgs = append(msgs, *m)
		}
	}
	if r.out.marks > 0 {
		r.unqueue()
	}
	clear(queue)
	r.out.now, r.out.marks = queue[:0], 0
	return msgs
}

// takeAppends turns a mark into appends. The first one goes even without entries, unless it would
// only repeat what this Ready holds for the member already; further ones go if there are entries.
func (r *raft) takeAppends(mark *pb.Message, msgs []pb.Message) []pb.Message {
	p := r.peers.Get(mark.To)
	if p == nil {
		return msgs
	}
	always := p.Queued != sent
	for left := mark.Index; (left > 0 || mark.Reject) && !p.IsPaused(); left = saturatingDec(left) {
		m, ok := r.nextAppend(p, always)
		if !ok {
			break
		}
		msgs = append(msgs, m)
		always, p.Queued = false, sent
	}
	return msgs
}
