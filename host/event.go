package host

import (
	"fmt"
	"time"
)

// EventKind says what an Event is about.
type EventKind string

// The kinds of events.
const (
	EventLeader           EventKind = "leader"            // a leader is known: Member
	EventLeaderLost       EventKind = "leader lost"       // Member leads no more
	EventCampaign         EventKind = "campaign"          // this member asks for votes
	EventVoteRefused      EventKind = "vote refused"      // to Member
	EventConfiguration    EventKind = "configuration"     // a new one is in force, at Index
	EventRemoved          EventKind = "removed"           // this member is not part of the group any more
	EventChangeSkipped    EventKind = "change skipped"    // a committed change did not fit
	EventMemberStuck      EventKind = "member stuck"      // Member does not catch up
	EventMemberBack       EventKind = "member back"       // and does again
	EventSnapshotTaken    EventKind = "snapshot taken"    // of this member's state, at Index
	EventSnapshotSent     EventKind = "snapshot sent"     // to Member
	EventSnapshotFailed   EventKind = "snapshot failed"   // taking one, or sending one to Member
	EventSnapshotReceived EventKind = "snapshot received" // and installed, from Member
	EventSnapshotRefused  EventKind = "snapshot refused"  // one of Member was not needed or not valid
	EventCompacted        EventKind = "log shortened"     // up to Index
	EventDropped          EventKind = "proposals dropped" // Count of them
	EventUnreachable      EventKind = "unreachable"       // messages to Member were lost
	EventLostState        EventKind = "lost state"        // Member's disk lost what it had acknowledged
	EventTransfer         EventKind = "transfer"          // of the leadership to Member began or ended
	EventStopped          EventKind = "stopped"           // this replica
)

// Event is something that an operator may want to know, with the reason.
type Event struct {
	Number uint64    `json:"number"` // counts from 1; a gap shows that some were missed
	Time   time.Time `json:"time"`
	Kind   EventKind `json:"kind"`
	Term   uint64    `json:"term"`
	Member uint64    `json:"member,omitempty"`
	Index  uint64    `json:"index,omitempty"`
	Count  uint64    `json:"count,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// String returns e in one line.
func (e Event) String() string {
	s := fmt.Sprintf("term %d: %s", e.Term, e.Kind)
	if e.Member != 0 {
		s += fmt.Sprintf(", member %d", e.Member)
	}
	if e.Index != 0 {
		s += fmt.Sprintf(", index %d", e.Index)
	}
	if e.Count != 0 {
		s += fmt.Sprintf(", %d times", e.Count)
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}
