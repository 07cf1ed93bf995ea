package tracker

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// StateType says how the leader feeds a follower.
type StateType uint64

const (
	// StateProbe sends one append at a time: the leader does not know yet where the logs part.
	StateProbe StateType = iota
	// StateReplicate streams appends ahead of the acknowledgements, as far as the window goes.
	StateReplicate
	// StateSnapshot sends no appends until the follower has a snapshot.
	StateSnapshot
)

// String returns the name of the constant, or StateType(n) for a value that is none.
func (st StateType) String() string {
	switch st {
	case StateProbe:
		return "StateProbe"
	case StateReplicate:
		return "StateReplicate"
	case StateSnapshot:
		return "StateSnapshot"
	}
	return "StateType(" + strconv.FormatUint(uint64(st), 10) + ")"
}

// Progress is what the leader knows of one follower's log, and how it feeds it. It always holds
// that Match < Next. Thesis 3.5, 10.2.1.
type Progress struct {
	// Match is the highest index known to be in the follower's log as in the leader's.
	Match uint64
	// Next is the index of the next entry to send: everything below is known or on its way.
	Next uint64

	// sentCommit is the highest commit index on its way to the follower. It falls back where an
	// append that carried it may be lost.
	sentCommit uint64

	// State says how the follower is fed.
	State StateType
	// PendingSnapshot is the last index of the snapshot on its way in StateSnapshot, otherwise 0.
	PendingSnapshot uint64

	// RecentActive says that the follower was heard of since the leader last checked its quorum.
	RecentActive bool
	// MsgAppFlowPaused says that appends have to wait: in StateProbe for the answer to the last
	// one, in StateReplicate for room in the window.
	MsgAppFlowPaused bool
	// IsLearner says that the member does not vote.
	IsLearner bool
	// refusals counts those of this probing; it stops at its highest value.
	refusals uint8

	// Inflights is the window of StateReplicate; nil until it is needed.
	Inflights *Inflights
}

// ResetState enters a state: no pause, no snapshot, an empty window. Match and Next stay.
func (pr *Progress) ResetState(state StateType) {
	pr.State = state
	pr.MsgAppFlowPaused = false
	pr.refusals = 0
	pr.PendingSnapshot = 0
	pr.Inflights.clear()
}

// BecomeProbe enters StateProbe, right behind what the follower is known to have. Coming from
// StateSnapshot, the snapshot is taken for arrived: if it is not, the first probe tells.
func (pr *Progress) BecomeProbe() {
	next := pr.Match + 1
	if pr.State == StateSnapshot {
		next = max(next, pr.PendingSnapshot+1)
	}
	pr.ResetState(StateProbe)
	pr.sendFrom(next)
}

// BecomeReplicate enters StateReplicate, right behind Match.
func (pr *Progress) BecomeReplicate() {
	pr.ResetState(StateReplicate)
	pr.Next = pr.Match + 1
}

// BecomeSnapshot enters StateSnapshot: a snapshot up to index snapshoti is on its way, and the
// follower will know that as committed.
func (pr *Progress) BecomeSnapshot(snapshoti uint64) {
	pr.ResetState(StateSnapshot)
	pr.PendingSnapshot = snapshoti
	pr.Next = snapshoti + 1
	pr.sentCommit = snapshoti
}

// sendFrom moves Next back. What went beyond it may be lost, and a commit index with it.
func (pr *Progress) sendFrom(next uint64) {
	pr.Next = next
	pr.sentCommit = min(pr.sentCommit, next-1)
}

// SentEntries notes that an append with the given number of entries and their bytes was sent from
// Next. It must not be called in StateSnapshot, which sends none.
func (pr *Progress) SentEntries(entries int, bytes uint64) {
	switch pr.State {
	case StateProbe:
		// Next stays: the probe asks whether the log before it agrees.
		if entries > 0 {
			pr.MsgAppFlowPaused = true
		}
	case StateReplicate:
		if entries > 0 {
			pr.Next += uint64(entries)
			pr.Inflights.Add(pr.Next-1, bytes)
		}
		pr.MsgAppFlowPaused = pr.Inflights.Full()
	default:
		panic("tracker: entries sent to a follower in " + pr.State.String())
	}
}

// CanBumpCommit reports whether an append with commit index index would tell the follower more:
// index is above the one already sent, and that one is below what the follower can take.
func (pr *Progress) CanBumpCommit(index uint64) bool {
	return pr.sentCommit < index && pr.sentCommit < pr.Next-1
}

// SentCommit notes that commit is on its way to the follower.
func (pr *Progress) SentCommit(commit uint64) {
	pr.sentCommit = commit
}

// CommitSent returns the highest commit index on its way to the follower, as set by SentCommit and
// moved back where it may have been lost.
func (pr *Progress) CommitSent() uint64 {
	return pr.sentCommit
}

// MaybeUpdate takes an acknowledgement of everything up to n. It reports whether that is news.
func (pr *Progress) MaybeUpdate(n uint64) bool {
	if n <= pr.Match {
		return false
	}
	pr.Match = n
	pr.Next = max(pr.Next, n+1)
	pr.MsgAppFlowPaused = false
	return true
}

// MaybeDecrTo takes the refusal of an append that followed the entry at index rejected; matchHint
// is where the logs may agree. It moves Next back, never to or below Match, and reports whether
// it did: a refusal that later news has overtaken is ignored.
func (pr *Progress) MaybeDecrTo(rejected, matchHint uint64) bool {
	if pr.State == StateReplicate {
		// Match is certain here, so there is nothing to search for.
		if rejected <= pr.Match {
			return false
		}
		pr.sendFrom(pr.Match + 1)
		return true
	}
	// One append at a time: a refusal that is not of the last one is stale.
	if rejected != pr.Next-1 {
		return false
	}
	if pr.refusals < math.MaxUint8 {
		pr.refusals++
	}
	pr.sendFrom(max(pr.Match+1, min(rejected, matchHint+1)))
	pr.MsgAppFlowPaused = false
	return true
}

// Refusals returns how many probes the follower has refused since StateProbe began, up to 255.
func (pr *Progress) Refusals() int { return int(pr.refusals) }

// IsPaused reports whether no append may be sent now.
func (pr *Progress) IsPaused() bool {
	return pr.MsgAppFlowPaused || pr.State == StateSnapshot
}

// String returns one line for people, as in
//
//	StateReplicate match=11 next=15 learner paused pendingSnap=9 inactive inflight=3[full]
func (pr *Progress) String() string {
	line := fmt.Sprintf("%s match=%d next=%d", pr.State, pr.Match, pr.Next)
	if pr.IsLearner {
		line += " learner"
	}
	if pr.IsPaused() {
		line += " paused"
	}
	if pr.PendingSnapshot > 0 {
		line += fmt.Sprintf(" pendingSnap=%d", pr.PendingSnapshot)
	}
	if !pr.RecentActive {
		line += " inactive"
	}
	if n := pr.Inflights.Count(); n > 0 {
		line += fmt.Sprintf(" inflight=%d", n)
		if pr.Inflights.Full() {
			line += "[full]"
		}
	}
	return line
}

// ProgressMap holds the progress of each member by ID.
type ProgressMap map[uint64]*Progress

// String returns one line per member, in order of IDs.
func (m ProgressMap) String() string {
	var lines strings.Builder
	for _, id := range m.ids() {
		fmt.Fprintf(&lines, "%d: %s\n", id, m[id])
	}
	return lines.String()
}

// ids returns the members in ascending order.
func (m ProgressMap) ids() []uint64 {
	ids := make([]uint64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
