package raft

import (
	"fmt"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// raft is the state of one member: Figure 3.1 of the thesis, the membership, and what is on its way
// out. It is changed by step and tick only, and by one goroutine at a time. The fields are in the
// order of how often an idle member needs them.
type raft struct {
	state      StateType
	clock      clock
	rare       *rare       // nil if there is nothing in it
	cfg        *settings   // shared with other members
	leadership *leadership // nil unless this member leads

	out outbox
	log raftLog

	id    uint64
	term  uint64
	vote  uint64
	lead  uint64
	peers tracker.Peers

	logger memberLog
}

// rare is what few members have.
type rare struct {
	hooks  hooks
	halted bool // Storage failed; there is a hook for that

	// D17: the members as of what is applied, while a snapshot that replaces them is not durable yet.
	beforeSnapshot *tracker.Peers

	lostUpTo   uint64 // D4: until the log reaches this index, neither vote nor campaign
	keepsLease int    // D15: ticks for which a restarted member still keeps a lease it may have given
}

// rarely returns the rare part, to put something into it.
func (r *raft) rarely() *rare {
	if r.rare == nil {
		r.rare = new(rare)
	}
	return r.rare
}

// leadership is what only a leader knows. It is dropped whenever the role changes, so nothing leaks
// from one leadership into the next.
type leadership struct {
	transferee  uint64 // who shall take over; None if nobody
	confIndex   uint64 // no further configuration change before this index is applied
	uncommitted uint64 // payload in bytes of what was appended and is not applied
	reads       pendingReads
	ticks       uint64  // of this leadership, from ElectionTick on; see leaseHolds
	next        uint64  // ahead counts who has entry next, the first that is not committed; 0: not counted
	ahead       int     // voters
	seldom      *seldom // nil if there is nothing in it
}

// seldom is what few leaderships have.
type seldom struct {
	early      []waiting // reads that came before an entry of this term was committed
	handover   handover  // D20
	leaseEnded bool      // D8: TimeoutNow was sent, so somebody else may lead at any moment
	floors     []floor   // D3
	snapshots  []snapshotWait
}

// seldomly returns the seldom part, to put something into it.
func (l *leadership) seldomly() *seldom {
	if l.seldom == nil {
		l.seldom = new(seldom)
	}
	return l.seldom
}

// leaving returns how far this leader is with handing over.
func (l *leadership) leaving() handover {
	if l.seldom == nil {
		return handover{}
	}
	return l.seldom.handover
}

// early returns the reads that wait for the first commit of the term.
func (l *leadership) early() []waiting {
	if l.seldom == nil {
		return nil
	}
	return l.seldom.early
}

// start makes r a member with the state that Storage holds.
func (r *raft) start(c *Config) error {
	cfg, err := c.checked()
	if err != nil {
		return err
	}
	hard, conf, err := cfg.Storage.InitialState()
	if err != nil {
		return fmt.Errorf("raft: Storage.InitialState: %w", err)
	}
	log, err := newLog(cfg.Storage, cfg.MaxCommittedSizePerReady)
	if err != nil {
		return err
	}
	peers, err := tracker.RestorePeers(conf, log.last())
	if err != nil {
		return fmt.Errorf("raft: Storage.InitialState: ConfState: %w", err)
	}
	*r = raft{id: cfg.ID, log: log, peers: peers, logger: memberLog{id: cfg.ID, logger: cfg.Logger},
		cfg: cfg.settings()}
	if h := cfg.hooks(); h.any() {
		r.rarely().hooks = h
	}
	if err := r.loadState(hard, cfg.Applied); err != nil {
		return err
	}
	r.becomeFollower(r.term, None)
	if r.leaseReads() && !IsEmptyHardState(hard) {
		// It may have answered a heartbeat just before it went down, and a lease may rest on that.
		r.rarely().keepsLease = r.cfg.ElectionTick
	}
	r.logger.info("starts", logUint("term", r.term), logUint("commit", r.log.committed),
		logUint("applied", r.log.apply.applied), logUint("last", r.log.last()))
	r.logConf("starts with configuration", conf)
	return nil
}

func (r *raft) loadState(hard pb.HardState, applied uint64) error {
	if !IsEmptyHardState(hard) {
		if hard.Commit < r.log.committed || hard.Commit > r.log.last() {
			return fmt.Errorf("raft: Storage.InitialState: HardState.Commit is %d; allowed: %d to %d",
				hard.Commit, r.log.committed, r.log.last())
		}
		r.term, r.vote, r.log.committed = hard.Term, hard.Vote, hard.Commit
	}
	if applied > 0 {
		if applied < r.log.apply.applied || applied > r.log.committed {
			return fmt.Errorf("%w: Applied is %d; allowed: 0, or %d to %d", ErrConfig, applied,
				r.log.apply.applied, r.log.committed)
		}
		r.log.appliedTo(applied, 0)
	}
	return nil
}

func (r *raft) softState() SoftState { return SoftState{Lead: r.lead, RaftState: r.state} }

func (r *raft) hardState() pb.HardState {
	return pb.HardState{Term: r.term, Vote: r.vote, Commit: r.log.committed}
}

// step is the one entrance for messages: first the term gate (thesis 3.3), then the rule for this
// role and type.
func (r *raft) step(m *pb.Message) error {
	if m.Term != 0 && m.Term != r.term && !r.passesGate(m) {
		return nil
	}
	return r.rule(m)
}

// passesGate deals with a message of another term: it adopts a higher one, answers a lower one where
// silence could get somebody stuck, and reports whether the message is to be looked at.
func (r *raft) passesGate(m *pb.Message) bool {
	if m.Term < r.term {
		r.answerStale(m)
		return false
	}
	k := kinds[m.Type]
	switch {
	case k&voteRequest != 0 && r.refusesInLease(m):
		return false
	case m.Type == pb.MsgPreVote, m.Type == pb.MsgPreVoteResp && !m.Reject:
		// The term is one that a campaign would have; nobody has it yet (thesis 9.6).
	case k&fromLeader != 0:
		r.becomeFollower(m.Term, m.From)
	default:
		r.becomeFollower(m.Term, None)
	}
	return true
}

// answerStale answers messages of a lower term. A leader that others left behind must hear of the
// higher term, or with CheckQuorum or PreVote nobody would ever tell it; so must one that asks for a
// pre-vote at a term that it can only learn from us.
func (r *raft) answerStale(m *pb.Message) {
	switch {
	case (m.Type == pb.MsgHeartbeat || m.Type == pb.MsgApp) && (r.cfg.CheckQuorum || r.cfg.PreVote):
		r.acknowledge(m.From, 0)
	case m.Type == pb.MsgPreVote:
		known := r.committedHint()
		r.send(pb.Message{To: m.From, Term: r.term, Type: pb.MsgPreVoteResp, Reject: true,
			Commit: known.index, RejectHint: known.term})
	case m.Type == pb.MsgStorageAppendResp:
		// The entries may have been overwritten since; a snapshot cannot have been.
		r.snapshotDurable(m.Snapshot)
	}
}

// enterTerm is what every change of role begins with.
func (r *raft) enterTerm(term uint64) {
	if term != r.term {
		r.term, r.vote = term, None
	}
	r.lead = None
	r.restartClock()
	r.dropMarks()
	r.peers.Reset(r.id, r.log.last())
	r.leadership = nil
}

func (r *raft) becomeFollower(term, lead uint64) {
	if r.state != StateFollower || term != r.term {
		r.logger.info("becomes follower", logUint("term", term), logMember("leader", lead))
	}
	r.enterTerm(term)
	r.state, r.lead = StateFollower, lead
}

func (r *raft) becomePreCandidate() {
	assert(r.state != StateLeader, "a leader does not campaign")
	r.logger.info("asks for pre-votes", logUint("term", r.term))
	r.peers.ResetBallots()
	r.state, r.lead = StatePreCandidate, None
}

func (r *raft) becomeCandidate() {
	assert(r.state != StateLeader, "a leader does not campaign")
	r.enterTerm(r.term + 1)
	r.logger.info("campaigns", logUint("term", r.term))
	r.state, r.vote = StateCandidate, r.id
}

// becomeLeader takes the leadership and appends the empty entry whose commitment shows what is
// committed of earlier terms (thesis 3.6.2, 6.4).
func (r *raft) becomeLeader() {
	assert(r.state != StateFollower, "a leader was elected")
	inherited := r.inheritedQuota()
	r.enterTerm(r.term)
	r.state, r.lead = StateLeader, r.id
	r.leadership = &leadership{
		uncommitted: inherited,
		ticks:       uint64(r.cfg.ElectionTick), // so that no lease counts from nothing
		// There may be a configuration change in what was inherited; until it is applied, no other.
		confIndex: r.log.last(),
	}
	if self := r.peers.Get(r.id); self != nil {
		self.BecomeReplicate()
		self.RecentActive = true
	}
	r.appendEntries([]pb.Entry{{}})
	r.logger.info("leads", logUint("term", r.term), logUint("from", r.log.last()))
}

func (r *raft) logConf(msg string, conf pb.ConfState) {
	if r.logger.enabled(LogInfo) {
		r.logger.info(msg, logText("configuration", DescribeConfState(conf)))
	}
}

// halted reports whether this member has stopped because Storage failed.
func (r *raft) halted() bool { return r.rare != nil && r.rare.halted }

// checkStorage acts on a failure of Storage, before anything that was decided after it leaves.
func (r *raft) checkStorage() {
	if r.log.failure != nil && !r.halted() {
		r.storageFailed()
	}
}

func (r *raft) storageFailed() {
	if r.rare == nil || r.rare.hooks.storageError == nil {
		panic(r.log.failure.err)
	}
	r.rare.halted = true
	r.logger.error("halts", logErr(r.log.failure.err))
	r.rare.hooks.storageError.StorageFailed(r.log.failure.err)
}
