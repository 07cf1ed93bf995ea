// Package tracker keeps what a member knows of the others: their parts in the configuration, their
// votes, and as leader the progress of their logs.
//
// [Peers] is what the core works on: one dense slice with one slot for each member. Changes of the
// configuration (thesis 4.2, 4.3) return a new Peers. [ProgressTracker] and [Config] are faces over
// maps for users of the exported API.
package tracker

import (
	"slices"

	"quorate.example/raft/quorum"
	pb "quorate.example/raft/raftpb"
)

// Peers is a configuration and all that is known of its members. The zero value has no members;
// make one with limits by [MakePeers]. A copy shares the slots of the original.
type Peers struct {
	slots     []Peer // ascending by ID
	incoming  int    // voters in each half
	outgoing  int
	autoLeave bool

	maxInflight      int
	maxInflightBytes uint64
}

// MakePeers returns a Peers without members. Windows it hands out take maxInflight appends and
// maxBytes bytes; a maxBytes of zero sets no limit to the bytes.
func MakePeers(maxInflight int, maxBytes uint64) Peers {
	return Peers{maxInflight: maxInflight, maxInflightBytes: maxBytes}
}

// All returns the slots in ascending order of IDs. They are the ones that ps works on: callers may
// change what is known of a member, but not its ID or Role.
func (ps *Peers) All() []Peer { return ps.slots }

// Len returns the number of members.
func (ps *Peers) Len() int { return len(ps.slots) }

// Joint reports whether the configuration is joint: it has an outgoing half.
func (ps *Peers) Joint() bool { return ps.outgoing > 0 }

// AutoLeave reports whether the leader leaves the joint configuration by itself.
func (ps *Peers) AutoLeave() bool { return ps.autoLeave }

// Singleton reports whether there is exactly one voter, and no joint configuration.
func (ps *Peers) Singleton() bool { return ps.incoming == 1 && ps.outgoing == 0 }

// Voters returns the number of voters in each half.
func (ps *Peers) Voters() (incoming, outgoing int) { return ps.incoming, ps.outgoing }

// IsVoter reports whether the member votes, in either half; false for an unknown one.
func (ps *Peers) IsVoter(id uint64) bool {
	p := ps.Get(id)
	return p != nil && p.Role.Voter()
}

// Get returns the slot of a member, nil for an unknown ID. It is good until the configuration
// changes.
func (ps *Peers) Get(id uint64) *Peer {
	// IDs are often 1, 2, 3 and so on: then the first guess is right.
	if i := id - 1; i < uint64(len(ps.slots)) && ps.slots[i].ID == id {
		return &ps.slots[i]
	}
	if i, found := ps.find(id); found {
		return &ps.slots[i]
	}
	return nil
}

// linearMax is the number of members up to which a plain scan finds an ID fastest.
const linearMax = 7

// find returns the position of a member, or where it would have to be put.
func (ps *Peers) find(id uint64) (at int, found bool) {
	lo, hi := 0, len(ps.slots)
	for hi-lo > linearMax {
		if mid := lo + (hi-lo)/2; ps.slots[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid + 1
		}
	}
	for lo < hi && ps.slots[lo].ID < id {
		lo++
	}
	return lo, lo < len(ps.slots) && ps.slots[lo].ID == id
}

// Window gives p an empty window if it has none.
func (ps *Peers) Window(p *Peer) {
	if p.Inflights == nil {
		p.Inflights = NewInflights(ps.maxInflight, ps.maxInflightBytes)
	}
}

// Reset starts a new term: nothing is known of anybody, except that self has its own log up to
// lastIndex. Ballots, acknowledgements and windows are dropped.
func (ps *Peers) Reset(self, lastIndex uint64) {
	for i := range ps.slots {
		p := &ps.slots[i]
		*p = Peer{
			ID:       p.ID,
			Role:     p.Role,
			Progress: Progress{Next: lastIndex + 1, IsLearner: p.Role.Learner()},
		}
		if p.ID == self {
			p.Match = lastIndex
		}
	}
}

// ConfState returns the configuration in the form that snapshots hold, IDs ascending; lists
// without members are nil.
func (ps *Peers) ConfState() pb.ConfState {
	return pb.ConfState{
		Voters:         ps.having(Incoming),
		Learners:       ps.having(Learner),
		VotersOutgoing: ps.having(Outgoing),
		LearnersNext:   ps.having(LearnerNext),
		AutoLeave:      ps.autoLeave,
	}
}

// Config returns the configuration as new maps; those without members are nil, except the one of
// the incoming voters.
func (ps *Peers) Config() Config {
	return Config{
		Voters:       quorum.JointConfig{orEmpty(idSet(ps.having(Incoming))), idSet(ps.having(Outgoing))},
		AutoLeave:    ps.autoLeave,
		Learners:     idSet(ps.having(Learner)),
		LearnersNext: idSet(ps.having(LearnerNext)),
	}
}

// ProgressMap returns a copy of each member's progress, by ID. The windows are not copied.
func (ps *Peers) ProgressMap() ProgressMap {
	m := make(ProgressMap, len(ps.slots))
	for i := range ps.slots {
		pr := ps.slots[i].Progress
		m[ps.slots[i].ID] = &pr
	}
	return m
}

// having returns the IDs of the members with a role, ascending; nil for none.
func (ps *Peers) having(r Role) []uint64 {
	var ids []uint64
	for i := range ps.slots {
		if ps.slots[i].Role&r != 0 {
			ids = append(ids, ps.slots[i].ID)
		}
	}
	return slices.Clip(ids)
}

func idSet(ids []uint64) map[uint64]struct{} {
	if len(ids) == 0 {
		return nil
	}
	set := make(map[uint64]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set
}

func orEmpty(set map[uint64]struct{}) map[uint64]struct{} {
	if set == nil {
		return map[uint64]struct{}{}
	}
	return set
}
