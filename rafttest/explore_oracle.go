package rafttest

import (
	"encoding/binary"
	"fmt"

	"quorate.example/raft"
)

// ghost is what the oracles remember of a schedule. It is a part of the state: two schedules that lead to
// the same members and messages are one only if this is the same, too.
type ghost struct {
	committed logID        // what leaders have committed
	marks     []commitMark // by whom: terms and indexes, in rising order
	leaders   []uint64     // who led a term, by term
	reads     []uint64     // what was committed when a read was asked for
}

type ghostID uint32

// ghostOf returns the number of g.
func (e *explorer) ghostOf(g *ghost) ghostID {
	text := binary.AppendUvarint(e.text[:0], uint64(g.committed))
	text = binary.AppendUvarint(text, uint64(len(g.marks)))
	for _, m := range g.marks {
		text = binary.AppendUvarint(binary.AppendUvarint(text, m.term), m.index)
	}
	for _, some := range [...][]uint64{g.leaders, g.reads} {
		text = binary.AppendUvarint(text, uint64(len(some)))
		for _, n := range some {
			text = binary.AppendUvarint(text, n)
		}
	}
	e.text = text
	id, known := e.ghostIDs[string(text)]
	if !known {
		id = ghostID(len(e.ghosts))
		e.ghosts = append(e.ghosts, *g)
		e.ghostIDs[string(text)] = id
	}
	return id
}

// observe is the group's view of a step: it checks what the member did against the others, who are in the
// states that w says, and brings w's ghost up to date.
func (e *explorer) observe(w *worldState, a action, from localID, t *transition) *Violation {
	v := t.violation
	if v == nil && (len(t.notes) > 0 || a.kind == actRead) {
		g := e.ghosts[w.ghost]
		if a.kind == actRead {
			g.reads = append(g.reads[:len(g.reads):len(g.reads)], e.logs.last(g.committed))
		}
		for i := range t.notes {
			if v == nil {
				v = e.observeNote(w, &g, uint64(a.member), &t.notes[i])
			}
		}
		w.ghost = e.ghostOf(&g)
	}
	if v == nil && e.locals[from].log != e.locals[t.next].log {
		v = e.checkLogs(w, uint64(a.member))
	}
	return v
}

func (e *explorer) observeNote(w *worldState, g *ghost, member uint64, n *note) *Violation {
	fail := func(oracle Oracle, format string, args ...any) *Violation {
		return &Violation{Oracle: oracle, Member: member, Text: fmt.Sprintf(format, args...)}
	}
	switch n.kind {
	case noteElected:
		leaders := append([]uint64(nil), g.leaders...)
		for uint64(len(leaders)) <= n.term {
			leaders = append(leaders, 0)
		}
		if other := leaders[n.term]; other != 0 && other != member {
			return fail(OracleElection, "members %d and %d both lead term %d", other, member, n.term)
		}
		leaders[n.term] = member
		g.leaders = leaders
		return e.checkComplete(member, n.term, n.log, g.committedBefore(n.term), g.committed)
	case noteApplied:
		if !e.logs.extends(g.committed, n.log) {
			return fail(OracleStateMachine, "what is applied up to %d is not what was committed up to %d",
				e.logs.last(n.log), e.logs.last(g.committed))
		}
	case noteRead:
		if n.term == 0 || n.term > uint64(len(g.reads)) {
			return fail(OracleReadIndex, "read %d is answered, which nobody asked for", n.term)
		}
		if asked := g.reads[n.term-1]; n.index < asked {
			return fail(OracleReadIndex, "read gets index %d, %d was committed when it was asked", n.index, asked)
		}
	case noteCommitted:
		return e.observeCommit(w, g, member, n, fail)
	}
	return nil
}

// observeCommit checks a commit index that grew.
func (e *explorer) observeCommit(w *worldState, g *ghost, member uint64, n *note,
	fail func(Oracle, string, ...any) *Violation) *Violation {
	committed := e.logs.last(g.committed)
	if n.index <= committed {
		return nil
	}
	if !n.leads {
		return fail(OracleCommit, "commit is %d, no leader has committed more than %d", n.index, committed)
	}
	log := e.logs.upTo(n.log, n.index)
	if log == noLog {
		return fail(OracleCommit, "leader committed %d and has given its host %d at most", n.index, e.logs.last(n.log))
	}
	if got := e.logs.lastTerm(log); got != n.term {
		return fail(OracleCommit, "leader of term %d committed entry %d of term %d by counting", n.term, n.index, got)
	}
	if !e.logs.extends(log, g.committed) {
		return fail(OracleCompleteness, "leader of term %d committed another entry than the one at %d that was committed before",
			n.term, committed)
	}
	conf := &e.confs[n.conf]
	if !e.safeAtQuorum(w, conf.Voters, member, n.safe, log) || !e.safeAtQuorum(w, conf.VotersOutgoing, member, n.safe, log) {
		return fail(OracleCommit, "leader committed %d, which is not on the disks of a quorum of %s", n.index, confText(conf))
	}
	g.committed = log
	g.marks = append(g.marks[:len(g.marks):len(g.marks)], commitMark{n.term, n.index})
	for i, id := range w.members {
		l := &e.locals[id]
		if uint64(i+1) != member && l.role == raft.StateLeader && l.term > n.term {
			if v := e.checkComplete(uint64(i+1), l.term, l.log, n.index, g.committed); v != nil {
				return v
			}
		}
	}
	return nil
}

// safeAtQuorum reports whether most of ids have log on disk. Of the member that is taking a step, own is.
func (e *explorer) safeAtQuorum(w *worldState, ids []uint64, member uint64, own, log logID) bool {
	n := 0
	for _, id := range ids {
		safe := own
		if id != member {
			if id > uint64(e.members) {
				continue
			}
			safe = e.locals[w.members[id-1]].safe.log
		}
		if e.logs.extends(safe, log) {
			n++
		}
	}
	return n > len(ids)/2 || len(ids) == 0
}

// committedBefore returns how far leaders of terms below term have committed.
func (g *ghost) committedBefore(term uint64) uint64 {
	for i := len(g.marks) - 1; i >= 0; i-- {
		if g.marks[i].term < term {
			return g.marks[i].index
		}
	}
	return 0
}

// checkComplete checks that a leader's log has what is committed, up to an index.
func (e *explorer) checkComplete(member, term uint64, log logID, to uint64, committed logID) *Violation {
	if to == 0 || e.logs.upTo(log, to) == e.logs.upTo(committed, to) {
		return nil
	}
	return &Violation{Oracle: OracleCompleteness, Member: member, Text: fmt.Sprintf(
		"leader of term %d lacks committed entry %d of term %d", term, to, e.logs.lastTerm(e.logs.upTo(committed, to)))}
}

// checkLogs compares the log of a member with the others'.
func (e *explorer) checkLogs(w *worldState, member uint64) *Violation {
	log := e.locals[w.members[member-1]].log
	for _, id := range w.members {
		other := e.locals[id].log
		if other == log {
			continue
		}
		pair := uint64(min(log, other))<<32 | uint64(max(log, other))
		if e.agreeing[pair] {
			continue
		}
		if at := e.logs.conflict(log, other); at != 0 {
			return &Violation{Oracle: OracleLogMatching, Member: member, Text: fmt.Sprintf(
				"entry %d of term %d is another one, or follows others, than at a second member", at,
				e.logs.lastTerm(e.logs.upTo(log, at)))}
		}
		e.agreeing[pair] = true
	}
	return nil
}
