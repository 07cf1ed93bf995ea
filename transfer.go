package raft

import pb "quorate.example/raft/raftpb"

// Leadership transfer (thesis 3.10): the leader stops taking proposals, brings the target's log up to
// its own, and tells it to campaign at once.

// onTransfer starts a transfer to the sender.
func (r *raft) onTransfer(m pb.Message) error {
	to := r.peers.Get(m.From)
	switch {
	case to == nil || to.IsLearner || to.ID == r.leadership.transferee:
		return nil
	}
	r.abortTransfer()
	if to.ID == r.id {
		return nil
	}
	r.logger.info("hands over the leadership", logMember("to", to.ID))
	r.clock.sinceContact = 0 // it has one election timeout
	r.leadership.transferee = to.ID
	if to.Match == r.log.last() {
		r.sendTimeoutNow(to.ID)
	} else {
		r.replicate(to, true)
	}
	return nil
}

func (r *raft) sendTimeoutNow(to uint64) {
	r.leadership.leaseEnded = true
	r.send(pb.Message{To: to, Type: pb.MsgTimeoutNow})
}

func (r *raft) abortTransfer() { r.leadership.transferee = None }

// forwardTransfer passes the wish on to the leader.
func (r *raft) forwardTransfer(m pb.Message) error {
	if r.lead != None {
		m.To = r.lead
		r.send(m)
	}
	return nil
}
