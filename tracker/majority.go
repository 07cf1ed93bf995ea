package tracker

import "quorate.example/raft/quorum"

// What the voters have agreed on. In a joint configuration, both halves have to agree (thesis 4.3);
// a learner's word counts for nothing.

// Voters that fit on the stack: small groups must not pay for clearing the room of large ones.
const (
	fewVoters  = 8
	manyVoters = 128
)

// Committed returns the highest index that Match has reached on a quorum, math.MaxUint64 if there
// are no voters. It does not allocate for up to 128 voters in a half.
func (ps *Peers) Committed() uint64 {
	return ps.Quorum(match)
}

func match(p *Peer) uint64 { return p.Match }

// Quorum returns the highest number that known has reached on a quorum of the voters,
// math.MaxUint64 if there are no voters. It does not allocate for up to 128 voters in a half.
func (ps *Peers) Quorum(known func(*Peer) uint64) uint64 {
	switch n := max(ps.incoming, ps.outgoing); {
	case n <= fewVoters:
		var room [fewVoters]uint64
		return ps.quorumIn(room[:], known)
	case n <= manyVoters:
		return ps.quorumOfMany(known)
	default:
		return ps.quorumIn(make([]uint64, n), known)
	}
}

// quorumOfMany is apart so that only its own frame is large.
//
//go:noinline
func (ps *Peers) quorumOfMany(known func(*Peer) uint64) uint64 {
	var room [manyVoters]uint64
	return ps.quorumIn(room[:], known)
}

func (ps *Peers) quorumIn(room []uint64, known func(*Peer) uint64) uint64 {
	agreed := quorum.MajorityIndex(ps.collect(room, Incoming, known))
	if ps.outgoing == 0 {
		return agreed
	}
	return min(agreed, quorum.MajorityIndex(ps.collect(room, Outgoing, known)))
}

// collect puts what is known of the voters of one half into room.
func (ps *Peers) collect(room []uint64, half Role, known func(*Peer) uint64) []uint64 {
	n := 0
	slots := ps.All()
	for i := range slots {
		if p := &slots[i]; p.Role&half != 0 {
			room[n] = known(p)
			n++
		}
	}
	return room[:n]
}

// CommittedAbove reports whether Match has reached index on a quorum. It is cheaper than Committed.
func (ps *Peers) CommittedAbove(index uint64) bool {
	ps.All()
	return ps.reached(index, Incoming, int(ps.incoming)) &&
		(ps.outgoing == 0 || ps.reached(index, Outgoing, int(ps.outgoing)))
}

// reached, for slots that are there, reports whether Match has reached index on a majority of the voters of one half.
func (ps *Peers) reached(index uint64, half Role, voters int) bool {
	missing := voters/2 + 1
	if voters == 0 {
		missing = 0
	}
	for i := 0; missing > 0 && i < len(ps.slots); i++ {
		if p := &ps.slots[i]; p.Match >= index && p.Role&half != 0 {
			missing--
		}
	}
	return missing == 0
}

// VotersAt returns how many voters, of the incoming half, have index: their Match has reached it.
func (ps *Peers) VotersAt(index uint64) int {
	n := 0
	slots := ps.All()
	for i := range slots {
		if p := &slots[i]; p.Match >= index && p.Role&Incoming != 0 {
			n++
		}
	}
	return n
}

// QuorumActive reports whether a quorum of the voters was heard of recently. Thesis 6.2.
func (ps *Peers) QuorumActive() bool {
	var yes tally
	slots := ps.All()
	for i := range slots {
		if p := &slots[i]; p.RecentActive {
			yes.add(p.Role)
		}
	}
	return ps.result(yes, tally{}) == quorum.VoteWon
}

// RecordBallot notes a member's answer to a candidate. The first answer counts; an unknown
// member's does not.
func (ps *Peers) RecordBallot(id uint64, granted bool) {
	i, found := ps.find(id)
	if !found {
		return
	}
	if m := ps.member(i); m.Ballot == NoBallot {
		m.Ballot = Refused
		if granted {
			m.Ballot = Granted
		}
	}
}

// ResetBallots forgets all answers.
func (ps *Peers) ResetBallots() {
	for i := 0; i < ps.Len(); i++ {
		ps.member(i).Ballot = NoBallot
	}
}

// Tally returns how many voters granted and refused their vote, each counted once, and what comes
// of it.
func (ps *Peers) Tally() (granted, refused int, result quorum.VoteResult) {
	var yes, no tally
	for i := 0; i < ps.Len(); i++ {
		switch p := ps.member(i); {
		case !p.Role.Voter() || p.Ballot == NoBallot:
		case p.Ballot == Granted:
			granted++
			yes.add(p.Role)
		default:
			refused++
			no.add(p.Role)
		}
	}
	return granted, refused, ps.result(yes, no)
}

// tally counts voters by half.
type tally struct{ incoming, outgoing int }

func (t *tally) add(r Role) {
	t.incoming += int(r & Incoming)
	t.outgoing += int(r & Outgoing / Outgoing)
}

func (ps *Peers) result(yes, no tally) quorum.VoteResult {
	return quorum.Both(
		quorum.MajorityVote(yes.incoming, no.incoming, int(ps.incoming)),
		quorum.MajorityVote(yes.outgoing, no.outgoing, int(ps.outgoing)),
	)
}
