package tracker

import (
	"errors"
	"fmt"

	pb "quorate.example/raft/raftpb"
)

var (
	errJointAlready  = errors.New("config is already joint")
	errNotJoint      = errors.New("can't leave a non-joint config")
	errNoVoters      = errors.New("removed all voters")
	errNoVotersJoint = errors.New("can't make a zero-voter config joint")
	errSimpleInJoint = errors.New("can't apply simple config change in joint config")
	errNotSimple     = errors.New("more than one voter changed without entering joint config")
)

// Simple returns ps with changes that touch one voter at most, which needs no joint configuration:
// the majorities before and after overlap. New members are taken to miss what follows lastIndex.
// ps itself stays as it is; the two share windows. Thesis 4.2.
func (ps *Peers) Simple(lastIndex uint64, ccs ...pb.ConfChangeSingle) (Peers, error) {
	next, err := ps.edit()
	if err != nil {
		return Peers{}, err
	}
	if next.Joint() {
		return Peers{}, errSimpleInJoint
	}
	if err := next.change(lastIndex, ccs); err != nil {
		return Peers{}, err
	}
	if ps.votersChanged(&next) > 1 {
		return Peers{}, errNotSimple
	}
	return next.checked()
}

// EnterJoint returns ps as a joint configuration: its voters are the outgoing half, and the
// changes, any number, make the incoming one. autoLeave says that the leader leaves it by itself.
// New members are taken to miss what follows lastIndex. ps itself stays as it is; the two share
// windows. Thesis 4.3.
func (ps *Peers) EnterJoint(lastIndex uint64, autoLeave bool, ccs ...pb.ConfChangeSingle) (Peers, error) {
	next, err := ps.edit()
	if err != nil {
		return Peers{}, err
	}
	if next.Joint() {
		return Peers{}, errJointAlready
	}
	if next.incoming == 0 {
		return Peers{}, errNoVotersJoint
	}
	for i := range next.slots {
		if p := &next.slots[i]; p.Role.Incoming() {
			p.Role |= Outgoing
		}
	}
	next.outgoing = next.incoming
	if err := next.change(lastIndex, ccs); err != nil {
		return Peers{}, err
	}
	next.autoLeave = autoLeave
	return next.checked()
}

// LeaveJoint returns ps without its outgoing half: who was only in that is gone, or becomes the
// learner it was to become. ps itself stays as it is; the two share windows. Thesis 4.3.
func (ps *Peers) LeaveJoint() (Peers, error) {
	next, err := ps.edit()
	if err != nil {
		return Peers{}, err
	}
	if !next.Joint() {
		return Peers{}, errNotJoint
	}
	kept := next.slots[:0]
	for _, p := range next.slots {
		role := p.Role &^ (Outgoing | LearnerNext)
		if p.Role.LearnerNext() {
			role |= Learner
		}
		if role == 0 && p.Role.Outgoing() {
			continue
		}
		if role != p.Role {
			p.assign(role)
		}
		kept = append(kept, p)
	}
	clear(next.slots[len(kept):])
	next.slots, next.outgoing, next.autoLeave = kept, 0, false
	return next.checked()
}

// edit returns a copy of ps to work on, if ps is sound.
func (ps *Peers) edit() (Peers, error) {
	next := *ps
	next.slots, next.resting = make([]Peer, ps.Len(), ps.Len()+1), nil
	for i := range next.slots {
		next.slots[i] = ps.Peer(i)
	}
	return next.checked()
}

func (ps Peers) checked() (Peers, error) {
	if err := ps.check(); err != nil {
		return Peers{}, err
	}
	return ps, nil
}

