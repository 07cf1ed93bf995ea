package raft

import (
	"fmt"

	pb "quorate.example/raft/raftpb"
)

// maxForwards is how often a proposal may be passed on from member to member (D11). Each hop after
// the first is counted in RejectHint, which nobody reads in a proposal.
const maxForwards = 8

// mayPropose says why a leader takes no proposals now.
func (r *raft) mayPropose() error {
	switch {
	case r.peers.Get(r.id) == nil:
		return ErrProposalDropped // removed, and leads only until it is replaced
	case r.leadership.transferee != None:
		return ErrProposalDropped // or the target would never catch up
	}
	return nil
}

// propose appends one entry with data to the leader's log: onProposal without a message.
func (r *raft) propose(data []byte) error {
	if err := r.mayPropose(); err != nil {
		return err
	}
	if !r.appendEntries([]pb.Entry{{Data: data}}) {
		return ErrProposalDropped
	}
	r.replicateToAll()
	return nil
}

// onProposal appends what is proposed to the leader.
func (r *raft) onProposal(m *pb.Message) error {
	if len(m.Entries) == 0 {
		return badMessage(m, "Entries", "empty", "at least one")
	}
	if err := r.mayPropose(); err != nil {
		return err
	}
	ents, confIndex, refusal, err := r.gateConfChanges(m)
	if err != nil {
		return err
	}
	if !r.deviates(d6QuotaBeforeGate) {
		r.leadership.confIndex = confIndex
	}
	if !r.appendEntries(ents) {
		return ErrProposalDropped
	}
	r.leadership.confIndex = confIndex
	r.replicateToAll()
	if len(ents) == 1 && r.deviates(d2TypedConfRefusal) {
		return refusal
	}
	return nil
}

// gateConfChanges returns m's entries with each configuration change that may not be appended now
// replaced by an empty entry, the index of the last one that may, and why one may not. m's own
// entries stay as they are.
func (r *raft) gateConfChanges(m *pb.Message) (ents []pb.Entry, confIndex uint64, refusal, err error) {
	ents, confIndex = m.Entries, r.leadership.confIndex
	for i := range m.Entries {
		e := &m.Entries[i]
		if !isConfChange(e) {
			continue
		}
		cc, err := decodeConfChange(e)
		if err != nil {
			return nil, 0, nil, badMessage(m, fmt.Sprintf("Entries[%d].Data", i), err, "a "+e.Type.String())
		}
		if err := r.checkConfChange(m, i, cc); err != nil {
			return nil, 0, nil, err
		}
		why := r.refuseConfChange(cc, confIndex)
		if why == nil || r.cfg.DisableConfChangeValidation {
			confIndex = r.log.last() + uint64(i) + 1
			continue
		}
		r.logger.info("refuses configuration change", logText("change", pb.ConfChangesToString(cc.Changes)), logErr(why))
		if refusal == nil {
			ents = append([]pb.Entry(nil), m.Entries...)
		}
		refusal = why
		ents[i] = pb.Entry{Type: pb.EntryNormal}
	}
	return ents, confIndex, refusal, nil
}

// appendEntries adds entries of this term to the leader's log, unless they are over the quota for
// what is not committed. One that is alone is always taken, and so is one without payload: the
// leader's own must never be refused.
func (r *raft) appendEntries(ents []pb.Entry) bool {
	if limit := r.cfg.MaxUncommittedEntriesSize; limit != noLimit {
		size := payloadsSize(ents)
		pending := r.leadership.uncommitted
		if pending > 0 && size > 0 && pending+size > limit {
			return false
		}
		r.leadership.uncommitted = pending + size
	}
	r.log.append(r.term, ents)
	// The leader acknowledges to itself like everybody else: when it is durable.
	r.acknowledge(r.id, r.log.last())
	return true
}

// inheritedQuota returns the payload of what a new leader has in its log and not yet applied: it is
// released when it is applied, like the leader's own (D5).
func (r *raft) inheritedQuota() uint64 {
	limit := r.cfg.MaxUncommittedEntriesSize
	if limit == noLimit || !r.deviates(d5InheritedQuota) {
		return 0
	}
	var size uint64
	for i := r.log.apply.applied; i < r.log.last() && size <= limit; {
		ents, err := r.log.after(i, limit)
		if err != nil {
			r.log.fail("reading entries that are not applied", err)
			break
		}
		size += payloadsSize(ents)
		i += uint64(len(ents))
	}
	return size
}

// dropProposal is what a candidate does: there is nobody to forward to.
func (r *raft) dropProposal(*pb.Message) error { return ErrProposalDropped }

// forwardProposal passes a follower's proposals on to the leader (thesis 6.2).
func (r *raft) forwardProposal(m *pb.Message) error {
	switch {
	case len(m.Entries) == 0:
		return badMessage(m, "Entries", "empty", "at least one")
	case r.lead == None || r.cfg.DisableProposalForwarding:
		return ErrProposalDropped
	case r.loops(m):
		return ErrProposalDropped
	}
	m.To = r.lead
	r.send(*m)
	return nil
}

// loops reports whether a forwarded proposal is on a way without an end, and counts its hops.
func (r *raft) loops(m *pb.Message) bool {
	if !r.deviates(d11NoForwardingLoop) || m.From == None || m.From == r.id {
		return false
	}
	m.RejectHint++
	return m.From == r.lead || m.RejectHint > maxForwards
}
