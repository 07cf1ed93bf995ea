package raft

import (
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// ---- the leader sends (thesis 3.5)

// replicateToAll sends every member an append, also one without entries: it brings the commit index.
func (r *raft) replicateToAll() {
	o := &r.out
	if o.repeats {
		o.again++
		return
	}
	o.beginRound()
	o.repeats = !r.cfg.EagerAppends
	if o.repeats {
		if m := r.markAll(markAppends); m != nil {
			m.count++
			m.round = o.round
			o.beating = false
			return
		}
	}
	peers := r.peers.All()
	for i := range peers {
		p := &peers[i]
		if p.ID == r.id {
			continue
		}
		if r.replicate(p, true) && p.State == tracker.StateReplicate && !r.cfg.EagerAppends {
			o.marks[p.Queued-1].round = o.round
		} else if !p.IsPaused() {
			o.repeats = false
		}
	}
}

// replicate sends p one append, or a snapshot if the log does not reach back to what p needs. With
// always false it does so only if there are entries to send. It reports whether something was sent
// or marked to be sent; see outbox.
func (r *raft) replicate(p *tracker.Peer, always bool) bool {
	if p.IsPaused() {
		return false
	}
	r.out.beating = false
	if p.Next <= r.log.apply.handed && r.beyondLog(p) {
		return r.sendSnapshot(p)
	}
	if p.State == tracker.StateProbe || r.cfg.EagerAppends {
		p.Queued = 0 // the next mark comes after this message
		var c piece
		return r.nextAppend(p, always, &c)
	}
	if !always && (p.Next > r.log.last() || p.Inflights.Full()) {
		return false
	}
	r.out.markAppend(p)
	return true
}

// fill sends p appends until there is nothing more to send or its window is full.
func (r *raft) fill(p *tracker.Peer) {
	if p.Next > r.log.last() {
		return
	}
	if r.cfg.EagerAppends || p.State != tracker.StateReplicate {
		for r.replicate(p, false) {
		}
		return
	}
	if r.replicate(p, false) && p.State == tracker.StateReplicate {
		r.out.markFill(p)
	}
}

// beyondLog reports whether p needs entries that this log does not have any more. Only what was
// handed out for application can have been compacted, so Storage is seldom asked.
func (r *raft) beyondLog(p *tracker.Peer) bool {
	return p.Next <= r.log.apply.handed && p.Next < r.log.first()
}

// piece is what an append from one place in the log holds. Members that are equally far get the same.
type piece struct {
	next     uint64 // where it starts; 0 if nothing was cut yet
	prevTerm uint64 // of the entry before
	entries  []pb.Entry
	bytes    uint64 // of payload
}

// cut cuts the piece that p is to get next, with as many entries as one append may hold, or without any.
func (r *raft) cut(p *tracker.Peer, empty bool) (piece, error) {
	prevTerm, err := r.log.term(p.Next - 1)
	c := piece{prevTerm: prevTerm}
	if empty || err != nil {
		return c, err
	}
	c.next = p.Next
	c.entries, err = r.log.after(p.Next-1, r.cfg.MaxSizePerMsg)
	if r.cfg.MaxInflightBytes != noLimit {
		c.bytes = payloadsSize(c.entries)
	}
	return c, err
}

// nextAppend sends the next append to p and moves p on; last is the piece that was cut last. It reports
// false if there is nothing to send.
func (r *raft) nextAppend(p *tracker.Peer, always bool, last *piece) bool {
	full := p.State == tracker.StateReplicate && p.Inflights.Full()
	if last.next != p.Next || full {
		c, err := r.cut(p, full)
		if err != nil {
			return false // compacted since we looked: the next heartbeat response asks again
		}
		*last = c
	}
	if len(last.entries) == 0 && !always {
		return false
	}
	r.emitAppend(p, last)
	if full {
		p.MsgAppFlowPaused = true
	}
	return true
}

// emitAppend sends p the piece c, which starts where p is, and moves p on.
func (r *raft) emitAppend(p *tracker.Peer, c *piece) {
	l := &r.out.now
	at := len(l.room)
	if at == cap(l.room) {
		l.reserve(1)
		at = len(l.room)
	}
	l.room = l.room[:at+1]
	m := &l.room[at]
	m.Type, m.To, m.From, m.Term = pb.MsgApp, p.ID, r.id, r.term
	m.Index, m.LogTerm, m.Commit = p.Next-1, c.prevTerm, r.log.committed
	p.SentCommit(r.log.committed)
	if n := len(c.entries); n > 0 {
		assert(c.entries[0].Index == p.Next, "an append starts where the member's log ends")
		m.Entries = c.entries
		p.Window(r.cfg.MaxInflightMsgs, r.cfg.MaxInflightBytes)
		p.SentEntries(n, c.bytes)
	}
}

// ---- the leader hears answers

// onAppendResponse is the leader's end of AppendEntries.
func (r *raft) onAppendResponse(m *pb.Message) error {
	p := r.peers.Get(m.From)
	switch {
	case p == nil:
		return nil
	case m.Index > r.log.last() && !m.Reject:
		return badMessage(m, "Index", m.Index, "up to the last index of the leader's log")
	}
	p.RecentActive = true
	if m.Reject {
		r.onAppendNack(p, m)
	} else {
		r.onAppendAck(p, m.Index)
	}
	return nil
}

// onAppendNack looks for the place where p's log agrees with ours, going back by whole terms rather
// than entry by entry (thesis 3.5, last paragraph): p named the highest position whose term is not
// above that of the entry it missed; ours may be lower still.
func (r *raft) onAppendNack(p *tracker.Peer, m *pb.Message) {
	next := m.RejectHint
	if m.LogTerm > 0 {
		next = r.log.lastUpTo(m.RejectHint, m.LogTerm).index
	}
	if p.State == tracker.StateProbe && m.Index == p.Match && p.Match > 0 && r.deviates(d18RefusalAtMatch) {
		// Going back further is not for the leader to decide, and asking again would bring the same answer;
		// the next heartbeat response asks.
		r.emitEvent(PeerLostDurableState{ID: p.ID, Match: p.Match, Index: m.RejectHint})
		return
	}
	if p.State == tracker.StateProbe && r.deviates(d21LongSearch) {
		next = min(next, r.leap(p))
	}
	if !p.MaybeDecrTo(m.Index, next) {
		return
	}
	if p.State == tracker.StateReplicate {
		p.BecomeProbe()
	}
	r.replicate(p, true)
}

// patientSearch is how many refusals a search for the place where two logs agree takes while it goes back by a
// term at a time. Then it goes back by so many entries, twice as many each time: a follower may get again what it
// has, at most as much as it lacks, but the round trips do not grow with the number of terms.
const patientSearch = 8

// leap returns the highest position that may be asked about next, now that p refused the last probe. It does not
// go back beyond what the log holds, where a search term by term might end before.
func (r *raft) leap(p *tracker.Peer) uint64 {
	n := p.Refusals()
	if n < patientSearch {
		return p.Next
	}
	edge := r.log.first() - 1
	back := uint64(1) << min(n-patientSearch, 62)
	if edge >= p.Next || p.Next-edge <= back {
		return max(edge, p.Match)
	}
	return p.Next - 1 - back
}

// onAppendAck notes that p's log agrees with ours up to index, and goes on from there.
func (r *raft) onAppendAck(p *tracker.Peer, index uint64) {
	if p.Floor > 0 {
		if index <= p.Floor {
			r.onAckBelowFloor(p, index)
			return
		}
		p.Floor = 0 // certainly the new member's own
	}
	before := p.Match
	// An acknowledgement of what is known already still ends a probe.
	if !p.MaybeUpdate(index) && !(p.Match == index && p.State == tracker.StateProbe) {
		return
	}
	switch {
	case p.State == tracker.StateProbe:
		p.BecomeReplicate()
	case p.State == tracker.StateSnapshot && p.Match+1 >= r.log.first():
		p.BecomeProbe()
		p.BecomeReplicate()
	case p.State == tracker.StateReplicate:
		p.Inflights.FreeLE(index)
	}
	switch {
	case r.advanceCommit(p, before):
		r.releaseReads()
		r.replicateToAll()
	case p.ID != r.id && p.CanBumpCommit(r.log.committed):
		r.replicate(p, true)
	}
	if p.ID == r.id {
		return
	}
	r.fill(p)
	r.goOnHandingOver()
	if r.state == StateLeader && p.ID == r.leadership.transferee && p.Match == r.log.last() {
		r.sendTimeoutNow(p.ID)
	}
}

// advanceCommit commits what a quorum has, now that p has more than what it had before, and reports
// whether that is news. It counts who has more than what is committed, and goes on counting from there, so
// that in a large group each acknowledgement does not look at everybody.
func (r *raft) advanceCommit(p *tracker.Peer, before uint64) bool {
	l := r.leadership
	next := r.log.committed + 1
	switch {
	case l.next == 0 || r.peers.Joint():
		// Not counted for this configuration: a quorum may have more, whatever p has.
		l.next, l.ahead = next, r.peers.VotersAt(next)
		return r.peers.CommittedAbove(next) && r.commitOwn(r.peers.Committed())
	case p.Match < next:
		return false
	case l.next != next && p.ID != r.id && r.peers.CommittedAbove(p.Match):
		return r.commitOwn(p.Match) // nobody needs to be counted for what is committed now
	case l.next != next:
		l.next, l.ahead = next, r.peers.VotersAt(next)
	case before < next && p.Role.Incoming():
		l.ahead++
	}
	switch voters, _ := r.peers.Voters(); {
	case l.ahead <= voters/2:
		return false
	case r.peers.CommittedAbove(p.Match):
		return r.commitOwn(p.Match)
	}
	return r.commitOwn(r.peers.Committed())
}

// commitOwn commits up to i, which a quorum has, if i is of this term. Thesis 3.6.2: only entries of our
// own term commit by counting; earlier ones commit with them.
func (r *raft) commitOwn(i uint64) bool {
	if i <= r.log.committed || !r.log.matches(entryID{term: r.term, index: i}) {
		return false
	}
	r.log.commitTo(i)
	return true
}

// onUnreachable slows down to probing: what is under way to this member may be lost.
func (r *raft) onUnreachable(m *pb.Message) error {
	if p := r.peers.Get(m.From); p != nil && p.State == tracker.StateReplicate {
		p.BecomeProbe()
	}
	return nil
}

// ---- heartbeats, the leader's end

func (r *raft) onBeat(*pb.Message) error {
	r.heartbeatAll()
	return nil
}

func (r *raft) heartbeatAll() {
	if r.out.beating {
		return
	}
	r.out.repeats, r.out.beating = false, !r.cfg.EagerAppends
	if r.out.beating && r.markAll(markHeartbeat) != nil {
		return
	}
	peers := r.peers.All()
	for i := range peers {
		p := &peers[i]
		switch {
		case p.ID == r.id:
		case r.cfg.EagerAppends:
			r.heartbeat(p)
		default:
			r.out.mark(p, markHeartbeat)
		}
	}
}

// heartbeat sends p a heartbeat. It must not tell a commit index that p's log may not reach.
func (r *raft) heartbeat(p *tracker.Peer) {
	commit := min(p.Match, r.log.committed)
	p.SentCommit(commit)
	m := r.out.message()
	m.Type, m.To, m.From, m.Term = pb.MsgHeartbeat, p.ID, r.id, r.term
	m.Commit, m.Context = commit, r.readContext()
}

// onHeartbeatResponse: the member is there, so a stalled stream goes on, and reads may be confirmed.
func (r *raft) onHeartbeatResponse(m *pb.Message) error {
	p := r.peers.Get(m.From)
	if p == nil {
		return nil
	}
	p.RecentActive = true
	p.MsgAppFlowPaused = false
	if p.Match < r.log.last() || p.State == tracker.StateProbe {
		r.replicate(p, true)
	}
	r.onReadAck(p, m.Context)
	return nil
}

// ---- the follower's end

// hear notes that the leader of this term was heard. It comes before any look at the log, so that a
// member that lags behind does not campaign against a leader that is there.
func (r *raft) hear(leader uint64) {
	r.clock.sinceContact = 0
	r.lead = leader
}

// onAppend is the receiver's end of AppendEntries (thesis Figure 3.1).
func (r *raft) onAppend(m *pb.Message) error {
	r.hear(m.From)
	prev := entryID{term: m.LogTerm, index: m.Index}
	if prev.index < r.log.committed {
		// What is committed is never taken back: tell the leader to go on from there.
		r.acknowledge(m.From, r.log.committed)
		return nil
	}
	if !r.log.matches(prev) {
		hint := r.log.lastUpTo(min(prev.index, r.log.last()), prev.term)
		r.send(pb.Message{To: m.From, Type: pb.MsgAppResp, Index: prev.index,
			Reject: true, RejectHint: hint.index, LogTerm: hint.term})
		return nil
	}
	// Entries that are here already stay: a late message must not truncate what came after it.
	if fresh := m.Entries[r.log.known(m.Entries):]; len(fresh) > 0 {
		r.log.replace(fresh)
	}
	end := prev.index + uint64(len(m.Entries))
	r.log.commitTo(min(m.Commit, end))
	r.acknowledge(m.From, end)
	return nil
}

// onHeartbeat is the receiver's end of a heartbeat.
func (r *raft) onHeartbeat(m *pb.Message) error {
	r.hear(m.From)
	if m.Commit > r.log.last() {
		if err := r.onLostState(m); err != nil {
			return err
		}
	} else {
		r.log.commitTo(m.Commit)
	}
	r.send(pb.Message{To: m.From, Type: pb.MsgHeartbeatResp, Context: m.Context})
	return nil
}
