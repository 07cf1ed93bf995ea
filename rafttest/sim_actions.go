package rafttest

import (
	pb "quorate.example/raft/raftpb"
)

// act does the action at position i of the schedule.
func (w *world) act(i int) {
	a := &w.actions[i]
	if w.healed {
		return
	}
	w.stats.Actions++
	src := &source{state: a.Pick}
	switch a.Kind {
	case ActCall:
		w.clients.call(src)
	case ActCrash:
		if m := w.pickLive(src); m != nil {
			m.crashFor(a.Length, "crash")
		}
	case ActTrap:
		if m := w.pickLive(src); m != nil {
			m.trap = trap{
				point: point(src.below(uint64(points))), skip: int(src.below(4)), downFor: a.Length,
			}
			w.trace.note(w, m, "trap at "+m.trap.point.String())
		}
	case ActCut:
		w.net.cut(src, a.Length)
	case ActSlow:
		w.net.slowDown(src, a.Length)
	case ActPause:
		if m := w.pickLive(src); m != nil {
			m.pause(a.Length)
		}
	case ActFailWrite:
		if m := w.pickLive(src); m != nil {
			m.disk.failNext, m.disk.failFor = true, a.Length
			w.trace.note(w, m, "the next write will fail")
		}
	case ActCompact:
		if m := w.pickLive(src); m != nil {
			m.saveState()
		}
	case ActConfChange:
		w.op.change(src)
	case ActTransfer:
		w.unrest(src)
	}
}

// pickLive returns a member whose process runs. One in three times it is the
// leader, where faults hurt most.
func (w *world) pickLive(src *source) *Member {
	if leader := w.leader(); leader != nil && src.below(3) == 0 {
		return leader
	}
	var live [maxMembers]*Member
	n := 0
	for _, m := range w.members {
		if m != nil && m.state == stateUp {
			live[n] = m
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return live[src.below(uint64(n))]
}

// leader returns the running member that leads in the highest term.
func (w *world) leader() *Member {
	var best *Member
	for _, m := range w.members {
		if m != nil && m.state == stateUp && m.leads() && (best == nil || m.seen.Term > best.seen.Term) {
			best = m
		}
	}
	return best
}

// unrest moves or shakes leadership: a transfer, a campaign, a forgotten leader.
func (w *world) unrest(src *source) {
	switch src.below(4) {
	case 0, 1:
		leader, to := w.leader(), w.pickLive(src)
		if leader != nil && to != nil && to != leader {
			w.trace.note(w, leader, "transfer leadership to "+idText(to.id))
			leader.node.TransferLeader(to.id)
			leader.work()
		}
	case 2:
		if m := w.pickLive(src); m != nil {
			w.trace.note(w, m, "campaign")
			_ = m.node.Campaign()
			m.work()
		}
	case 3:
		if m := w.pickLive(src); m != nil && !w.profile.LeaseReads {
			w.trace.note(w, m, "forget leader")
			_ = m.node.ForgetLeader()
			m.work()
		}
	}
}

// inConf reports whether cs counts id as a member in any role.
func inConf(cs *pb.ConfState, id uint64) bool {
	for _, ids := range [...][]uint64{cs.Voters, cs.Learners, cs.VotersOutgoing, cs.LearnersNext} {
		if hasID(ids, id) {
			return true
		}
	}
	return false
}

func hasID(ids []uint64, id uint64) bool {
	for _, have := range ids {
		if have == id {
			return true
		}
	}
	return false
}
