package raft

import (
	"slices"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// Leadership transfer (thesis 3.10): the leader stops taking proposals, brings the target's log up to
// its own, and tells it to campaign at once.

// onTransfer starts a transfer to the sender.
func (r *raft) onTransfer(m *pb.Message) error {
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
	r.leadership.seldomly().leaseEnded = true
	r.send(pb.Message{To: to, Type: pb.MsgTimeoutNow})
}

func (r *raft) abortTransfer() { r.leadership.transferee = None }

// ---- D20: a leader that is not a voter any more (thesis 4.2.2)

// handover is how far a removed leader is with leaving. It may not leave before a quorum of the new
// configuration knows that its removal is committed: a member that does not know could still need the
// vote of the one that is gone.
type handover struct {
	index uint64   // the removal is at or below this; 0: this leader stays
	read  uint64   // the read number whose heartbeats tell that index is committed; 0: not sent yet
	told  []uint64 // who had index when these heartbeats were sent
}

func (r *raft) startHandingOver() {
	r.leadership.seldomly().handover = handover{index: r.log.committed}
	r.replicateToAll()
	r.goOnHandingOver()
}

// goOnHandingOver takes the next step if it is due. A heartbeat carries the commit index as far as the
// member's log is known to reach, and its answer the read number, which so shows who was told.
func (r *raft) goOnHandingOver() {
	if r.leadership.seldom == nil {
		return
	}
	h := &r.leadership.seldom.handover
	switch {
	case h.index == 0:
	case h.read == 0:
		if !r.peers.CommittedAbove(h.index) {
			return
		}
		peers := r.peers.All()
		for i := range peers {
			if peers[i].Match >= h.index {
				h.told = append(h.told, peers[i].ID)
			}
		}
		reads := &r.leadership.reads
		reads.queue = append(reads.queue, waiting{index: r.log.committed, asker: &asker{}})
		h.read = reads.newest()
		r.heartbeatAll()
	case r.quorumWasTold():
		to := r.mostUpToDate()
		r.logger.info("hands over: it was removed", logMember("to", to))
		r.sendTimeoutNow(to)
		r.becomeFollower(r.term, None)
	}
}

func (r *raft) quorumWasTold() bool {
	h := &r.leadership.seldom.handover
	return r.peers.Quorum(func(p *tracker.Peer) uint64 {
		if p.ReadAck >= h.read && slices.Contains(h.told, p.ID) {
			return 1
		}
		return 0
	}) > 0
}

// mostUpToDate returns the voter whose log reaches furthest.
func (r *raft) mostUpToDate() uint64 {
	var best *tracker.Peer
	peers := r.peers.All()
	for i := range peers {
		p := &peers[i]
		if p.ID != r.id && p.Role.Incoming() && (best == nil || p.Match > best.Match) {
			best = p
		}
	}
	return best.ID
}

// forwardTransfer passes the wish on to the leader.
func (r *raft) forwardTransfer(m *pb.Message) error {
	if r.lead != None {
		m.To = r.lead
		r.send(*m)
	}
	return nil
}
