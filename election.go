package raft

import (
	"math"

	"quorate.example/raft/quorum"
	pb "quorate.example/raft/raftpb"
)

// campaignKind is what a campaign goes for.
type campaignKind int

const (
	forPreVote  campaignKind = iota // thesis 9.6
	forVote                         // thesis 3.4
	forTransfer                     // thesis 3.10: at the leader's wish, so its lease does not count
)

// campaignTransfer marks the vote requests of a transfer.
const campaignTransfer CampaignType = "CampaignTransfer"

// mayLead reports whether this member could lead if elected: it is a voter, and no snapshot is on its
// way to disk that would leave it without a log to replicate.
func (r *raft) mayLead() bool {
	role := r.peers.Role(r.id)
	return role != 0 && !role.Learner() && r.log.tail.snapshot == nil && !r.lostEntries()
}

// lostEntries reports whether this member knows that its log lacks entries that it once had.
func (r *raft) lostEntries() bool { return r.rare != nil && r.log.last() < r.rare.lostUpTo }

// mayCampaign reports whether to campaign now. A committed configuration change that is not applied
// yet could make this member's idea of a quorum one that no longer is (thesis 4.1).
func (r *raft) mayCampaign() bool {
	if r.state == StateLeader {
		return false
	}
	if !r.mayLead() {
		r.logger.warn("does not campaign: it may not lead")
		return false
	}
	if r.term >= math.MaxUint64-2 {
		r.logger.error("does not campaign: there is no higher term")
		return false
	}
	if r.log.hasConfChange(r.log.apply.applied, r.log.committed, r.cfg.MaxCommittedSizePerReady) {
		r.logger.warn("does not campaign: a configuration change is not applied")
		return false
	}
	return true
}

func (r *raft) onHup(m *pb.Message) error {
	if !r.mayCampaign() {
		return nil
	}
	if m.From != r.id && r.leaseReads() && r.inLease() {
		r.logger.warn("does not campaign at the host's wish: a lease for reads rests on its silence")
		return nil
	}
	if r.cfg.PreVote {
		r.campaign(forPreVote)
	} else {
		r.campaign(forVote)
	}
	return nil
}

// onTimeoutNow campaigns at once, since the leader wants this member to take over.
func (r *raft) onTimeoutNow(*pb.Message) error {
	if r.mayCampaign() {
		r.campaign(forTransfer)
	}
	return nil
}

// campaign asks all voters, itself first of all: its own vote counts like any other, when it is
// durable.
func (r *raft) campaign(kind campaignKind) {
	request, answer := pb.MsgVote, pb.MsgVoteResp
	if kind == forPreVote {
		request, answer = pb.MsgPreVote, pb.MsgPreVoteResp
		r.becomePreCandidate()
	} else {
		r.becomeCandidate()
	}
	term := r.term
	if kind == forPreVote {
		term++
	}
	var context []byte
	if kind == forTransfer {
		context = []byte(campaignTransfer)
	}
	last := r.log.lastID()
	known := r.committedHint()
	for i := 0; i < r.peers.Len(); i++ {
		switch p := r.peers.Member(i); {
		case !p.Role.Voter():
		case p.ID == r.id:
			r.send(pb.Message{To: p.ID, Type: answer, Term: term})
		default:
			r.send(pb.Message{To: p.ID, Type: request, Term: term,
				Index: last.index, LogTerm: last.term, Context: context,
				Commit: known.index, RejectHint: known.term})
		}
	}
}

// committedHint is what a vote request or a refusal tells of the commit index (D19). In a joint
// configuration those who could win may not know that it is committed, and so not that they may lead,
// while those who know cannot win; nobody would ever tell them. That an entry is committed is true for
// ever, so it may travel with any message.
func (r *raft) committedHint() entryID {
	id := entryID{index: r.log.committed}
	if id.index == 0 || !r.deviates(d19VotesTellCommit) {
		return entryID{}
	}
	var err error
	if id.term, err = r.log.term(id.index); err != nil {
		return entryID{}
	}
	return id
}

// learnCommit commits what m tells to be committed, if it is in this log, and reports whether there is
// a configuration change in it.
func (r *raft) learnCommit(m *pb.Message) (confChange bool) {
	id := entryID{term: m.RejectHint, index: m.Commit}
	before := r.log.committed
	if id.term == 0 || id.index <= before || r.state == StateLeader || !r.deviates(d19VotesTellCommit) ||
		!r.log.matches(id) {
		return false
	}
	r.log.commitTo(id.index)
	return r.log.hasConfChange(before, id.index, r.cfg.MaxCommittedSizePerReady)
}

