package tracker

import (
	"slices"

	pb "quorate.example/raft/raftpb"
)

// RestorePeers returns the configuration that a ConfState describes. Each member is new: nothing
// is known of its log, and it is taken to miss what follows lastIndex.
func RestorePeers(cs pb.ConfState, lastIndex uint64) (Peers, error) {
	var ps Peers
	return ps.Restore(cs, lastIndex)
}

// Restore returns ps, normally without members, brought to the configuration that a ConfState
// describes by the changes that lead to it: this way a ConfState that contradicts itself is
// refused, or read as the changes would be.
func (ps *Peers) Restore(cs pb.ConfState, lastIndex uint64) (Peers, error) {
	if len(cs.VotersOutgoing) == 0 {
		return ps.add(lastIndex, singles(cs))
	}
	before, err := ps.add(lastIndex, appendChanges(nil, pb.ConfChangeAddNode, cs.VotersOutgoing))
	if err != nil {
		return Peers{}, err
	}
	return before.EnterJoint(lastIndex, cs.AutoLeave, singles(cs)...)
}

// singles returns the changes that lead from the outgoing half, if any, to the rest of cs.
func singles(cs pb.ConfState) []pb.ConfChangeSingle {
	ccs := appendChanges(nil, pb.ConfChangeRemoveNode, cs.VotersOutgoing)
	ccs = appendChanges(ccs, pb.ConfChangeAddNode, cs.Voters)
	ccs = appendChanges(ccs, pb.ConfChangeAddLearnerNode, cs.Learners)
	// They were voters of the outgoing half, so adding them as learners now makes them wait.
	return appendChanges(ccs, pb.ConfChangeAddLearnerNode, cs.LearnersNext)
}

// appendChanges appends one change for each of ids, in ascending order: there may be very many, and one
// that goes to the end of the members is cheap.
func appendChanges(ccs []pb.ConfChangeSingle, t pb.ConfChangeType, ids []uint64) []pb.ConfChangeSingle {
	if !slices.IsSorted(ids) {
		ids = slices.Clone(ids)
		slices.Sort(ids)
	}
	for _, id := range ids {
		ccs = append(ccs, pb.ConfChangeSingle{Type: t, NodeID: id})
	}
	return ccs
}

// add applies changes one after the other. None of them can go wrong but by leaving no voter, and then
// so do all that follow: voters are added before anything else.
func (ps *Peers) add(lastIndex uint64, ccs []pb.ConfChangeSingle) (Peers, error) {
	if len(ccs) == 0 {
		return *ps, nil
	}
	next, err := ps.edit()
	if err != nil {
		return Peers{}, err
	}
	if err := next.change(lastIndex, ccs); err != nil {
		return Peers{}, err
	}
	return next.checked()
}
