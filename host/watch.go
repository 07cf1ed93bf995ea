package host

import (
	"fmt"
	"slices"
	"sync"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// recentEvents is how many events RecentEvents returns.
const recentEvents = 256

// eventLog keeps the newest events and hands them on.
type eventLog struct {
	hook     func(Event)
	counters *counters

	mu          sync.Mutex
	number      uint64
	recent      []Event
	subscribers []chan Event
	closed      bool
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	e.Number = l.number
	l.remember(e)
	for _, c := range l.subscribers {
		select {
		case c <- e:
		default:
			l.counters.eventsDropped.Add(1)
		}
	}
	if l.hook != nil {
		l.hook(e)
	}
}

// repeats is among how many of the newest events one like it gives way to a new one, so that what happens all
// the time does not push the rest out.
const repeats = 6

func (l *eventLog) remember(e Event) {
	drop := -1
	if len(l.recent) == recentEvents {
		drop = 0
	}
	for i := max(0, len(l.recent)-repeats); i < len(l.recent); i++ {
		if x := &l.recent[i]; x.Kind == e.Kind && x.Member == e.Member && x.Reason == e.Reason {
			drop = i
		}
	}
	if drop >= 0 {
		l.recent = slices.Delete(l.recent, drop, drop+1)
	}
	l.recent = append(l.recent, e)
}

func (l *eventLog) list() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.recent)
}

// subscribe returns a channel with room for n events, and what ends it.
func (l *eventLog) subscribe(n int) (<-chan Event, func()) {
	c := make(chan Event, max(n, 1))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		close(c)
		return c, func() {}
	}
	l.subscribers = append(l.subscribers, c)
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.subscribers, c); i >= 0 {
			l.subscribers = slices.Delete(l.subscribers, i, i+1)
			close(c)
		}
	}
}

// close ends all subscriptions.
func (l *eventLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.subscribers {
		close(c)
	}
	l.subscribers, l.closed = nil, true
}

func (e *engine) emit(event Event) {
	event.Time, event.Term = e.now(), e.term
	e.events.add(event)
}

// health is what is noted for those who ask why.
type health struct {
	why     string // the last change of role or leader
	skipped error  // why the change that is being applied had no effect
	asked   []voteRequest
	members map[uint64]*memberHealth
}

// memberHealth is how another member is doing.
type memberHealth struct {
	heardAt uint64 // one more than the tick of the last message
	lostAt  uint64 // one more than the tick of the last event about lost messages
	match   uint64
	since   uint64 // tick at which match was seen first
	stuck   bool
}

// voteRequest is one that was not answered yet.
type voteRequest struct {
	from   uint64
	reason string // why it is refused, if it is
	silent string // why there is no answer, if there is none
	at     uint64 // tick
}

func (h *health) of(id uint64) *memberHealth {
	m := h.members[id]
	if m == nil {
		m = &memberHealth{}
		h.members[id] = m
	}
	return m
}

func (h *health) heard(id, tick uint64) {
	if m := h.members[id]; m != nil || len(h.members) < 1<<10 {
		h.of(id).heardAt = tick + 1
	}
}

// unreachable hears that messages to a member were lost.
func (e *engine) unreachable(id uint64) {
	e.node.ReportUnreachable(id)
	m := e.health.members[id]
	if m == nil {
		if !member(&e.conf, id) {
			return
		}
		m = e.health.of(id)
	}
	// One event for many of them.
	if m.lostAt == 0 || e.ticks-m.lostAt >= uint64(e.cfg.ElectionTicks) {
		m.lostAt = e.ticks + 1
		e.emit(Event{Kind: EventUnreachable, Member: id})
	}
}

// heardLately reports whether a message of a member came within an election timeout.
func (e *engine) heardLately(id uint64) bool {
	m := e.health.members[id]
	return m != nil && m.heardAt > 0 && e.ticks+1-m.heardAt <= uint64(e.cfg.ElectionTicks)
}

// noteCause remembers what changed role or leader: a message, or a tick if m is nil.
func (e *engine) noteCause(before *raft.BasicStatus, m *pb.Message) {
	now := e.node.BasicStatus()
	if now.Lead == before.Lead && now.RaftState == before.RaftState {
		return
	}
	led := before.RaftState == raft.StateLeader
	why := &e.health.why
	switch {
	case m == nil && led:
		*why = "no quorum answered for an election timeout"
	case m == nil:
		*why = "no leader was heard for an election timeout"
	case m.Type == pb.MsgTimeoutNow:
		*why = fmt.Sprintf("member %d hands over to this one", m.From)
	case now.RaftState == raft.StateLeader:
		*why = fmt.Sprintf("elected in term %d", now.Term)
	case m.Term > before.Term:
		*why = fmt.Sprintf("%s of member %d is of term %d", m.Type, m.From, m.Term)
	default:
		*why = fmt.Sprintf("%s of member %d", m.Type, m.From)
	}
}

