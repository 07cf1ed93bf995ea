package raft

// Event is something an operator should know of; see Config.OnEvent. The types are those in this
// file; more may be added.
type Event interface{ event() }

// LostDurableState says that this member's log lacks entries that it once acknowledged: the leader
// knows them to be here, and committed. A disk lied about a sync, or was replaced. Until the log
// reaches Commit again the member neither votes nor campaigns, since its vote could elect a leader
// that lacks committed entries. If the leader cannot repair it (the entries are not sent again), the
// member must be removed and added again.
type LostDurableState struct {
	Leader    uint64 // who said so
	Term      uint64
	Commit    uint64 // what the leader knows to be committed and here
	LastIndex uint64 // what is here
}

func (LostDurableState) event() {}

// PeerLostDurableState says that another member refuses what it had acknowledged to this leader: its
// disk lost entries, or a refusal of long ago was delivered once more. The leader does not count less for
// it; if it is repeated with each heartbeat, remove the member and add it again.
type PeerLostDurableState struct {
	ID    uint64
	Match uint64 // what it had acknowledged
	Index uint64 // the highest position that it names now
}

func (PeerLostDurableState) event() {}

// ConfChangeSkipped says that a committed configuration change did not fit the configuration when it
// was applied and was skipped, as on every other member.
type ConfChangeSkipped struct {
	Reason error
}

func (ConfChangeSkipped) event() {}

// SnapshotGivenUp says that a member did not answer a snapshot in time and is probed again.
type SnapshotGivenUp struct {
	To    uint64
	Index uint64
	Ticks int // how long the leader waited
}

func (SnapshotGivenUp) event() {}

func (r *raft) emitEvent(e Event) {
	if r.rare != nil && r.rare.hooks.event != nil {
		r.rare.hooks.event.HandleEvent(e)
	}
}
