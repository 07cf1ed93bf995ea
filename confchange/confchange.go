// Package confchange changes the configuration that a [tracker.ProgressTracker] holds. It is a face
// over maps for users of the exported API: the rules are those of [tracker.Peers].
package confchange

import (
	"fmt"
	"strings"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// Changer makes new configurations from that of a tracker, which it never changes. Thesis 4.
//
// The maps that its methods return are new, and so is the progress in them; windows of members
// that stay are those of the tracker. With an error, both results are empty. It is an error, too,
// if the configuration and the progress of Tracker contradict each other.
type Changer struct {
	// Tracker holds the configuration to start from.
	Tracker tracker.ProgressTracker
	// LastIndex is the last index of the leader's log, where probing of new members starts.
	LastIndex uint64
}

// Simple applies changes that touch one voter at most, outside a joint configuration. Thesis 4.2.
func (c Changer) Simple(ccs ...pb.ConfChangeSingle) (tracker.Config, tracker.ProgressMap, error) {
	return c.change(func(ps *tracker.Peers) (tracker.Peers, error) {
		return ps.Simple(c.LastIndex, ccs...)
	})
}

// EnterJoint goes into a joint configuration: the voters of now, and those that any number of
// changes make of them. autoLeave says that the leader leaves it by itself. Thesis 4.3.
func (c Changer) EnterJoint(
	autoLeave bool, ccs ...pb.ConfChangeSingle,
) (tracker.Config, tracker.ProgressMap, error) {
	return c.change(func(ps *tracker.Peers) (tracker.Peers, error) {
		return ps.EnterJoint(c.LastIndex, autoLeave, ccs...)
	})
}

// LeaveJoint ends a joint configuration: its incoming half remains. Thesis 4.3.
func (c Changer) LeaveJoint() (tracker.Config, tracker.ProgressMap, error) {
	return c.change((*tracker.Peers).LeaveJoint)
}

// Restore returns the configuration that cs describes, when chg has a tracker without members, and
// all progress new. It returns an error for a ConfState that contradicts itself.
func Restore(chg Changer, cs pb.ConfState) (tracker.Config, tracker.ProgressMap, error) {
	return chg.change(func(ps *tracker.Peers) (tracker.Peers, error) {
		return ps.Restore(cs, chg.LastIndex)
	})
}

// change takes the maps of c through a change in dense form.
func (c Changer) change(
	rule func(*tracker.Peers) (tracker.Peers, error),
) (tracker.Config, tracker.ProgressMap, error) {
	before, err := c.Tracker.Peers()
	if err != nil {
		return tracker.Config{}, nil, err
	}
	after, err := rule(&before)
	if err != nil {
		return tracker.Config{}, nil, err
	}
	members := after.All()
	for i := range members {
		members[i].Window(c.Tracker.MaxInflight, c.Tracker.MaxInflightBytes)
	}
	return after.Config(), after.ProgressMap(), nil
}

// Describe returns changes as text, as in "ConfChangeAddNode(1) ConfChangeRemoveNode(2)".
func Describe(ccs ...pb.ConfChangeSingle) string {
	var text strings.Builder
	for i, cc := range ccs {
		if i > 0 {
			text.WriteByte(' ')
		}
		fmt.Fprintf(&text, "%s(%d)", cc.Type, cc.NodeID)
	}
	return text.String()
}
