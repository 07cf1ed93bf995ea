// Package tracker keeps what a member knows of the others: their parts in the configuration, their
// votes, and as leader the progress of their logs.
//
// [Peers] is what the core works on: one dense slice with one slot for each member. Changes of the
// configuration (thesis 4.2, 4.3) return a new Peers. [ProgressTracker] and [Config] are faces over
// maps for users of the exported API.
package tracker

import (
	"cmp"
	"slices"

	"quorate.example/raft/quorum"
	pb "quorate.example/raft/raftpb"
)

// Peers is a configuration and all that is known of its members. The zero value has no members;
// [RestorePeers] makes one that has. A copy shares the slots of the original.
//
// Who does not lead knows nothing of the others but their parts and votes. So after [Peers.Reset] only
// these are held, at a sixth of the size; the slots are made when somebody first asks for one.
type Peers struct {
	slots   []Peer   // ascending by ID; not there if resting is
	resting []Member // ascending by ID; nil if slots are there
	base    uint64   // resting: the last index at the Reset

	incoming  int32 // voters in each half
	outgoing  int32
	autoLeave bool
}

// All returns the slots in ascending order of IDs. They are the ones that ps works on: callers may
// change what is known of a member, but not its ID or Role.
func (ps *Peers) All() []Peer {
	if len(ps.resting) > 0 {
		ps.wake()
	}
	return ps.slots
}

// wake makes the slots. It is rare, and inlined into the callers of All it would be most of them.
//
//go:noinline
func (ps *Peers) wake() {
	slots := make([]Peer, len(ps.resting))
	for i := range slots {
		slots[i] = ps.resting[i].peer(ps.base)
	}
	ps.slots, ps.resting = slots, nil
}

// peer returns the slot of a member of which nothing was heard since the Reset at index base.
func (m Member) peer(base uint64) Peer {
	p := Peer{Member: m, Progress: Progress{Next: base + 1, IsLearner: m.Role.Learner()}}
	if m.self {
		p.self, p.Match = false, base
	}
	return p
}

// Len returns the number of members.
func (ps *Peers) Len() int { return len(ps.slots) + len(ps.resting) }

// member returns the part and vote of the member at position i, to read or to set.
func (ps *Peers) member(i int) *Member {
	if len(ps.resting) > 0 {
		return &ps.resting[i]
	}
	return &ps.slots[i].Member
}

// Member returns the part and vote of the member at position i, counted from 0 in ascending order of IDs.
func (ps *Peers) Member(i int) Member { return *ps.member(i) }

// Peer returns a copy of all that is known of the member at position i.
func (ps *Peers) Peer(i int) Peer {
	if len(ps.resting) > 0 {
		return ps.resting[i].peer(ps.base)
	}
	return ps.slots[i]
}

// Has reports whether there is a member with this ID.
func (ps *Peers) Has(id uint64) bool {
	i := id - 1 // as in Get
	return i < uint64(len(ps.slots)) && ps.slots[i].ID == id || ps.hasFar(id)
}

func (ps *Peers) hasFar(id uint64) bool {
	_, found := ps.find(id)
	return found
}

// Role returns the part of a member, no role for an unknown ID.
func (ps *Peers) Role(id uint64) Role {
	if i, found := ps.find(id); found {
		return ps.member(i).Role
	}
	return 0
}

// Joint reports whether the configuration is joint: it has an outgoing half.
func (ps *Peers) Joint() bool { return ps.outgoing > 0 }

// AutoLeave reports whether the leader leaves the joint configuration by itself.
func (ps *Peers) AutoLeave() bool { return ps.autoLeave }

// Singleton reports whether there is exactly one voter, and no joint configuration.
func (ps *Peers) Singleton() bool { return ps.incoming == 1 && ps.outgoing == 0 }

// Voters returns the number of voters in each half.
func (ps *Peers) Voters() (incoming, outgoing int) {
	return int(ps.incoming), int(ps.outgoing)
}

// IsVoter reports whether the member votes, in either half; false for an unknown one.
func (ps *Peers) IsVoter(id uint64) bool {
	return ps.Role(id).Voter()
}

// Get returns the slot of a member, nil for an unknown ID. It is good until the configuration
// changes or [Peers.Reset].
func (ps *Peers) Get(id uint64) *Peer {
	// IDs are often 1, 2, 3 and so on: then the first guess is right.
	if i := id - 1; i < uint64(len(ps.slots)) && ps.slots[i].ID == id {
		return &ps.slots[i]
	}
	return ps.getFar(id)
}

func (ps *Peers) getFar(id uint64) *Peer {
	if i, found := ps.find(id); found {
		return &ps.All()[i]
	}
	return nil
}

// linearMax is the number of members up to which a plain scan finds an ID fastest.
const linearMax = 7

// find returns the position of a member, or where it would have to be put.
func (ps *Peers) find(id uint64) (at int, found bool) {
	if len(ps.resting) > 0 {
		return slices.BinarySearchFunc(ps.resting, id, func(m Member, id uint64) int { return cmp.Compare(m.ID, id) })
	}
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

// Unqueue sets Queued to 0 for all.
func (ps *Peers) Unqueue() {
	for i := range ps.slots { // resting members have none
		ps.slots[i].Queued = 0
	}
}

// Rest lets go of windows that are empty.
func (ps *Peers) Rest() {
	for i := range ps.slots {
		if p := &ps.slots[i]; p.Inflights != nil && p.Inflights.count == 0 {
			p.Inflights = nil
		}
	}
}

// Reset starts a new term: nothing is known of anybody, except that self has its own log up to
// lastIndex. Ballots, acknowledgements and windows are dropped.
func (ps *Peers) Reset(self, lastIndex uint64) {
	if len(ps.slots) > 0 {
		ps.resting = make([]Member, len(ps.slots))
		for i := range ps.slots {
			ps.resting[i] = Member{ID: ps.slots[i].ID, Role: ps.slots[i].Role}
		}
		ps.slots = nil
	}
	for i := range ps.resting {
		m := &ps.resting[i]
		m.Ballot, m.Queued, m.self = NoBallot, 0, m.ID == self
	}
	ps.base = lastIndex
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
	m := make(ProgressMap, ps.Len())
	for i := 0; i < ps.Len(); i++ {
		p := ps.Peer(i)
		pr := p.Progress
		m[p.ID] = &pr
	}
	return m
}

// having returns the IDs of the members with a role, ascending; nil for none.
func (ps *Peers) having(r Role) []uint64 {
	var ids []uint64
	for i := 0; i < ps.Len(); i++ {
		if m := ps.member(i); m.Role&r != 0 {
			ids = append(ids, m.ID)
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
