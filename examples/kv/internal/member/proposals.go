package member

import (
	"context"
	"errors"
	"sync/atomic"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/store"
	pb "quorate.example/raft/raftpb"
)

// batchBytes bounds one MsgProp: a follower forwards it as one message.
const batchBytes = 1 << 20

// proposal is one command, or one configuration change, that a caller waits for.
type proposal struct {
	command *store.Command
	change  *pb.ConfChange
	id      store.RequestID
	done    chan outcome
	term    uint64 // in which it was handed over
	stage   atomic.Int32
}

// The stages of a proposal. Only the loop moves it to handed, and only while the caller has not given
// up: so a caller that gives up knows whether anything can still come of it.
const (
	stageWaiting int32 = iota
	stageHanded
	stageAbandoned
)

// outcome is the answer to a proposal.
type outcome struct {
	result store.Result
	err    error
}

// propose passes p to the loop and waits for its outcome.
func (m *Member) propose(ctx context.Context, p *proposal) (store.Result, error) {
	p.done = make(chan outcome, 1)
	select {
	case m.proposals <- p:
	case <-ctx.Done():
		return store.Result{}, ErrNoLeader
	case <-m.stopped:
		return store.Result{}, ErrStopped
	}
	var late error
	select {
	case o := <-p.done:
		m.metrics.Proposals.WithLabelValues(label(o.err)).Inc()
		return o.result, o.err
	case <-ctx.Done():
		late = ErrNoLeader
	case <-m.stopped:
		late = ErrStopped
	}
	if !p.stage.CompareAndSwap(stageWaiting, stageAbandoned) {
		late = ErrUnknown
	}
	m.metrics.Proposals.WithLabelValues(label(late)).Inc()
	return store.Result{}, late
}

func label(err error) string {
	switch {
	case err == nil:
		return "applied"
	case errors.Is(err, ErrNoLeader), errors.Is(err, ErrStopped):
		return "not_proposed"
	case errors.Is(err, ErrUnknown):
		return "unknown"
	}
	return "refused"
}

// pending are the proposals of this member.
type pending struct {
	waiting []*proposal // no leader was given them
	handed  map[store.RequestID]*proposal
}

func (p *pending) add(x *proposal) { p.waiting = append(p.waiting, x) }

// finish answers the proposal, if it is one of this member's.
func (p *pending) finish(o outcome) {
	if x := p.handed[o.result.ID]; x != nil {
		delete(p.handed, o.result.ID)
		x.done <- o
	}
}

// outdated gives up what was handed over in an earlier term than the one that entries are applied
// of now. A leader's log holds all that survives of earlier terms before its own first entry, so what
// has not come by now was lost; or it was late and some leader appended it anew, hence ErrUnknown.
func (p *pending) outdated(term uint64) {
	for id, x := range p.handed {
		if x.term < term {
			delete(p.handed, id)
			x.done <- outcome{err: ErrUnknown}
		}
	}
}

// forgetHanded gives up everything that was handed over.
func (p *pending) forgetHanded() {
	for id, x := range p.handed {
		delete(p.handed, id)
		x.done <- outcome{err: ErrUnknown}
	}
}

// sweep drops the waiting proposals whose callers are gone.
func (p *pending) sweep() {
	kept := p.waiting[:0]
	for _, x := range p.waiting {
		if x.stage.Load() != stageAbandoned {
			kept = append(kept, x)
		}
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
}

// handOverProposals gives Raft what gathered, many commands at a time. Without a leader they go on
// waiting, here and not with the caller, who does not have to try again then.
func (m *Member) handOverProposals() {
	for m.leader != raft.None && len(m.pending.waiting) > 0 {
		batch := m.pending.claim(&m.nextSeq, m.origin)
		if len(batch) == 0 {
			continue // their callers are gone
		}
		err := m.proposeBatch(batch)
		switch {
		case errors.Is(err, raft.ErrProposalDropped):
			m.pending.unclaim(batch)
			return
		case err != nil:
			for _, x := range batch {
				x.done <- outcome{err: err}
			}
		default:
			m.pending.keep(batch, m.node.BasicStatus().Term)
		}
	}
}

// proposeBatch hands over either one configuration change or some commands, all or none of them.
func (m *Member) proposeBatch(batch []*proposal) error {
	if change := batch[0].change; change != nil {
		return m.proposeChange(batch[0].id, *change)
	}
	entries := make([]pb.Entry, len(batch))
	for i, x := range batch {
		x.command.ID = x.id
		entries[i].Data = x.command.Encode()
	}
	return m.node.Step(pb.Message{Type: pb.MsgProp, From: m.cfg.ID, Entries: entries})
}

// claim takes the next batch out of the queue and names its proposals.
func (p *pending) claim(seq *uint64, origin uint64) []*proposal {
	var batch []*proposal
	n, bytes := 0, 0
	for _, x := range p.waiting {
		if n > 0 && (x.change != nil || p.waiting[0].change != nil || bytes >= batchBytes) {
			break
		}
		n++
		if !x.stage.CompareAndSwap(stageWaiting, stageHanded) {
			continue
		}
		*seq++
		x.id = store.RequestID{Origin: origin, Seq: *seq}
		if x.command != nil {
			bytes += len(x.command.Key) + len(x.command.Value)
		}
		batch = append(batch, x)
	}
	p.waiting = p.waiting[n:]
	return batch
}

// unclaim puts a batch back that Raft refused as a whole.
func (p *pending) unclaim(batch []*proposal) {
	for _, x := range batch {
		x.stage.Store(stageWaiting)
	}
	p.waiting = append(batch, p.waiting...)
}

func (p *pending) keep(batch []*proposal, term uint64) {
	for _, x := range batch {
		x.term = term
		p.handed[x.id] = x
	}
}
