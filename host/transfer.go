package host

import (
	"fmt"
	"slices"

	"quorate.example/raft"
)

// transfer is a wish to make a member the leader.
type transfer struct {
	to     uint64
	age    int    // ticks
	term   uint64 // when it was asked
	gone   func() bool
	settle func(error)
}

// transferPatience is for how many election timeouts a transfer is waited for. Package raft gives one up after
// one of them; a target that had to be caught up first may need the next.
const transferPatience = 3

// transferTo asks the leader to hand over.
func (e *engine) transferTo(t *transfer) {
	st := e.node.BasicStatus()
	t.term = st.Term
	switch {
	case st.Lead == t.to:
		t.settle(nil)
	case st.Lead == raft.None:
		t.settle(dropped(DropNoLeader, &NotLeaderError{Term: st.Term}))
	case !slices.Contains(e.conf.Voters, t.to):
		t.settle(fmt.Errorf("%w: member %d is not a voter", ErrTransferFailed, t.to))
	default:
		e.transfers = append(e.transfers, t)
		e.node.TransferLeader(t.to)
		e.emit(Event{Kind: EventTransfer, Member: t.to, Reason: "asked for"})
	}
}

// checkTransfers answers those that are decided.
func (e *engine) checkTransfers() {
	kept := e.transfers[:0]
	for _, t := range e.transfers {
		switch {
		case e.role.Lead == t.to:
			t.settle(nil)
		case e.role.Lead != raft.None && e.term > t.term:
			t.settle(fmt.Errorf("%w: member %d leads term %d", ErrTransferFailed, e.role.Lead, e.term))
		case t.age > transferPatience*e.cfg.ElectionTicks:
			err := fmt.Errorf("%w: member %d did not take over in time", ErrTransferFailed, t.to)
			e.emit(Event{Kind: EventTransfer, Member: t.to, Reason: "given up"})
			t.settle(err)
		case t.gone():
		default:
			kept = append(kept, t)
		}
	}
	clear(e.transfers[len(kept):])
	e.transfers = kept
}

// tickTransfers asks again when package raft has given up.
func (e *engine) tickTransfers() {
	for _, t := range e.transfers {
		if t.age++; t.age%e.cfg.ElectionTicks == 0 && e.node.BasicStatus().LeadTransferee != t.to {
			e.node.TransferLeader(t.to)
		}
	}
	e.checkTransfers()
}

func (e *engine) abandonTransfers(stopped error) {
	for _, t := range e.transfers {
		t.settle(&UnknownError{Cause: stopped})
	}
	e.transfers = nil
	for _, w := range e.watchers {
		w.settle(0, stopped)
	}
	e.watchers = nil
}

// leaderWatcher waits until somebody leads.
type leaderWatcher struct {
	gone   func() bool
	settle func(leader uint64, err error)
}

func (e *engine) awaitLeader(w *leaderWatcher) {
	if e.role.Lead != raft.None {
		w.settle(e.role.Lead, nil)
		return
	}
	e.watchers = slices.DeleteFunc(e.watchers, func(w *leaderWatcher) bool { return w.gone() })
	e.watchers = append(e.watchers, w)
}

func (e *engine) tellWatchers() {
	if e.role.Lead == raft.None {
		return
	}
	for _, w := range e.watchers {
		w.settle(e.role.Lead, nil)
	}
	e.watchers = nil
}
