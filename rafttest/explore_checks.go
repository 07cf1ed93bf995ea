package rafttest

import (
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// What a single member must keep to. It is checked once for each step of a member, in whatever schedule
// that is; what concerns several is noted for explore_oracle.go.

// note is something that one member did and that concerns the group.
type note struct {
	kind  noteKind
	term  uint64 // of the leader; the number of the read
	index uint64 // that is committed; that the read got
	log   logID  // of the leader; what is applied
	safe  logID  // what is on the leader's disk
	conf  confID // under which the leader commits
	leads bool
}

type noteKind uint8

const (
	noteElected noteKind = iota
	noteCommitted
	noteApplied
	noteRead
)

// note remembers what the member looks like now.
func (p *Process) note(st *raft.BasicStatus) {
	p.term, p.vote, p.commit, p.role = st.Term, st.Vote, st.Commit, st.RaftState
	p.leadsFor = st.LeadTransferee
}

// check looks at the member after each call of its RawNode.
func (p *Process) check() {
	st := p.node.BasicStatus()
	wasTerm, wasRole, wasCommit := p.term, p.role, p.commit
	switch {
	case st.Term < p.term:
		p.fail(OracleHardState, "term fell from %d to %d", p.term, st.Term)
	case st.Term == p.term && p.vote != 0 && st.Vote != p.vote:
		p.fail(OracleHardState, "vote of term %d changed from %d to %d", st.Term, p.vote, st.Vote)
	case st.Commit < p.commit:
		p.fail(OracleHardState, "commit fell from %d to %d", p.commit, st.Commit)
	}
	p.note(&st)
	leads := st.RaftState == raft.StateLeader
	led := wasRole == raft.StateLeader && st.Term == wasTerm
	if leads && !led {
		p.did.notes = append(p.did.notes, note{kind: noteElected, term: st.Term, log: p.log})
	}
	if st.Commit > wasCommit {
		p.did.notes = append(p.did.notes, note{kind: noteCommitted, term: st.Term, index: st.Commit,
			log: p.log, safe: p.safe.log, conf: p.conf, leads: led || leads})
	}
}

// checkReady checks what the member hands to its host.
func (p *Process) checkReady(rd *raft.Ready) {
	logs := p.e.logs
	if !raft.IsEmptySnap(rd.Snapshot) {
		snap, known := p.e.snapped(&rd.Snapshot)
		if !known {
			p.fail(OracleStateMachine, "snapshot at %d is of no log", rd.Snapshot.Metadata.Index)
			return
		}
		p.log = snap
	}
	leads := p.role == raft.StateLeader
	if leads && p.ledTerm == p.term && len(rd.Entries) > 0 && rd.Entries[0].Index != logs.last(p.log)+1 {
		p.fail(OracleAppendOnly, "leader of term %d writes entry %d, its log ends at %d",
			p.term, rd.Entries[0].Index, logs.last(p.log))
	}
	for i := range rd.Entries {
		p.checkEntry(&rd.Entries[i], leads)
	}
	p.ledTerm = 0
	if leads {
		p.ledTerm = p.term
	}
	hs := &rd.HardState
	if !raft.IsEmptyHardState(*hs) && !rd.MustSync && !p.e.async &&
		(hs.Term != p.disk.hard.Term || hs.Vote != p.disk.hard.Vote) {
		p.fail(OracleDurability, "MustSync is false for term %d and vote %d after %d and %d",
			hs.Term, hs.Vote, p.disk.hard.Term, p.disk.hard.Vote)
	}
}

// checkEntry checks one entry that enters the member's log.
func (p *Process) checkEntry(e *pb.Entry, leads bool) {
	logs := p.e.logs
	before := noLog
	if e.Index > logs.last(p.disk.snap) {
		before = logs.upTo(p.log, e.Index-1)
	}
	if before == noLog {
		p.fail(OracleLogMatching, "entry %d written to a log from %d to %d",
			e.Index, logs.last(p.disk.snap), logs.last(p.log))
		return
	}
	log := logs.extend(before, e)
	if e.Index <= logs.last(p.applied) && !logs.extends(p.applied, log) {
		p.fail(OracleStateMachine, "applied entry %d is overwritten by one of term %d", e.Index, e.Term)
	}
	p.log = log
	if !leads || e.Term != p.term || e.Type == pb.EntryNormal {
		return
	}
	for id := before; logs.last(id) > logs.last(p.applied); id = logs.nodes[id].before {
		if logs.nodes[id].entry.Type != pb.EntryNormal {
			p.fail(OracleConfChange, "change at %d proposed while the one at %d is not applied", e.Index, logs.last(id))
		}
	}
}

// checkSent checks that what a message promises is safe.
func (p *Process) checkSent(m *pb.Message) {
	if m.Reject {
		return
	}
	logs, safe := p.e.logs, &p.safe
	switch m.Type {
	case pb.MsgVoteResp:
		if safe.hard.Term < m.Term || safe.hard.Term == m.Term && safe.hard.Vote != m.To {
			p.fail(OracleDurability, "vote for %d in term %d leaves, the disk has term %d and vote %d",
				m.To, m.Term, safe.hard.Term, safe.hard.Vote)
		}
	case pb.MsgAppResp:
		if safe.hard.Term < m.Term {
			p.fail(OracleDurability, "acknowledgement in term %d leaves, the disk has term %d", m.Term, safe.hard.Term)
		}
		if safe.hard.Term != m.Term {
			return
		}
		held := logs.upTo(safe.log, m.Index)
		if held == noLog || p.term == m.Term && m.Index <= logs.last(p.log) && held != logs.upTo(p.log, m.Index) {
			p.fail(OracleDurability, "acknowledgement of %d leaves, the disk has %d", m.Index, logs.last(safe.log))
		}
	}
}
