package rafttest

import (
	pb "quorate.example/raft/raftpb"
)

// operator changes the group: it asks leaders for configuration changes, starts
// members that were added, and stops, wipes and brings back those that were
// removed. It sees the configuration as the first member to apply a change does.
type operator struct {
	w     *world
	conf  pb.ConfState
	since uint64 // index of the entry that made it
	// wiped has, by ID, the configuration under which the disk was wiped.
	wiped [maxMembers + 1]uint64
}

// applied hears that m has applied the configuration change at index.
func (o *operator) applied(m *Member, index uint64) {
	if index <= o.since {
		return
	}
	o.since, o.conf = index, m.conf
	o.w.stats.ConfChanges++
	o.w.trace.note(o.w, m, "configuration "+confText(&o.conf))
	for id := uint64(1); id <= maxMembers; id++ {
		id := id
		member := o.w.members[id]
		switch {
		case inConf(&o.conf, id) && (member == nil || member.state == stateUnborn || member.state == stateGone):
			o.w.after(m.src.between(0, 8*TickMicros), nil, func() { o.bringIn(id) })
		case !inConf(&o.conf, id) && member != nil && (member.running() || member.state == stateDown):
			o.retireLater(id, m.src.between(3*TickMicros, 50*TickMicros))
		}
	}
}

// bringIn starts a member that is in the configuration and has no process.
func (o *operator) bringIn(id uint64) {
	m := o.w.member(id)
	if !inConf(&o.conf, id) || m.state != stateUnborn && m.state != stateGone {
		return
	}
	m.epoch++ // what was sent to the one that had this ID before is lost
	m.start()
}

func (o *operator) retireLater(id uint64, in int64) {
	o.w.after(in, nil, func() { o.retire(id) })
}

// retire stops a member that was removed, and often wipes its disk. It waits
// until all voters that are left know of the removal, and will after a crash,
// since until then they may need the vote of the removed one.
func (o *operator) retire(id uint64) {
	m := o.w.members[id]
	if inConf(&o.conf, id) || m.state == stateUnborn || m.state == stateGone {
		return
	}
	if !o.settled() {
		o.flush()
		o.retireLater(id, 5*TickMicros)
		return
	}
	if m.running() {
		m.stop("retire")
	}
	m.state = stateGone
	m.life++
	if m.src.below(3) != 0 {
		o.wipe(m)
	}
}

// wipe makes a member one that never was. Its next start is under a new epoch.
func (o *operator) wipe(m *Member) {
	m.state = stateUnborn
	m.epoch++
	o.wiped[m.id] = o.since
	m.disk.wipe()
	m.store = nil
	m.seen = seen{}
	o.w.trace.note(o.w, m, "wipe")
}

// knows reports whether m acts under what is committed up to index, and will
// after a crash.
func (m *Member) knows(index uint64) bool {
	return m.disk.safe.known() >= index && (m.applied >= index || !m.running())
}

// settled reports whether all voters know the configuration.
func (o *operator) settled() bool {
	for _, ids := range [...][]uint64{o.conf.Voters, o.conf.VotersOutgoing} {
		for _, id := range ids {
			if m := o.w.members[id]; m == nil || !m.knows(o.since) {
				return false
			}
		}
	}
	return true
}

// mayReturn reports whether a member may be added under this ID. One whose disk
// was wiped has forgotten its votes and its log: it would do harm to a group in
// which somebody still counts on the old one, and may not return before everybody
// that has a disk knows that the old one is gone.
func (o *operator) mayReturn(id uint64) bool {
	for _, m := range o.w.members {
		if m != nil && m.id != id && m.state != stateUnborn && !m.knows(o.wiped[id]) {
			return false
		}
	}
	return true
}

// flush has the voters save their state machines, and with them what they know
// to be committed.
func (o *operator) flush() {
	for _, id := range membersOf(&o.conf) {
		if m := o.w.members[id]; m != nil && m.applied >= o.since {
			m.saveState()
		}
	}
}

// change asks the leader for some change that makes sense to it.
func (o *operator) change(src *source) {
	m := o.w.leader()
	if m == nil {
		return
	}
	cc := o.invent(&m.conf, src)
	if cc == nil {
		return
	}
	o.w.trace.note(o.w, m, "propose "+changeText(cc))
	_ = m.node.ProposeConfChange(cc)
	m.work()
}

// invent returns a change that fits the configuration cs.
func (o *operator) invent(cs *pb.ConfState, src *source) pb.ConfChangeI {
	if len(cs.VotersOutgoing) > 0 {
		return pb.ConfChangeV2{}
	}
	changes := o.draw(cs, src)
	if len(changes) == 0 {
		return nil
	}
	if len(changes) == 1 && src.below(2) == 0 {
		return pb.ConfChange{Type: changes[0].Type, NodeID: changes[0].NodeID}
	}
	return pb.ConfChangeV2{
		Transition: pb.ConfChangeTransition(src.below(3)),
		Changes:    changes,
	}
}

// draw returns one change, or several that are made jointly.
func (o *operator) draw(cs *pb.ConfState, src *source) []pb.ConfChangeSingle {
	one := func(typ pb.ConfChangeType, id uint64) []pb.ConfChangeSingle {
		return []pb.ConfChangeSingle{{Type: typ, NodeID: id}}
	}
	least := max(o.w.sim.Members-1, 1)
	most := min(o.w.sim.Members+2, maxMembers-2)
	voters, learners := len(cs.Voters), len(cs.Learners)
	kind := src.below(8)
	newcomer := o.newcomer(cs, src)
	switch {
	case kind == 0 && newcomer != 0 && learners < 2:
		return one(pb.ConfChangeAddLearnerNode, newcomer)
	case kind <= 1 && learners > 0:
		return one(pb.ConfChangeAddNode, pick(cs.Learners, src))
	case kind <= 3 && newcomer != 0 && voters < most:
		return one(pb.ConfChangeAddNode, newcomer)
	case kind <= 4 && voters > least:
		return one(pb.ConfChangeRemoveNode, pick(cs.Voters, src))
	case kind == 5 && voters > least:
		return one(pb.ConfChangeAddLearnerNode, pick(cs.Voters, src))
	case kind == 6 && learners > 0:
		return one(pb.ConfChangeRemoveNode, pick(cs.Learners, src))
	case newcomer != 0 && voters > 1:
		swap := one(pb.ConfChangeAddNode, newcomer)
		swap = append(swap, one(pb.ConfChangeRemoveNode, pick(cs.Voters, src))...)
		if learners > 0 && src.below(2) == 0 {
			swap = append(swap, one(pb.ConfChangeAddNode, pick(cs.Learners, src))...)
		}
		return swap
	}
	return nil
}

func pick(ids []uint64, src *source) uint64 { return ids[src.below(uint64(len(ids)))] }

// newcomer returns an ID that is not in cs: one that was there before, or a new
// one, or 0 if there is none left.
func (o *operator) newcomer(cs *pb.ConfState, src *source) uint64 {
	var ids []uint64
	fresh := false
	for id := uint64(1); id <= maxMembers; id++ {
		if inConf(cs, id) || inConf(&o.conf, id) || !o.mayReturn(id) {
			continue
		}
		if o.w.members[id] == nil {
			if fresh {
				continue
			}
			fresh = true
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return 0
	}
	return pick(ids, src)
}
