package tracker

// Role is the part that a member has in the configuration: a set of bits, since in a joint
// configuration a member can have several. Thesis 4.2.1, 4.3.
type Role uint8

const (
	// Incoming is a voter of the configuration, in a joint one of the new half.
	Incoming Role = 1 << iota
	// Outgoing is a voter of the half that a joint configuration leaves behind.
	Outgoing
	// Learner receives the log and does not vote.
	Learner
	// LearnerNext is an outgoing voter that becomes a learner when the joint configuration ends.
	LearnerNext

	voting = Incoming | Outgoing
)

// Voter reports whether the member votes, in either half.
func (r Role) Voter() bool { return r&voting != 0 }

// Incoming reports whether the member votes in the incoming half.
func (r Role) Incoming() bool { return r&Incoming != 0 }

// Outgoing reports whether the member votes in the outgoing half.
func (r Role) Outgoing() bool { return r&Outgoing != 0 }

// Learner reports whether the member is a learner now, not only to become one.
func (r Role) Learner() bool { return r&Learner != 0 }

// LearnerNext reports whether the member becomes a learner when the joint configuration ends.
func (r Role) LearnerNext() bool { return r&LearnerNext != 0 }

// Ballot is a member's answer to a candidate.
type Ballot uint8

const (
	// NoBallot says that no answer has come.
	NoBallot Ballot = iota
	// Granted says that the member gave its vote.
	Granted
	// Refused says that it did not.
	Refused
)

// Member is what everybody knows of a member: its name, its part in the configuration, and its vote.
type Member struct {
	// ID and Role are the member's name and part; only the functions of this package set them.
	ID   uint64
	Role Role
	// Ballot is its answer in the election that is under way.
	Ballot Ballot

	self bool // it is the one that keeps this

	// Queued is 1 + the position of its last mark in the outgoing queue, 0 for none. Package raft
	// owns it.
	Queued uint32
}

// Peer is the one slot that holds all that is known of a member: its part in the configuration,
// its vote, what it acknowledged, and the progress of its log. A new term starts it anew with
// [Peers.Reset].
type Peer struct {
	Member

	// Progress is the progress of its log. IsLearner is kept in step with Role.
	Progress

	// ReadAck is the highest read number that it answered, 0 for the leader itself. Thesis 6.4.
	ReadAck uint64
	// TickAck is the highest tick of the leader that it answered, for the lease. Thesis 6.4.1.
	TickAck uint64
	// Floor is an index up to which acknowledgements may come from an earlier member of the same
	// ID, and prove nothing of this one's log.
	Floor uint64
}

// Window gives p an empty window if it has none. It takes maxInflight appends and maxBytes bytes; a
// maxBytes of zero sets no limit to the bytes.
func (p *Peer) Window(maxInflight int, maxBytes uint64) {
	if p.Inflights == nil {
		p.Inflights = NewInflights(maxInflight, maxBytes)
	}
}
