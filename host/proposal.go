package host

import (
	"errors"
	"sync/atomic"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// batchBytes bounds what one MsgProp holds.
const batchBytes = 1 << 20

// Result is how a proposal ended.
type Result struct {
	Index uint64
	Term  uint64
	Value any // Entry.Result as Apply set it
}

// proposal is one call of Propose.
type proposal struct {
	data  []byte
	size  int
	term  uint64 // in which it was handed over
	index uint64 // 0 if a leader elsewhere has it
	seq   uint64 // the name of a forwarded one
	stage atomic.Int32
	// settle is called once, on the loop.
	settle func(Result, error)
}

// The stages of a proposal. Only the loop moves it to handed, and only while the caller has not given up: so
// a caller that gives up knows whether anything can still come of it.
const (
	stageWaiting int32 = iota
	stageHanded
	stageAbandoned
)

// proposals are those of this member.
type proposals struct {
	waiting []*proposal
	// handed are those that this leader appended, in the order of their entries. Terms never fall along it, and
	// within a term indexes rise.
	handed []*proposal
	bytes  int // of waiting
	// overdue says that waiting has waited for a tick: the disk stalls, and the followers need not.
	overdue bool
	// uncounted says that a message may have appended entries since the last Ready.
	uncounted bool

	dropped    uint64 // and not told yet
	dropReason string // of the last one
}

// propose takes proposals that gathered.
func (e *engine) propose(batch []*proposal) {
	e.proposals.waiting = append(e.proposals.waiting, batch...)
	for _, x := range batch {
		e.proposals.bytes += x.size
	}
}

// mayCount reports whether e.last is the last index of the log of this leader.
func (e *engine) mayCount(st *raft.BasicStatus) bool {
	if e.role.RaftState != raft.StateLeader || st.Term != e.term || len(e.conf.VotersOutgoing) > 0 {
		return false
	}
	return !e.proposals.uncounted
}

// proposeNext hands over some of what waits, and reports whether it did.
func (e *engine) proposeNext() bool {
	p := &e.proposals
	if len(p.waiting) == 0 {
		return false
	}
	st := e.node.BasicStatus()
	switch {
	case st.RaftState != raft.StateLeader:
		return e.proposeElsewhere(&st)
	case e.saves.syncing && !e.proposals.overdue && p.bytes < batchBytes:
		return false // what gathers shares the next sync, here and on the followers
	case e.gather():
		return false
	case !e.mayCount(&st) && e.node.HasReady():
		return false // it says how long the log is
	case st.LeadTransferee != raft.None:
		e.dropWaiting(dropped(DropTransfer, nil))
		return true
	}
	batch, entries := p.claim()
	if len(batch) == 0 {
		return true
	}
	switch err := e.node.Step(pb.Message{Type: pb.MsgProp, From: e.cfg.ID, Entries: entries}); {
	case err == nil:
		for _, x := range batch {
			e.last++
			x.term, x.index = st.Term, e.last
		}
		p.handed = append(p.handed, batch...)
	case errors.Is(err, raft.ErrProposalDropped) && !member(&e.conf, e.cfg.ID):
		e.drop(batch, dropped(DropRemoved, nil))
	case errors.Is(err, raft.ErrProposalDropped):
		e.drop(batch, dropped(DropQuota, nil))
	default:
		e.drop(batch, dropped(DropStopped, err))
	}
	return true
}

// claim takes the next batch out of the queue.
func (p *proposals) claim() ([]*proposal, []pb.Entry) {
	var batch []*proposal
	n, bytes := 0, 0
	for _, x := range p.waiting {
		if n > 0 && bytes+x.size > batchBytes {
			break
		}
		n++
		p.bytes -= x.size
		if x.stage.CompareAndSwap(stageWaiting, stageHanded) {
			bytes += x.size
			batch = append(batch, x)
		}
	}
	clear(p.waiting[:n])
	if p.waiting = p.waiting[n:]; len(p.waiting) == 0 {
		p.waiting = nil
	}
	entries := make([]pb.Entry, len(batch))
	for i, x := range batch {
		entries[i].Data = escape(x.data)
	}
	return batch, entries
}

// proposeElsewhere is what a member does that does not lead.
func (e *engine) proposeElsewhere(st *raft.BasicStatus) bool {
	switch {
	case st.Lead == raft.None:
		e.dropWaiting(dropped(DropNoLeader, &NotLeaderError{Term: st.Term}))
	case e.cfg.Forward:
		e.forward(st)
	default:
		e.dropWaiting(&NotLeaderError{Leader: st.Lead, Term: st.Term})
	}
	return true
}

func (e *engine) dropWaiting(err error) {
	batch := e.proposals.waiting
	e.proposals.waiting, e.proposals.bytes = nil, 0
	e.drop(batch, err)
}

// drop tells proposals that they were not made.
func (e *engine) drop(batch []*proposal, err error) {
	n := uint64(0)
	for _, x := range batch {
		if x.stage.CompareAndSwap(stageWaiting, stageHanded) || x.stage.Load() == stageHanded {
			n++
			x.settle(Result{}, err)
		}
	}
	if n > 0 {
		e.counters.dropped.Add(n)
		e.proposals.dropped += n
		e.proposals.dropReason = err.Error()
	}
}

// tellDropped emits one event for what was dropped in an election timeout.
func (e *engine) tellDropped() {
	if p := &e.proposals; p.dropped > 0 && e.ticks%uint64(e.cfg.ElectionTicks) == 0 {
		e.emit(Event{Kind: EventDropped, Count: p.dropped, Reason: p.dropReason})
		p.dropped = 0
	}
}

// resolve answers the proposal whose entry was applied, and those whose entries can no longer come: a leader
// of a later term holds all that survives of earlier ones before its own first entry.
func (p *proposals) resolve(e *engine, entry *pb.Entry, result any) {
	for len(p.handed) > 0 {
		x := p.handed[0]
		switch {
		case x.term == entry.Term && x.index == entry.Index:
			e.counters.applied.Add(1)
			x.settle(Result{Index: x.index, Term: x.term, Value: result}, nil)
		case x.term < entry.Term || x.index < entry.Index:
			e.counters.lost.Add(1)
			x.settle(Result{}, ErrLost)
		default:
			return
		}
		p.pop()
	}
}

func (p *proposals) pop() {
	p.handed[0] = nil
	if p.handed = p.handed[1:]; len(p.handed) == 0 {
		p.handed = nil
	}
}

// skipOver gives up what a snapshot at index may or may not hold.
func (e *engine) skipOver(index uint64) {
	unknown := &UnknownError{Cause: errSkippedOver}
	p := &e.proposals
	for len(p.handed) > 0 && p.handed[0].index <= index {
		e.counters.unknown.Add(1)
		p.handed[0].settle(Result{}, unknown)
		p.pop()
	}
	e.forwarded.giveUp(e, unknown)
	e.changes.skipOver(index, unknown)
}

// sweepProposals forgets proposals whose callers are gone, so that a group without a leader does not gather
// them.
func (e *engine) sweepProposals() {
	p := &e.proposals
	p.overdue = len(p.waiting) > 0
	kept := p.waiting[:0]
	for _, x := range p.waiting {
		if x.stage.Load() != stageAbandoned {
			kept = append(kept, x)
		} else {
			p.bytes -= x.size
		}
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
}

func (e *engine) abandonProposals(stopped error) {
	p := &e.proposals
	e.drop(p.waiting, dropped(DropStopped, stopped))
	unknown := &UnknownError{Cause: stopped}
	for _, x := range p.handed {
		e.counters.unknown.Add(1)
		x.settle(Result{}, unknown)
	}
	p.waiting, p.handed, p.bytes = nil, nil, 0
	e.forwarded.giveUp(e, unknown)
}

// member reports whether id is in conf.
func member(conf *pb.ConfState, id uint64) bool {
	for _, ids := range [...][]uint64{conf.Voters, conf.Learners, conf.VotersOutgoing, conf.LearnersNext} {
		for _, have := range ids {
			if have == id {
				return true
			}
		}
	}
	return false
}