// inLease reports whether this member hears from a leader that checks its quorum: as long as it does,
// it takes no part in elections (thesis 4.2.3, 6.2).
func (r *raft) inLease() bool {
	if r.rare != nil && r.rare.keepsLease > 0 {
		return true
	}
	return r.cfg.CheckQuorum && r.lead != None && r.clock.sinceContact < r.cfg.ElectionTick
}

// refusesInLease reports whether a vote request is to be ignored for the leader's sake.
func (r *raft) refusesInLease(m *pb.Message) bool {
	if !r.inLease() || string(m.Context) == string(campaignTransfer) {
		return false
	}
	// A leader that asks for votes does not lead any more, and its lease protects nobody.
	return !(r.deviates(d12OwnLeaderMayAsk) && m.From == r.lead && r.state == StateFollower)
}

// onVoteRequest grants or refuses a vote or a pre-vote. Learners answer too: one that was promoted
// may not know it yet, and its vote be needed.
func (r *raft) onVoteRequest(m *pb.Message) error {
	answer := pb.MsgVoteResp
	if m.Type == pb.MsgPreVote {
		answer = pb.MsgPreVoteResp
	}
	if !r.mayVoteFor(m) || !r.log.upToDate(entryID{term: m.LogTerm, index: m.Index}) {
		r.logger.info("refuses", logText("type", m.Type.String()), logMember("to", m.From), logUint("term", m.Term))
		known := r.committedHint()
		r.send(pb.Message{To: m.From, Type: answer, Term: r.term, Reject: true,
			Commit: known.index, RejectHint: known.term})
		r.learnCommit(m)
		return nil
	}
	r.logger.info("grants", logText("type", m.Type.String()), logMember("to", m.From), logUint("term", m.Term))
	// The term of a grant is the request's: the asker of a pre-vote is one term ahead of us.
	r.send(pb.Message{To: m.From, Type: answer, Term: m.Term})
	if m.Type == pb.MsgVote {
		r.clock.sinceContact = 0
		r.vote = m.From
	}
	return nil
}

// mayVoteFor reports whether the vote of m's term is free for m's sender (thesis 3.4): one vote a
// term, none to others while a leader is known. A pre-vote for a later term binds nobody.
func (r *raft) mayVoteFor(m *pb.Message) bool {
	switch {
	case r.lostEntries():
		return false
	case r.vote == m.From:
		return true
	case r.vote == None && r.lead == None:
		return true
	}
	return m.Type == pb.MsgPreVote && m.Term > r.term
}

// onBallot counts an answer to this campaign.
func (r *raft) onBallot(m *pb.Message) error {
	if m.Reject && r.learnCommit(m) {
		// Whoever this member asked may not be the ones to ask any more.
		r.becomeFollower(r.term, None)
		return nil
	}
	r.peers.RecordBallot(m.From, !m.Reject)
	_, _, result := r.peers.Tally()
	switch {
	case result == quorum.VoteLost:
		r.becomeFollower(r.term, None)
	case result != quorum.VoteWon:
	case r.state == StatePreCandidate:
		r.campaign(forVote)
	default:
		r.becomeLeader()
		r.replicateToAll()
	}
	return nil
}

// candidateMeetsLeader ends a campaign: somebody leads this term already.
func (r *raft) candidateMeetsLeader(m *pb.Message) error {
	r.becomeFollower(m.Term, m.From)
	return r.asFollower(m)
}

// onForgetLeader makes a follower forget whom it follows, and so free to vote. With lease reads it
// must not: the leader counts on this member's silence.
func (r *raft) onForgetLeader(*pb.Message) error {
	if r.cfg.ReadOnlyOption != ReadOnlyLeaseBased {
		r.lead = None
	}
	return nil
}

// onCheckQuorum steps down when no quorum was heard from since the last check (thesis 6.2).
func (r *raft) onCheckQuorum(*pb.Message) error {
	if !r.peers.QuorumActive() {
		r.logger.warn("steps down: no quorum was active", logUint("term", r.term))
		r.becomeFollower(r.term, None)
		return nil
	}
	peers := r.peers.All()
	for i := range peers {
		if p := &peers[i]; p.ID != r.id {
			p.RecentActive = false
		}
	}
	return nil
}
