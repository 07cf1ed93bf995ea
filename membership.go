package raft

import (
	"errors"
	"fmt"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// Membership changes (thesis 4). A change takes effect on each member when it is applied there. One
// at a time: a further one is refused at the proposal until the last is applied at the leader.

func decodeConfChange(e *pb.Entry) (pb.ConfChangeV2, error) {
	if e.Type == pb.EntryConfChange {
		var cc pb.ConfChange
		err := cc.Unmarshal(e.Data)
		return cc.AsV2(), err
	}
	var cc pb.ConfChangeV2
	err := cc.Unmarshal(e.Data)
	return cc, err
}

// refuseConfChange says why the leader may not append cc now, with the last change at index
// confIndex; nil if it may.
func (r *raft) refuseConfChange(cc pb.ConfChangeV2, confIndex uint64) error {
	leaves := len(cc.Changes) == 0
	switch joint := r.peers.Joint(); {
	case confIndex > r.log.apply.applied:
		return ErrConfChangePending
	case joint && !leaves:
		return ErrMustLeaveJoint
	case !joint && leaves:
		return ErrNotJoint
	}
	return nil
}

// applyConfChange puts a committed change into force and returns the configuration after it. A change
// that does not fit is skipped, here as on every other member, since all decide from the same log.
func (r *raft) applyConfChange(cc pb.ConfChangeV2) pb.ConfState {
	if r.rare != nil && r.rare.beforeSnapshot != nil {
		before := r.rare.beforeSnapshot
		// The entry comes before the snapshot, whose configuration is in force already.
		if next, err := r.changed(before, cc); err == nil {
			*before = next
		}
		return before.ConfState()
	}
	next, err := r.changed(&r.peers, cc)
	if err != nil {
		r.logger.error("skips configuration change", logText("change", pb.ConfChangesToString(cc.Changes)), logErr(err))
		r.emitEvent(ConfChangeSkipped{Reason: err})
		return r.peers.ConfState()
	}
	r.noteRemovals(&next)
	r.spreadMarks()
	r.peers = next
	r.setFloors()
	r.dropMarksOf(func(id uint64) bool { return !r.peers.Has(id) })
	conf := r.peers.ConfState()
	r.logConf("has a new configuration", conf)
	if r.state == StateLeader {
		r.leadUnder(conf)
	}
	return conf
}

// changed returns peers as they are after cc.
func (r *raft) changed(peers *tracker.Peers, cc pb.ConfChangeV2) (tracker.Peers, error) {
	for _, c := range cc.Changes {
		if IsLocalMsgTarget(c.NodeID) && r.deviates(d1RefuseImpossible) {
			return tracker.Peers{}, fmt.Errorf("%d is the ID of a storage thread", c.NodeID)
		}
	}
	if cc.LeaveJoint() {
		return peers.LeaveJoint()
	}
	if autoLeave, joint := cc.EnterJoint(); joint {
		return peers.EnterJoint(r.log.last(), autoLeave, cc.Changes...)
	}
	return peers.Simple(r.log.last(), cc.Changes...)
}

// leadUnder is what a leader does about a new configuration.
func (r *raft) leadUnder(conf pb.ConfState) {
	r.leadership.next = 0
	if self := r.peers.Get(r.id); self == nil || self.IsLearner {
		// Thesis 4.2.2: without the option it leads on, not counting itself, until somebody else does.
		switch {
		case !r.cfg.StepDownOnRemoval:
		case r.deviates(d20HandOverOnRemoval) && len(conf.Voters) > 0:
			r.startHandingOver()
		default:
			r.becomeFollower(r.term, None)
		}
		return
	}
	if s := r.leadership.seldom; s != nil {
		s.handover = handover{}
	}
	if len(conf.Voters) == 0 {
		return
	}
	if r.commitOwn(r.peers.Committed()) { // the quorum may have become smaller
		r.replicateToAll()
	} else {
		peers := r.peers.All()
		for i := range peers {
			if p := &peers[i]; p.ID != r.id {
				r.replicate(p, false) // a new member starts now
			}
		}
	}
	if r.deviates(d16OwnQuorum) {
		r.confirmReads() // who is left may have confirmed them already
	}
	if !r.peers.IsVoter(r.leadership.transferee) {
		r.abortTransfer()
	}
}

// ---- D3: members that come back

// floor remembers the leader's last index at the time it removed a member. Acknowledgements up to it
// may be late ones of the member that was removed; a new one under the same ID may have nothing.
type floor struct{ id, index uint64 }

// noteRemovals sets the floor of the members that next lacks.
func (r *raft) noteRemovals(next *tracker.Peers) {
	if r.state != StateLeader || !r.deviates(d3FloorAfterRemoval) {
		return
	}
	peers := r.peers.All()
	for i := range peers {
		id := peers[i].ID
		if next.Has(id) {
			continue
		}
		r.forgetFloor(id)
		s := r.leadership.seldomly()
		s.floors = append(s.floors, floor{id: id, index: r.log.last()})
	}
}

// setFloors gives the members that came back their floor.
func (r *raft) setFloors() {
	if r.leadership == nil || r.leadership.seldom == nil {
		return
	}
	for _, f := range r.leadership.seldom.floors {
		if p := r.peers.Get(f.id); p != nil && p.Match == 0 {
			p.Floor = f.index
		}
	}
}

func (r *raft) forgetFloor(id uint64) {
	s := r.leadership.seldomly()
	floors := s.floors
	for i := range floors {
		if floors[i].id == id {
			s.floors = append(floors[:i:i], floors[i+1:]...)
			return
		}
	}
}

// onAckBelowFloor takes an acknowledgement that may be a late one of the member that had this ID
// before. It only says where to probe next; the answer to the probe is certain.
func (r *raft) onAckBelowFloor(p *tracker.Peer, index uint64) {
	if p.State == tracker.StateSnapshot {
		if index+1 < r.log.first() {
			return
		}
		p.BecomeProbe()
	}
	p.Next = max(index, p.Match) + 1
	p.MsgAppFlowPaused = false
	r.replicate(p, true)
}

// ---- bootstrap

// bootstrap makes the log of a new group: one configuration change per member, at term 1, committed
// from the start. Each member of the group does the same and so has the same log.
func (r *raft) bootstrap(peers []Peer) error {
	if len(peers) == 0 {
		return errors.New("must provide at least one peer to Bootstrap")
	}
	last, err := r.log.storage.LastIndex()
	if err != nil {
		return err
	}
	if last != 0 {
		return errors.New("can't bootstrap a nonempty Storage")
	}
	ents := make([]pb.Entry, len(peers))
	for i, p := range peers {
		cc := pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: p.ID, Context: p.Context}
		data, err := cc.Marshal()
		if err != nil {
			return fmt.Errorf("raft: Peers[%d]: %w", i, err)
		}
		ents[i] = pb.Entry{Type: pb.EntryConfChange, Data: data}
	}
	r.becomeFollower(1, None)
	r.log.append(1, ents)
	r.log.commitTo(r.log.last())
	for _, p := range peers {
		r.applyConfChange(pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: p.ID}.AsV2())
	}
	return nil
}
