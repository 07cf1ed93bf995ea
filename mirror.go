package raft

// deviation is a deliberate difference from go.etcd.io/raft v3.6.0. Each has a line and a test in
// docs/compatibility.md, one branch in the code, and is off with Config.Mirror36.
type deviation uint32

const (
	// D1: messages that are not possible from a correct peer are refused with an error.
	d1RefuseImpossible deviation = 1 << iota
	// D2: a configuration change that a leader cannot take yet is refused with a typed error.
	d2TypedConfRefusal
	// D3: late acknowledgements of a removed member do not count for one that came back under its ID.
	d3FloorAfterRemoval
	// D4 needs no switch: v3.6.0 panics where this member reports LostDurableState.
	_
	// D5: the uncommitted size of a new leader counts what it inherited.
	d5InheritedQuota
	// D6: a refused proposal leaves no trace in the gate for configuration changes.
	d6QuotaBeforeGate
	// D7: a snapshot that nobody answers is given up after Config.SnapshotTimeout.
	d7SnapshotTimeout
	// D8: sending TimeoutNow ends the lease for reads for the rest of the leadership.
	d8TransferEndsLease
	// D9: reads that wait are bounded.
	d9BoundedReads
	// D10: reads that were waiting for the first commit of a term share one round of heartbeats.
	d10OneRoundForReads
	// D11: a forwarded proposal that came from the leader it would go to, or that has been passed on
	// too often, is dropped.
	d11NoForwardingLoop
	// D12: a vote request of the very leader that is followed is not refused on its own behalf.
	d12OwnLeaderMayAsk
	// D13: Status.Config.AutoLeave is what is in force; v3.6.0 always reports false.
	d13StatusAutoLeave
	// D14: a single voter, too, answers reads only when an entry of its term is committed: after a
	// restart its commit index may be behind what it acknowledged.
	d14SingleVoterReadWaits
	// D15: a lease for reads counts from the sending of a heartbeat that a quorum answered, and voters
	// keep their side of it.
	d15LeaseCountsFromSending
	// D16: reads are answered without a round only by a leader that is a quorum by itself: the single
	// voter, and not a removed leader with a single voter left; also in both halves of a joint
	// configuration, and for reads that wait when it becomes one.
	d16OwnQuorum
	// D17: a configuration change that was handed out before a snapshot came, and is applied while the
	// snapshot is on its way to disk, does not change the snapshot's configuration.
	d17ChangeBeforeSnapshot
	// D18: a member that refuses what it had acknowledged is reported, and not asked again at once.
	d18RefusalAtMatch
	// D19: vote requests and refusals tell what is committed.
	d19VotesTellCommit
	// D20: with StepDownOnRemoval a leader that is removed first makes sure that a quorum knows of it,
	// and hands over.
	d20HandOverOnRemoval
	// D21: a search for the place where two logs agree that has gone back by many terms goes on by
	// doubling steps.
	d21LongSearch

	allDeviations deviation = 1<<iota - 1
)

// deviates reports whether d is in force for this member.
func (r *raft) deviates(d deviation) bool { return r.cfg.deviations&d != 0 }
