package rafttest

import (
	"fmt"

	pb "quorate.example/raft/raftpb"
)

// probe is what the second phase asks of the group: after the faults a write and
// a read through each member must be answered.
type probe struct {
	done    bool
	started int64
	call    uint32 // the write in progress, or the last one
	asked   bool
	written bool
	reads   map[uint64]uint32 // by member: the read in progress
}

// heal ends all faults and starts the second phase.
func (w *world) heal() {
	w.healed = true
	w.healEnd = w.now + healBound*TickMicros
	w.probe = probe{started: w.now, reads: map[uint64]uint32{}}
	w.trace.note(w, nil, "faults end")
	w.net.heal()
	for _, m := range w.members {
		if m == nil || w.violation != nil {
			continue
		}
		m.trap, m.disk.failNext = trap{}, false
		m.ticks = TickMicros
		switch m.state {
		case statePaused:
			m.wake()
		case stateDown:
			m.start()
		}
	}
	w.after(TickMicros, nil, w.probeAgain)
}

// probeAgain looks every tick whether the group is well.
func (w *world) probeAgain() {
	problem := w.unwell()
	if problem == "" {
		w.probe.done = true
		w.stats.HealTicks = int((w.now - w.probe.started) / TickMicros)
		return
	}
	if w.now >= w.healEnd {
		w.fail(OracleLiveness, nil, "%d ticks after the last fault %s", healBound, problem)
		return
	}
	w.after(TickMicros, nil, w.probeAgain)
}

// unwell says what is still missing, and asks for the next thing.
func (w *world) unwell() string {
	leader := w.leader()
	if leader == nil {
		return "there is no leader"
	}
	for _, m := range w.members {
		if m != nil && m != leader && m.running() && m.leads() {
			return fmt.Sprintf("members %d and %d both lead", leader.id, m.id)
		}
	}
	if !w.probe.written {
		return w.probeWrite(leader)
	}
	if leader.applied < leader.seen.Commit {
		return "the leader has not applied everything"
	}
	for _, id := range membersOf(&leader.conf) {
		m := w.members[id]
		if m == nil || !m.running() {
			return fmt.Sprintf("member %d does not run", id)
		}
		if m.applied < leader.applied {
			return fmt.Sprintf("member %d has applied %d of %d entries", id, m.applied, leader.applied)
		}
	}
	for _, id := range membersOf(&leader.conf) {
		if problem := w.probeRead(w.members[id]); problem != "" {
			return problem
		}
	}
	return ""
}

// probeWrite asks the leader for a write, again if it got lost.
func (w *world) probeWrite(leader *Member) string {
	p := &w.probe
	if p.asked {
		call := &w.clients.calls[p.call]
		switch {
		case call.state == callDone:
			p.written = true
			return "no read was answered yet"
		case call.state == callOpen && w.now-call.since < patience:
			return "a write is not answered"
		}
		w.clients.close(p.call, callLost)
	}
	p.asked = true
	p.call = w.clients.start(clientCount, leader, false, &leader.src)
	leader.work()
	return "a write is not answered"
}

// probeRead asks a member for a read, again if it got lost.
func (w *world) probeRead(m *Member) string {
	number, asked := w.probe.reads[m.id]
	if asked {
		call := &w.clients.calls[number]
		switch {
		case call.state == callDone:
			return ""
		case call.state == callOpen && w.now-call.since < patience:
			return fmt.Sprintf("a read at member %d is not answered", m.id)
		}
		w.clients.close(number, callLost)
	}
	w.probe.reads[m.id] = w.clients.start(clientCount+int(m.id), m, true, &m.src)
	return fmt.Sprintf("a read at member %d is not answered", m.id)
}

// membersOf lists all members of a configuration once.
func membersOf(cs *pb.ConfState) []uint64 {
	var ids []uint64
	for _, some := range [...][]uint64{cs.Voters, cs.Learners, cs.VotersOutgoing, cs.LearnersNext} {
		for _, id := range some {
			if !hasID(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
