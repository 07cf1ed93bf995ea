package tracker

import (
	"errors"
	"fmt"

	"quorate.example/raft/quorum"
)

var (
	errOutgoingNotNil     = errors.New("cfg.Voters[1] must be nil when not joint")
	errLearnersNextNotNil = errors.New("cfg.LearnersNext must be nil when not joint")
)

// Peers returns the tracker's configuration and progress in dense form, without votes. Progress is
// copied, windows are shared. It returns an error if the maps contradict each other: a member
// without progress, a voter that is also a learner, a set that must be nil and is not.
func (t *ProgressTracker) Peers() (Peers, error) {
	var ps Peers
	ps.slots = make([]Peer, 0, len(t.Progress))
	t.Visit(func(id uint64, pr *Progress) {
		ps.slots = append(ps.slots, Peer{Member: Member{ID: id}, Progress: *pr})
	})
	for _, part := range []struct {
		role    Role
		members quorum.MajorityConfig
	}{
		{Incoming, t.Voters[0]},
		{Outgoing, t.Voters[1]},
		{Learner, t.Learners},
		{LearnerNext, t.LearnersNext},
	} {
		if err := ps.grant(part.role, part.members.Slice()); err != nil {
			return Peers{}, err
		}
	}
	ps.incoming, ps.outgoing = int32(len(t.Voters[0])), int32(len(t.Voters[1]))
	ps.autoLeave = t.AutoLeave && ps.Joint()
	for i := range ps.slots {
		if p := &ps.slots[i]; p.Role.Voter() && !p.Role.LearnerNext() {
			// A mark left on a voter never had an effect on who votes.
			p.IsLearner = false
		}
	}

	if err := ps.check(); err != nil {
		return Peers{}, err
	}
	if !ps.Joint() && t.Voters[1] != nil {
		return Peers{}, errOutgoingNotNil
	}
	if !ps.Joint() && t.LearnersNext != nil {
		return Peers{}, errLearnersNextNotNil
	}
	return ps, nil
}

// grant adds a role to members, which all must have a slot.
func (ps *Peers) grant(role Role, members []uint64) error {
	for _, id := range members {
		p := ps.Get(id)
		if p == nil {
			return fmt.Errorf("no progress for %d", id)
		}
		p.Role |= role
	}
	return nil
}
