package rafttest

import (
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Oracle names a rule that runs are checked against.
type Oracle string

// The oracles. docs/simulator.md has a line on each.
const (
	OracleElection     Oracle = "election safety"
	OracleAppendOnly   Oracle = "leader append-only"
	OracleLogMatching  Oracle = "log matching"
	OracleCompleteness Oracle = "leader completeness"
	OracleStateMachine Oracle = "state machine safety"
	OracleCommit       Oracle = "commit"
	OracleHardState    Oracle = "hard state"
	OracleDurability   Oracle = "durability"
	OracleConfChange   Oracle = "configuration"
	OracleReadIndex    Oracle = "read index"
	OracleLinearizable Oracle = "linearizability"
	OracleLiveness     Oracle = "liveness"
	OracleStorage      Oracle = "storage"
	OracleMessage      Oracle = "message"
	OraclePanic        Oracle = "panic"
)

// oracle knows what happened in the whole group.
type oracle struct {
	w         *world
	leaders   map[uint64]uint64 // who leads a term
	campaigns map[uint64]bool   // the terms in which somebody campaigned
	committed uint64            // the highest index that a leader called committed
	log       shadowLog         // the committed entries
	commits   []commitMark      // in rising order
	entries   registry
	confs     map[uint64]string // the configuration that an index leads to
	believes  bool              // disks may lie, so that nothing is known of what is safe
}

// commitMark is an index in a term: how far a leader has committed, or a follower
// has acknowledged.
type commitMark struct{ term, index uint64 }

// seen is what a member looked like when it was last checked.
type seen struct {
	Term, Vote, Commit uint64
	role               raft.StateType
	ledReady           uint64 // the term it led when it last gave a Ready
	completeTo         uint64 // what was committed when it was elected; 0: checked
	readyCommit        uint64 // the commit index of its last Ready
	saved              pb.HardState
	acked              commitMark // the highest acknowledgement in a term
}

func (o *oracle) init(w *world) {
	o.w = w
	o.leaders, o.confs = map[uint64]uint64{}, map[uint64]string{}
	o.campaigns = map[uint64]bool{}
	o.believes = w.profile.LyingSyncs > 0
}

// bootstrap says what the group begins with.
func (o *oracle) bootstrap(meta pb.SnapshotMetadata) {
	o.committed = meta.Index
	o.log.reset(meta.Index, meta.Term)
}

// started checks a new process against its disk.
func (o *oracle) started(m *Member) {
	disk := &m.disk.safe
	m.log.reset(disk.base.Index, disk.base.Term)
	for i := range disk.log {
		e := &disk.log[i]
		m.log.put(e, hashEntry(e))
	}
	if at := disk.snap.Metadata.Index; at > m.log.last() {
		m.log.reset(at, disk.snap.Metadata.Term)
	}
	if last, err := m.store.LastIndex(); err != nil || last != m.log.last() {
		o.w.fail(OracleStorage, m, "storage opened with last index %d (error %v), what was saved ends at %d",
			last, err, m.log.last())
	} else if term, err := m.store.Term(last); err != nil || term != m.log.term(last) {
		o.w.fail(OracleStorage, m, "storage opened with term %d (error %v) at %d, what was saved has %d",
			term, err, last, m.log.term(last))
	}
	st := m.node.BasicStatus()
	if st.Term != disk.hard.Term || st.Vote != disk.hard.Vote {
		o.w.fail(OracleHardState, m, "restarted in term %d with vote %d, its disk has %d and %d",
			st.Term, st.Vote, disk.hard.Term, disk.hard.Vote)
	}
	m.seen = seen{
		Term: st.Term, Vote: st.Vote, Commit: st.Commit, role: st.RaftState, saved: disk.hard,
		readyCommit: st.Commit,
	}
}

// check looks at a member after something happened to it.
func (o *oracle) check(m *Member) {
	st := m.node.BasicStatus()
	was := &m.seen
	if st.Term == was.Term && st.Vote == was.Vote && st.Commit == was.Commit && st.RaftState == was.role {
		return
	}
	led := was.role == raft.StateLeader && st.Term == was.Term
	o.checkHardState(m, &st)
	o.w.hash = hashMix(o.w.hash, st.Term<<32^st.Commit<<8^uint64(st.RaftState))
	elected := st.RaftState == raft.StateLeader && (was.role != raft.StateLeader || st.Term != was.Term)
	if st.RaftState != was.role || st.Term != was.Term {
		o.w.trace.role(o.w, m, &st)
	}
	if st.RaftState == raft.StateCandidate || elected {
		o.campaigns[st.Term] = true
	} else if st.Term > was.Term && !o.campaigns[st.Term] {
		o.w.fail(OracleHardState, m, "term %d is reached, in which nobody campaigned", st.Term)
	}
	advanced := st.Commit > was.Commit
	was.Term, was.Vote, was.role = st.Term, st.Vote, st.RaftState
	if elected {
		o.elected(m)
	}
	if advanced {
		was.Commit = st.Commit
		o.w.trace.commit(o.w, m)
		o.advanced(m, led || st.RaftState == raft.StateLeader)
	}
}

func (o *oracle) checkHardState(m *Member, st *raft.BasicStatus) {
	was := &m.seen
	switch {
	case st.Term < was.Term:
		o.w.fail(OracleHardState, m, "term fell from %d to %d", was.Term, st.Term)
	case st.Term == was.Term && was.Vote != 0 && st.Vote != was.Vote:
		o.w.fail(OracleHardState, m, "vote of term %d changed from %d to %d",
			st.Term, was.Vote, st.Vote)
	case st.Commit < was.Commit:
		o.w.fail(OracleHardState, m, "commit fell from %d to %d", was.Commit, st.Commit)
	}
}

// elected notes a new leader.
func (o *oracle) elected(m *Member) {
	term := m.seen.Term
	other, taken := o.leaders[term]
	if taken && other != m.id {
		o.w.fail(OracleElection, m, "members %d and %d both lead term %d", other, m.id, term)
	}
	if !taken {
		o.w.stats.Leaders++
	}
	o.leaders[term] = m.id
	m.seen.completeTo = o.committedBefore(term)
}

// committedBefore returns how far leaders of terms below term have committed.
func (o *oracle) committedBefore(term uint64) uint64 {
	for i := len(o.commits) - 1; i >= 0; i-- {
		if o.commits[i].term < term {
			return o.commits[i].index
		}
	}
	return 0
}

// advanced checks a commit index that grew.
func (o *oracle) advanced(m *Member, leads bool) {
	if m.seen.Commit <= o.committed {
		return
	}
	if !leads {
		o.w.fail(OracleCommit, m, "commit is %d, no leader has committed more than %d",
			m.seen.Commit, o.committed)
		return
	}
	index, term := m.seen.Commit, m.seen.Term
	if m.log.last() < index {
		o.w.fail(OracleCommit, m, "leader committed %d and has given its host %d at most",
			index, m.log.last())
		return
	}
	if got := m.log.term(index); got != term {
		o.w.fail(OracleCommit, m, "leader of term %d committed entry %d of term %d by counting",
			term, index, got)
		return
	}
	if !o.believes && !(o.safeAtQuorum(m.conf.Voters, index, term) &&
		o.safeAtQuorum(m.conf.VotersOutgoing, index, term)) {
		o.w.fail(OracleCommit, m, "leader committed %d, which is not on the disks of a quorum of %s",
			index, confText(&m.conf))
		return
	}
	for o.committed < index {
		o.committed++
		o.log.push(*m.log.at(o.committed))
	}
	o.commits = append(o.commits, commitMark{term, index})
	o.checkOtherLeaders(m)
}

// safeAtQuorum reports whether most of ids have an entry on disk.
func (o *oracle) safeAtQuorum(ids []uint64, index, term uint64) bool {
	n := 0
	for _, id := range ids {
		if m := o.w.members[id]; m != nil && m.disk.safe.has(index, term) {
			n++
		}
	}
	return n > len(ids)/2 || len(ids) == 0
}

// checkOtherLeaders asks the leaders of later terms for what m committed.
func (o *oracle) checkOtherLeaders(m *Member) {
	for _, other := range o.w.members {
		if other == nil || other == m || !other.running() || !other.leads() ||
			other.seen.Term <= m.seen.Term || other.seen.completeTo > 0 {
			continue
		}
		o.checkComplete(other, o.committed)
	}
}

func (o *oracle) checkComplete(m *Member, to uint64) {
	if m.log.last() < to || m.log.term(to) != o.log.term(to) {
		o.w.fail(OracleCompleteness, m, "leader of term %d lacks committed entry %d of term %d",
			m.seen.Term, to, o.log.term(to))
	}
}

// ready checks what a member hands to its host.
func (o *oracle) ready(m *Member, rd *raft.Ready) {
	if !raft.IsEmptySnap(rd.Snapshot) {
		m.log.reset(rd.Snapshot.Metadata.Index, rd.Snapshot.Metadata.Term)
	}
	leads := m.leads()
	if leads && m.seen.ledReady == m.seen.Term && len(rd.Entries) > 0 &&
		rd.Entries[0].Index != m.log.last()+1 {
		o.w.fail(OracleAppendOnly, m, "leader of term %d writes entry %d, its log ends at %d",
			m.seen.Term, rd.Entries[0].Index, m.log.last())
	}
	for i := range rd.Entries {
		o.appended(m, &rd.Entries[i], leads)
	}
	if acked := m.seen.acked; acked.term == m.seen.Term && m.log.last() < acked.index {
		o.w.fail(OracleDurability, m, "log ends at %d, %d was acknowledged in this term",
			m.log.last(), acked.index)
	}
	m.seen.ledReady, m.seen.readyCommit = 0, m.seen.Commit
	if leads {
		m.seen.ledReady = m.seen.Term
		if to := m.seen.completeTo; to > 0 {
			m.seen.completeTo = 0
			o.checkComplete(m, to)
		}
	}
	hs := &rd.HardState
	if raft.IsEmptyHardState(*hs) {
		return
	}
	if !rd.MustSync && (hs.Term != m.seen.saved.Term || hs.Vote != m.seen.saved.Vote) {
		o.w.fail(OracleDurability, m, "MustSync is false for term %d and vote %d after %d and %d",
			hs.Term, hs.Vote, m.seen.saved.Term, m.seen.saved.Vote)
	}
	m.seen.saved = *hs
}

// appended checks one entry that enters a member's log.
func (o *oracle) appended(m *Member, e *pb.Entry, leads bool) {
	if e.Index == 0 || e.Index > m.log.last()+1 || e.Index <= m.log.base {
		o.w.fail(OracleLogMatching, m, "entry %d written to a log from %d to %d",
			e.Index, m.log.base, m.log.last())
		return
	}
	if e.Index <= m.seen.readyCommit && m.log.last() >= e.Index && m.log.term(e.Index) != e.Term {
		o.w.fail(OracleStateMachine, m, "committed entry %d of term %d is overwritten by one of term %d",
			e.Index, m.log.term(e.Index), e.Term)
	}
	hash := hashEntry(e)
	if problem := o.entries.add(e, hash, m.log.term(e.Index-1)); problem != "" {
		o.w.fail(OracleLogMatching, m, "entry %d of term %d: %s", e.Index, e.Term, problem)
	}
	if leads && e.Term == m.seen.Term && e.Type != pb.EntryNormal {
		o.checkConfGate(m, e)
	}
	m.log.put(e, hash)
}

// checkConfGate checks that a leader appends a configuration change only when
// it has applied those before it.
func (o *oracle) checkConfGate(m *Member, e *pb.Entry) {
	if m.cfg.DisableConfChangeValidation {
		return
	}
	for i := max(m.applied, m.log.base) + 1; i < e.Index; i++ {
		if m.log.at(i).conf {
			o.w.fail(OracleConfChange, m, "change at %d proposed while the one at %d is not applied",
				e.Index, i)
			return
		}
	}
}

// apply checks an entry that goes into a state machine.
func (o *oracle) apply(m *Member, e *pb.Entry) {
	switch {
	case e.Index != m.applied+1:
		o.w.fail(OracleStateMachine, m, "entry %d applied after %d", e.Index, m.applied)
	case e.Index > o.committed:
		o.w.fail(OracleStateMachine, m, "entry %d applied, committed is %d", e.Index, o.committed)
	case m.cfg.AsyncStorageWrites && !o.believes && !m.disk.safe.has(e.Index, e.Term):
		o.w.fail(OracleDurability, m, "entry %d handed out for application before it is on disk", e.Index)
	case o.log.at(e.Index).term != e.Term || o.log.at(e.Index).hash != hashEntry(e):
		o.w.fail(OracleStateMachine, m, "entry %d of term %d applied, committed is another of term %d",
			e.Index, e.Term, o.log.term(e.Index))
	}
}

// configured checks that a configuration change leads to the same
// configuration on all members.
func (o *oracle) configured(m *Member, index uint64) {
	got := confText(&m.conf)
	want, known := o.confs[index]
	if !known {
		o.confs[index] = got
	} else if got != want {
		o.w.fail(OracleConfChange, m, "change at %d leads to %s here and to %s elsewhere", index, got, want)
	}
}

// installed checks a snapshot that replaces a state machine.
func (o *oracle) installed(m *Member, meta *pb.SnapshotMetadata) {
	if meta.Index > o.committed || o.log.term(meta.Index) != meta.Term {
		o.w.fail(OracleStateMachine, m, "snapshot at %d of term %d is not of the committed log",
			meta.Index, meta.Term)
	}
}

// sent checks that what a message promises is safe.
func (o *oracle) sent(m *Member, msg *pb.Message) {
	if msg.Reject || o.believes {
		return
	}
	disk := &m.disk.safe
	switch msg.Type {
	case pb.MsgVoteResp:
		if disk.hard.Term < msg.Term || disk.hard.Term == msg.Term && disk.hard.Vote != msg.To {
			o.w.fail(OracleDurability, m, "vote for %d in term %d leaves, the disk has term %d and vote %d",
				msg.To, msg.Term, disk.hard.Term, disk.hard.Vote)
		}
	case pb.MsgAppResp:
		if disk.hard.Term < msg.Term {
			o.w.fail(OracleDurability, m, "acknowledgement in term %d leaves, the disk has term %d",
				msg.Term, disk.hard.Term)
		}
		if msg.Term == m.seen.Term && (m.seen.acked.term != msg.Term || m.seen.acked.index < msg.Index) {
			m.seen.acked = commitMark{msg.Term, msg.Index}
		}
		if disk.hard.Term == msg.Term && !o.holds(m, msg) {
			o.w.fail(OracleDurability, m, "acknowledgement of %d leaves, the disk has %d",
				msg.Index, disk.lastIndex())
		}
	}
}

// holds reports whether the disk of m has the entry that msg acknowledges. Which
// one that is can be told while the log is still the one that was acknowledged.
func (o *oracle) holds(m *Member, msg *pb.Message) bool {
	disk := &m.disk.safe
	if disk.lastIndex() < msg.Index {
		return false
	}
	if m.seen.Term != msg.Term || msg.Index <= m.log.base || msg.Index > m.log.last() {
		return true
	}
	return disk.has(msg.Index, m.log.term(msg.Index))
}

// read checks the index that a read is given.
func (o *oracle) read(m *Member, call *clientCall, index uint64) {
	if index < call.committed {
		o.w.fail(OracleReadIndex, m, "read gets index %d, %d was committed when it was asked",
			index, call.committed)
	}
}