// change applies changes to the incoming half and the learners.
func (ps *Peers) change(lastIndex uint64, ccs []pb.ConfChangeSingle) error {
	for _, cc := range ccs {
		if cc.NodeID == 0 {
			// The host gave up this change by clearing the ID of the committed entry.
			continue
		}
		switch cc.Type {
		case pb.ConfChangeAddNode:
			ps.addVoter(cc.NodeID, lastIndex)
		case pb.ConfChangeAddLearnerNode:
			ps.addLearner(cc.NodeID, lastIndex)
		case pb.ConfChangeRemoveNode:
			ps.remove(cc.NodeID)
		case pb.ConfChangeUpdateNode:
		default:
			return fmt.Errorf("unexpected conf type %d", cc.Type)
		}
	}
	if ps.incoming == 0 {
		return errNoVoters
	}
	return nil
}

func (ps *Peers) addVoter(id, lastIndex uint64) {
	p := ps.ensure(id, lastIndex)
	ps.moveIncoming(p, p.Role&^(Learner|LearnerNext)|Incoming)
}

func (ps *Peers) addLearner(id, lastIndex uint64) {
	p := ps.ensure(id, lastIndex)
	// Who still votes in the outgoing half cannot be a learner yet.
	if p.Role.Outgoing() {
		ps.moveIncoming(p, Outgoing|LearnerNext)
	} else {
		ps.moveIncoming(p, Learner)
	}
}

func (ps *Peers) remove(id uint64) {
	at, found := ps.find(id)
	if !found {
		return
	}
	p := &ps.slots[at]
	ps.moveIncoming(p, p.Role&Outgoing)
	if p.Role == 0 {
		last := len(ps.slots) - 1
		copy(ps.slots[at:], ps.slots[at+1:])
		ps.slots[last] = Peer{}
		ps.slots = ps.slots[:last]
	}
}

// ensure returns the slot of a member, a new one where there is none.
func (ps *Peers) ensure(id, lastIndex uint64) *Peer {
	at, found := ps.find(id)
	if !found {
		ps.slots = append(ps.slots, Peer{})
		copy(ps.slots[at+1:], ps.slots[at:])
		// A new member counts as active: it had no chance yet to be heard of, and must not make
		// the leader step down. The first probe is at lastIndex, and moves back from there.
		ps.slots[at] = Peer{
			Member:   Member{ID: id},
			Progress: Progress{Next: max(lastIndex, 1), RecentActive: true},
		}
	}
	return &ps.slots[at]
}

// moveIncoming gives p a role and keeps count of the incoming half.
func (ps *Peers) moveIncoming(p *Peer, role Role) {
	ps.incoming += int32(role&Incoming) - int32(p.Role&Incoming)
	p.assign(role)
}

func (p *Peer) assign(role Role) {
	p.Role = role
	p.IsLearner = role.Learner()
}

// votersChanged returns how many members vote in the incoming half of only one of the two.
func (ps *Peers) votersChanged(next *Peers) int {
	both := 0
	for i := 0; i < ps.Len(); i++ {
		if m := ps.member(i); m.Role.Incoming() && next.Role(m.ID).Incoming() {
			both++
		}
	}
	return int(ps.incoming+next.incoming) - 2*both
}

// check returns an error that names the member whose role contradicts itself or its progress.
func (ps *Peers) check() error {
	for i := range ps.slots {
		p := &ps.slots[i]
		switch r := p.Role; {
		case r.LearnerNext() && !r.Outgoing():
			return fmt.Errorf("%d is in LearnersNext, but not Voters[1]", p.ID)
		case r.LearnerNext() && p.IsLearner:
			return fmt.Errorf("%d is in LearnersNext, but is already marked as learner", p.ID)
		case r.Learner() && r.Outgoing():
			return fmt.Errorf("%d is in Learners and Voters[1]", p.ID)
		case r.Learner() && r.Incoming():
			return fmt.Errorf("%d is in Learners and Voters[0]", p.ID)
		case r.Learner() && !p.IsLearner:
			return fmt.Errorf("%d is in Learners, but is not marked as learner", p.ID)
		case r.Voter() && p.IsLearner:
			return fmt.Errorf("%d votes, but is marked as learner", p.ID)
		}
	}
	return nil
}