// roleChanged follows a change of role or leader.
func (e *engine) roleChanged(now raft.SoftState) {
	before := e.role
	e.role = now
	campaigns := now.RaftState == raft.StatePreCandidate || now.RaftState == raft.StateCandidate
	if campaigns && before.RaftState == raft.StateFollower {
		e.counters.elections.Add(1)
		e.emit(Event{Kind: EventCampaign, Reason: e.health.why})
	}
	if now.Lead != before.Lead {
		if before.Lead != raft.None {
			e.emit(Event{Kind: EventLeaderLost, Member: before.Lead, Reason: e.health.why})
		}
		if now.Lead != raft.None {
			e.counters.leaderChanges.Add(1)
			e.emit(Event{Kind: EventLeader, Member: now.Lead, Reason: e.health.why})
		}
		e.reads.again()
	}
	if before.RaftState == raft.StateLeader && now.RaftState != raft.StateLeader {
		e.sending.abandon()
		clear(e.health.members)
	}
	e.checkTransfers()
	e.tellWatchers()
}

// coreEvent takes an event of package raft.
func (e *engine) coreEvent(event raft.Event) {
	switch x := event.(type) {
	case raft.ConfChangeSkipped:
		e.health.skipped = x.Reason
		e.emit(Event{Kind: EventChangeSkipped, Reason: x.Reason.Error()})
	case raft.LostDurableState:
		e.emit(Event{Kind: EventLostState, Member: e.cfg.ID, Index: x.LastIndex, Reason: fmt.Sprintf(
			"member %d knows entry %d to be here, the log ends at %d", x.Leader, x.Commit, x.LastIndex)})
	case raft.PeerLostDurableState:
		e.emit(Event{Kind: EventLostState, Member: x.ID, Index: x.Index, Reason: fmt.Sprintf(
			"it had acknowledged %d and names %d now", x.Match, x.Index)})
	case raft.SnapshotGivenUp:
		e.emit(Event{Kind: EventSnapshotFailed, Member: x.To, Index: x.Index,
			Reason: fmt.Sprintf("no answer in %d ticks", x.Ticks)})
	}
}

// noteVoteRequest remembers why a vote would be refused.
func (e *engine) noteVoteRequest(before *raft.BasicStatus, m *pb.Message) {
	if m.Type != pb.MsgVote && m.Type != pb.MsgPreVote || len(e.health.asked) >= 16 {
		return
	}
	r := voteRequest{from: m.From, at: e.ticks}
	switch {
	case m.Term < before.Term:
		r.reason = fmt.Sprintf("its term %d is behind", m.Term)
	case m.Term == before.Term && before.Vote != raft.None && before.Vote != m.From:
		r.reason = fmt.Sprintf("member %d has the vote of term %d", before.Vote, before.Term)
	case m.Term == before.Term && before.Lead != raft.None:
		r.reason = fmt.Sprintf("member %d leads term %d", before.Lead, before.Term)
	default:
		r.reason = fmt.Sprintf("its log ends at index %d of term %d, behind index %d here", m.Index, m.LogTerm, e.last)
	}
	if before.Lead != raft.None && before.Lead != m.From && m.Term > before.Term {
		r.silent = fmt.Sprintf("member %d leads and was heard within an election timeout", before.Lead)
	}
	e.health.asked = append(e.health.asked, r)
}

// noteRefusal sees an answer to a vote request leave.
func (e *engine) noteRefusal(m *pb.Message) {
	if m.Type != pb.MsgVoteResp && m.Type != pb.MsgPreVoteResp {
		return
	}
	for i, r := range e.health.asked {
		if r.from != m.To {
			continue
		}
		if m.Reject {
			e.emit(Event{Kind: EventVoteRefused, Member: m.To, Reason: r.reason})
		}
		e.health.asked = slices.Delete(e.health.asked, i, i+1)
		return
	}
}

// configured tells of a configuration that came into force, and whether this member was in the one before.
func (e *engine) configured(entry *pb.Entry, conf pb.ConfState, was bool) {
	if e.health.skipped == nil {
		e.emit(Event{Kind: EventConfiguration, Index: entry.Index, Reason: raft.DescribeConfState(conf)})
	}
	if was && !member(&conf, e.cfg.ID) {
		e.emit(Event{Kind: EventRemoved, Member: e.cfg.ID, Index: entry.Index})
	}
}

// stuckAfter is for how many election timeouts a member may make no progress before it counts as stuck.
const stuckAfter = 3

// tickHealth looks for members that do not catch up, and for vote requests that got no answer.
func (e *engine) tickHealth() {
	kept := e.health.asked[:0]
	for _, r := range e.health.asked {
		switch {
		case e.ticks < r.at+2:
			kept = append(kept, r)
		case r.silent != "":
			e.emit(Event{Kind: EventVoteRefused, Member: r.from, Reason: r.silent})
		}
	}
	e.health.asked = kept
	if e.role.RaftState != raft.StateLeader || e.ticks%uint64(e.cfg.ElectionTicks) != 0 {
		return
	}
	commit := e.node.BasicStatus().Commit
	e.eachMember(func(id uint64, p *tracker.Progress) {
		if id == e.cfg.ID {
			return
		}
		m := e.health.of(id)
		behind := p.Match < commit && p.Match == m.match
		if !behind {
			m.match, m.since = p.Match, e.ticks
			if m.stuck {
				m.stuck = false
				e.emit(Event{Kind: EventMemberBack, Member: id, Index: p.Match})
			}
			return
		}
		if !m.stuck && e.ticks-m.since >= stuckAfter*uint64(e.cfg.ElectionTicks) {
			m.stuck = true
			e.emit(Event{Kind: EventMemberStuck, Member: id, Index: p.Match, Reason: e.whyBehind(id, p)})
		}
	})
}
