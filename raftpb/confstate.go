package raftpb

import (
	"fmt"
	"slices"
)

// Equivalent returns nil if cs and cs2 say the same, whatever the order of their IDs, and
// otherwise an error that shows both, sorted and as they came.
func (cs ConfState) Equivalent(cs2 ConfState) error {
	a, b := cs.sorted(), cs2.sorted()
	if a.AutoLeave == b.AutoLeave &&
		slices.Equal(a.Voters, b.Voters) &&
		slices.Equal(a.Learners, b.Learners) &&
		slices.Equal(a.VotersOutgoing, b.VotersOutgoing) &&
		slices.Equal(a.LearnersNext, b.LearnersNext) {
		return nil
	}
	return fmt.Errorf("ConfStates not equivalent after sorting:\n%#v\n%#v\nInputs were:\n%#v\n%#v",
		a, b, cs, cs2)
}

// sorted returns a copy of cs with its IDs in ascending order.
func (cs ConfState) sorted() ConfState {
	for _, ids := range []*[]uint64{&cs.Voters, &cs.Learners, &cs.VotersOutgoing, &cs.LearnersNext} {
		*ids = append([]uint64(nil), *ids...)
		slices.Sort(*ids)
	}
	return cs
}
