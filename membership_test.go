package raft_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Membership changes (thesis 4).

// change proposes a change of the form "v1 l2 r3" at a leader.
func (g *group) change(lead uint64, changes string, how pb.ConfChangeTransition) error {
	g.t.Helper()
	ccs, err := pb.ConfChangesFromString(changes)
	require.NoError(g.t, err)
	return g.get(lead).ProposeConfChange(pb.ConfChangeV2{Changes: ccs, Transition: how})
}

const (
	auto     = pb.ConfChangeTransitionAuto
	implicit = pb.ConfChangeTransitionJointImplicit
	explicit = pb.ConfChangeTransitionJointExplicit
)

// joins adds a member that has the state that all of the group started from, and is not in the
// configuration yet.
func (g *group) joins(id uint64, opts ...option) *member {
	g.t.Helper()
	snap, err := g.get(1).store.Snapshot()
	require.NoError(g.t, err)
	return g.add(id, snap.Metadata.ConfState, opts...)
}

// blank adds a member that knows nothing, not even a snapshot.
func (g *group) blank(id uint64, opts ...option) *member {
	g.t.Helper()
	return g.start(id, raft.NewMemoryStorage(), opts...)
}

func conf(g *group, id uint64) string { return g.get(id).Status().Config.String() }

func stepDown(c *raft.Config) { c.StepDownOnRemoval = true }

// A single change takes effect when it is applied, on every member, in both forms of the message
// (thesis 4.1, 4.2).
func TestSingleChangesTakeEffectWhenApplied(t *testing.T) {
	for want, cc := range map[string]pb.ConfChangeI{
		"voters=(1 2 3 4)":            pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: 4},
		"voters=(1 2 3) learners=(4)": pb.ConfChangeV2{Changes: []pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode, NodeID: 4}}},
		"voters=(1 2)":                pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 3},
		"voters=(1 2) learners=(3)":   &pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: 3},
		"voters=(1 2 3)":              &pb.ConfChange{Type: pb.ConfChangeUpdateNode, NodeID: 3},
	} {
		for mode, opts := range map[string][]option{"sync": nil, "async": {async}, "eager": {eager}} {
			g := newGroup(t, 3, opts...)
			g.elect(1)
			g.joins(4, opts...)
			require.NoError(t, g.get(1).ProposeConfChange(cc))
			require.Equal(t, "voters=(1 2 3)", conf(g, 1), "only proposed")
			g.settle()
			g.commit(1, "after")
			require.Equal(t, want, conf(g, 1), mode)
			require.Equal(t, want, conf(g, 2), mode)
			require.Contains(t, g.get(2).values(), "after")
		}
	}
}

// A new member starts with nothing and gets the whole log, without the leader being told where it is
// (thesis 4.2.1).
func TestNewMemberGetsTheLog(t *testing.T) {
	for name, compacted := range map[string]bool{"by appends": false, "by snapshot": true} {
		compacted := compacted
		t.Run(name, func(t *testing.T) {
			store := raft.NewMemoryStorage()
			g := newGroupOf(t, pb.ConfState{})
			rn := g.start(1, store)
			require.NoError(t, rn.Bootstrap([]raft.Peer{{ID: 1}}))
			g.settle()
			g.elect(1)
			g.commit(1, "a", "b")
			g.blank(2)
			g.isolate(2)
			require.NoError(t, g.change(1, "v2", auto))
			g.settle()
			if compacted {
				g.compact(1) // the snapshot must name the new member
			}
			g.heal()
			g.ticks(2, 1)
			g.commit(1, "c")
			require.Equal(t, "voters=(1 2)", conf(g, 2))
			require.Equal(t, g.commitOf(1), g.commitOf(2))
			require.Contains(t, g.get(2).values(), "c")
		})
	}
}

// A learner gets the log and does not count: neither for commitment nor for an election (thesis 4.2.1).
func TestLearnersDoNotCount(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4, 5}})
	g.elect(1)
	g.isolate(2)
	g.isolate(3)
	g.propose(1, "x")
	g.settle()
	require.Equal(t, uint64(2), g.commitOf(1), "two learners are no quorum")
	require.Equal(t, uint64(3), g.progress(1, 4).Match)
	g.heal()
	g.ticks(2, 1)
	require.Len(t, g.requireSame(1, 2, 3, 4, 5), 1)
	require.NoError(t, g.change(1, "v4", auto))
	g.settle()
	require.Equal(t, "voters=(1 2 3 4) learners=(5)", conf(g, 4))
	g.elect(4)
}

// A change of several members goes through a joint configuration, in which both majorities must agree;
// the leader leaves it by itself as soon as it has applied it, or waits for the host (thesis 4.3).
func TestJointConfigurationsAreEnteredAndLeft(t *testing.T) {
	for name, c := range map[string]struct {
		how       pb.ConfChangeTransition
		changes   string
		autoLeave bool
	}{
		"automatic": {auto, "r3 v4 v5", true},
		"implicit":  {implicit, "r3 v4 v5", true},
		"explicit":  {explicit, "r3 v4 v5", false},
	} {
		c := c
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3)
			g.joins(4)
			g.joins(5)
			g.elect(1)
			joint := ""
			g.lose = func(pb.Message) bool {
				if s := conf(g, 1); joint == "" && s != "voters=(1 2 3)" {
					joint = s
				}
				return false
			}
			require.NoError(t, g.change(1, c.changes, c.how))
			g.settle()
			g.ticks(3, 1)
			if c.autoLeave {
				require.Equal(t, "voters=(1 2 4 5)&&(1 2 3) autoleave", joint)
			} else {
				require.Equal(t, "voters=(1 2 4 5)&&(1 2 3)", joint)
				require.Equal(t, joint, conf(g, 2))
				require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChangeV2{}))
				g.settle()
			}
			g.commit(1, "after")
			for _, id := range []uint64{1, 2, 4, 5} {
				require.Equal(t, "voters=(1 2 4 5)", conf(g, id))
				require.Contains(t, g.get(id).values(), "after")
			}
		})
	}
}

// In a joint configuration, nothing commits and nobody is elected without a majority of each half
// (thesis 4.3).
func TestJointConfigurationNeedsBothMajorities(t *testing.T) {
	for _, c := range []struct {
		alive   []uint64
		commits bool
	}{
		{[]uint64{1, 2, 4}, true},
		{[]uint64{1, 2, 3}, false}, // all of the old half, one of the new
		{[]uint64{1, 4, 5}, false}, // all of the new half, one of the old
		{[]uint64{1, 2, 4, 5}, true},
		{[]uint64{1, 3, 4}, true},
	} {
		g := newGroupOf(t, pb.ConfState{Voters: []uint64{1, 4, 5}, VotersOutgoing: []uint64{1, 2, 3}})
		for _, id := range []uint64{2, 3} {
			g.add(id, g.get(1).conf)
		}
		g.elect(1)
		for _, id := range g.ids {
			g.isolate(id)
		}
		for _, a := range c.alive {
			for _, b := range c.alive {
				delete(g.cut, [2]uint64{a, b})
			}
		}
		before := g.commitOf(1)
		g.commit(1, "x")
		require.Equal(t, c.commits, g.commitOf(1) > before, "%v", c.alive)
		other := c.alive[1]
		require.NoError(t, g.get(other).Campaign())
		g.settle()
		require.Equal(t, c.commits, state(g, other) == raft.StateLeader, "%v", c.alive)
	}
}

// A voter that becomes a learner goes on voting for the old half until the joint configuration is left
// (thesis 4.3, LearnersNext).
func TestDemotionWaitsForTheOldHalf(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	require.NoError(t, g.change(1, "l2 l3", explicit))
	g.settle()
	require.Equal(t, "voters=(1)&&(1 2 3) learners_next=(2 3)", conf(g, 3))
	require.Equal(t, []uint64{2, 3}, g.get(1).conf.LearnersNext)
	require.False(t, g.progress(1, 2).IsLearner)
	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChangeV2{}))
	g.settle()
	require.Equal(t, "voters=(1) learners=(2 3)", conf(g, 3))
	require.True(t, g.progress(1, 2).IsLearner)
	g.commit(1, "alone")
	require.Equal(t, []string{"alone"}, g.requireSame(1, 2, 3))
}

// A leader that comes to power in an automatic joint configuration leaves it, once an entry of its own
// term, and so the joint entry, is committed under both majorities (B28).
func TestNewLeaderLeavesTheJointConfigurationOnlyWhenItIsCommitted(t *testing.T) {
	g := newGroup(t, 3)
	g.joins(4)
	g.elect(1)
	// 2 and 3 get the joint entry and do not learn that it is committed.
	require.NoError(t, g.change(1, "v4", implicit))
	for _, m := range g.emit(1) {
		g.step(m)
	}
	g.emit(2)
	g.emit(3)
	g.isolate(1)
	require.NoError(t, g.get(2).Campaign())
	g.lose = func(m pb.Message) bool { return m.Type == pb.MsgAppResp }
	g.settle()
	require.Equal(t, raft.StateLeader, state(g, 2))
	leaves := func() int {
		n := 0
		for _, e := range g.get(2).entries() {
			var cc pb.ConfChangeV2
			if e.Type == pb.EntryConfChangeV2 && cc.Unmarshal(e.Data) == nil && cc.LeaveJoint() {
				n++
			}
		}
		return n
	}
	g.ticks(3, 2)
	require.Zero(t, leaves(), "the joint entry is not committed yet")
	require.Equal(t, "voters=(1 2 3)", conf(g, 2))
	g.lose = nil
	g.ticks(3, 2)
	require.Equal(t, 1, leaves())
	require.Equal(t, "voters=(1 2 3 4)", conf(g, 2))
	require.Equal(t, "voters=(1 2 3 4)", conf(g, 4))
}

// A leader that loses its leadership in an automatic joint configuration leaves it to the next one to
// leave it (thesis 4.3).
func TestNextLeaderLeavesTheJointConfiguration(t *testing.T) {
	for mode, opts := range map[string][]option{"sync": nil, "async": {async}} {
		g := newGroup(t, 3, opts...)
		g.joins(4, opts...)
		g.elect(1)
		require.NoError(t, g.change(1, "v4 l3", implicit))
		// The joint entry is committed and applied everywhere, the leave entries of 1 are lost.
		g.lose = func(m pb.Message) bool {
			for _, e := range m.Entries {
				if e.Type == pb.EntryConfChangeV2 && len(e.Data) == 0 {
					return true
				}
			}
			return false
		}
		g.settle()
		require.Contains(t, conf(g, 2), "&&", mode)
		g.isolate(1)
		g.lose = nil
		require.NoError(t, g.get(2).Campaign())
		g.settle()
		g.ticks(3, 2)
		require.Equal(t, "voters=(1 2 4) learners=(3)", conf(g, 2), mode)
		require.Equal(t, "voters=(1 2 4) learners=(3)", conf(g, 3), mode)
	}
}

// ---- the gate

// At the leader, a change that cannot be taken now is refused with an error that says why, and an empty
// entry takes its place in the log (B23, D2).
func TestRefusedChangesSayWhy(t *testing.T) {
	pending := func(g *group) { require.NoError(g.t, g.change(1, "v4", auto)) }
	joint := func(g *group) {
		require.NoError(g.t, g.change(1, "l3", explicit))
		g.settle()
		require.Contains(g.t, conf(g, 1), "&&")
	}
	simple := func(*group) {}
	for _, c := range []struct {
		name   string
		before func(*group)
		cc     pb.ConfChangeI
		want   error
	}{
		{"another pending", pending, pb.ConfChange{NodeID: 5}, raft.ErrConfChangePending},
		{"another pending, joint", pending, pb.ConfChangeV2{Transition: explicit}, raft.ErrConfChangePending},
		{"must leave", joint, pb.ConfChange{NodeID: 5}, raft.ErrMustLeaveJoint},
		{"not joint", simple, pb.ConfChangeV2{}, raft.ErrNotJoint},
		{"fits", simple, pb.ConfChange{NodeID: 5}, nil},
		{"leaves", joint, pb.ConfChangeV2{}, nil},
	} {
		for name, mirrored := range map[string]bool{"": false, " mirrored": true} {
			opts := []option{}
			want := c.want
			if mirrored {
				opts, want = append(opts, mirror), nil
			}
			g := newGroup(t, 3, opts...)
			g.elect(1)
			c.before(g)
			err := g.get(1).ProposeConfChange(c.cc)
			if want == nil {
				require.NoError(t, err, c.name+name)
			} else {
				require.ErrorIs(t, err, want, c.name+name)
			}
			g.emit(1)
			log := g.get(1).entries()
			last := log[len(log)-1]
			require.Equal(t, c.want != nil, last.Type == pb.EntryNormal, c.name+name)
			if c.want != nil {
				require.Empty(t, last.Data)
			}
		}
	}
}

// A proposal that also has other entries returns nil though a change in it was refused: its caller would
// propose the others twice (B23).
func TestRefusalAmongOtherEntriesReturnsNil(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	typ, data, err := pb.MarshalConfChange(pb.ConfChangeV2{})
	require.NoError(t, err)
	require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgProp, From: 2, Entries: []pb.Entry{
		{Data: []byte("a")}, {Type: typ, Data: data}, {Data: []byte("b")}}}))
	g.settle()
	require.Equal(t, []string{"a", "b"}, g.requireSame(1, 2, 3))
	require.Len(t, g.get(1).entries(), 4)
}

// Of two changes in one proposal the first is taken (thesis 4.1: one at a time).
func TestOneChangeAtATime(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	msg := pb.Message{Type: pb.MsgProp, From: 2}
	for id := uint64(4); id <= 5; id++ {
		typ, data, err := pb.MarshalConfChange(pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: id})
		require.NoError(t, err)
		msg.Entries = append(msg.Entries, pb.Entry{Type: typ, Data: data})
	}
	require.NoError(t, g.get(1).Step(msg))
	g.settle()
	require.Equal(t, "voters=(1 2 3) learners=(4)", conf(g, 2))
	require.NoError(t, g.change(1, "l5", auto), "the next one fits when the first is applied")
}

// A proposal that is dropped leaves no trace in the gate (D6).
func TestDroppedChangeLeavesTheGateOpen(t *testing.T) {
	for _, c := range []struct {
		opt  option
		want string
	}{
		{func(*raft.Config) {}, "voters=(1 2 3) learners=(4)"},
		{mirror, "voters=(1 2 3)"}, // v3.6.0 refuses the second one, silently
	} {
		g := newGroup(t, 3, func(c *raft.Config) { c.MaxUncommittedEntriesSize = 10 }, c.opt)
		g.elect(1)
		g.propose(1, "0123456789")
		require.ErrorIs(t, g.change(1, "l4", auto), raft.ErrProposalDropped)
		g.settle()
		require.NoError(t, g.change(1, "l4", auto))
		g.settle()
		require.Equal(t, c.want, conf(g, 1))
	}
}

// With DisableConfChangeValidation the gate is open, and what does not fit when it is applied is skipped
// on all members alike, with an event; nothing panics (B25).
func TestUnvalidatedChangesAreSkippedAlikeEverywhere(t *testing.T) {
	g := newGroup(t, 3, func(c *raft.Config) { c.DisableConfChangeValidation = true })
	g.elect(1)
	require.NoError(t, g.change(1, "l3", explicit))
	require.NoError(t, g.change(1, "l2", explicit)) // already joint by then
	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChangeV2{}))
	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChangeV2{})) // no longer joint
	require.NoError(t, g.change(1, "r1 r2", auto))                    // would leave no voter
	g.settle()
	for id := uint64(1); id <= 3; id++ {
		require.Equal(t, "voters=(1 2) learners=(3)", conf(g, id))
		skipped := 0
		for _, e := range g.get(id).events {
			if s, ok := e.(raft.ConfChangeSkipped); ok {
				require.Error(t, s.Reason)
				skipped++
			}
		}
		require.Equal(t, 3, skipped, "member %d: %v", id, g.get(id).events)
	}
	g.commit(1, "goes on")
	require.Equal(t, []string{"goes on"}, g.requireSame(1, 2, 3))
}

// A new leader takes no change before it has applied what it inherited, which may hold one (thesis 4.1).
func TestNoChangeBeforeTheInheritedOnesAreApplied(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	require.NoError(t, g.change(1, "l4", auto))
	for _, m := range g.emit(1) {
		g.step(m)
	}
	g.emit(2)
	g.isolate(1)
	require.NoError(t, g.get(2).Campaign())
	g.lose = func(m pb.Message) bool { return m.Type == pb.MsgAppResp }
	g.settle()
	require.Equal(t, raft.StateLeader, state(g, 2))
	require.ErrorIs(t, g.change(2, "r3", auto), raft.ErrConfChangePending)
	g.lose = nil
	g.ticks(2, 2)
	require.NoError(t, g.change(2, "r3", auto))
}

// Leaders of successive terms each append a removal of their own: only one of them ever takes effect,
// since a change counts from its application and so is committed under the configuration before it
// (B17; thesis 4.1, as corrected in 2015).
func TestRemovalsOfSuccessiveLeadersDoNotBothTakeEffect(t *testing.T) {
	g := newGroup(t, 4)
	g.elect(1)
	g.isolate(1)
	require.NoError(t, g.change(1, "r1", auto))
	g.settle()
	g.elect(2)
	require.NoError(t, g.change(2, "r2", auto))
	g.settle()
	require.Equal(t, "voters=(1 2 3 4)", conf(g, 1))
	require.Equal(t, "voters=(1 3 4)", conf(g, 3))
	// The first one still leads its term, and cannot get a majority for its removal, not even from 2.
	g.commit(1, "nobody hears")
	g.step(pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: 4})
	g.emit(1)
	require.Equal(t, uint64(2), g.commitOf(1))
	require.Equal(t, "voters=(1 2 3 4)", conf(g, 1))
	g.heal()
	g.elect(3)
	g.ticks(3, 3)
	require.Equal(t, "voters=(1 3 4)", conf(g, 1))
	g.commit(3, "x")
	g.requireSame(1, 3, 4)
}

// The search for changes that are committed and not applied goes page by page: one far behind a long
// stretch of entries is found (B18).
func TestUnappliedChangeIsFoundBehindManyPages(t *testing.T) {
	small := func(c *raft.Config) { c.MaxCommittedSizePerReady = 100 }
	g := newGroup(t, 3)
	g.elect(1)
	for i := 0; i < 100; i++ {
		g.propose(1, fmt.Sprintf("value %d", i))
	}
	require.NoError(t, g.change(1, "l4", auto))
	g.settle()
	m := g.start(2, g.get(2).store, small)
	require.NoError(t, m.Campaign())
	require.Equal(t, raft.StateFollower, state(g, 2), "everything is committed and nothing applied")
	g.settle()
	require.NoError(t, m.Campaign())
	require.Equal(t, raft.StateCandidate, state(g, 2))
}

// ---- members that come back

// A member that restarts in a joint configuration is in it again, with all its parts, from a snapshot or
// from the log (B26).
func TestJointConfigurationSurvivesRestartAndSnapshot(t *testing.T) {
	g := newGroup(t, 4)
	g.elect(1)
	require.NoError(t, g.change(1, "l2 v5 r3", explicit))
	g.settle()
	const want = "voters=(1 4 5)&&(1 2 3 4) learners_next=(2)"
	require.Equal(t, want, conf(g, 4))

	// From the log: the change is applied again after the start.
	g.restart(4)
	g.settle()
	require.Equal(t, want, conf(g, 4))

	// From the member's own snapshot.
	g.compact(4)
	g.restart(4)
	require.Equal(t, want, conf(g, 4))
	require.NoError(t, pb.ConfState{Voters: []uint64{1, 4, 5}, VotersOutgoing: []uint64{1, 2, 3, 4},
		LearnersNext: []uint64{2}}.Equivalent(g.get(4).conf))

	// From the leader's snapshot, on a member that had nothing.
	g.compact(1)
	g.blank(5)
	g.ticks(3, 1)
	require.Equal(t, want, conf(g, 5))

	require.NoError(t, g.get(1).ProposeConfChange(pb.ConfChangeV2{}))
	g.settle()
	g.ticks(3, 1)
	for _, id := range []uint64{1, 4, 5} {
		require.Equal(t, "voters=(1 4 5) learners=(2)", conf(g, id))
	}
}

// An automatic joint configuration that a whole group was restarted in is left when there is a leader
// again (B26).
func TestAutomaticJointConfigurationIsLeftAfterRestart(t *testing.T) {
	state := pb.ConfState{Voters: []uint64{1, 2}, VotersOutgoing: []uint64{1, 2, 3}, LearnersNext: []uint64{3}, AutoLeave: true}
	g := newGroupOf(t, state)
	g.add(3, state)
	g.elect(1)
	g.ticks(2, 1)
	for id := uint64(1); id <= 3; id++ {
		require.Equal(t, "voters=(1 2) learners=(3)", conf(g, id))
	}
}

// ---- the leader itself is removed

// A leader that applies its own removal leads on without the option, not counting itself, until another
// takes over; it takes no proposals (thesis 4.2.2; B15, B16 without the option).
func TestRemovedLeaderLeadsOnWithoutTheOption(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	require.NoError(t, g.change(1, "r1", auto))
	g.settle()
	require.Equal(t, raft.StateLeader, state(g, 1))
	require.ErrorIs(t, g.get(1).Propose([]byte("x")), raft.ErrProposalDropped)
	require.Equal(t, "voters=(2 3)", conf(g, 2))
	g.elect(2)
	g.commit(2, "y")
	g.requireSame(2, 3)
}

// A leader that does not vote any more does not campaign after it has stepped down.
func TestRemovedLeaderDoesNotComeBack(t *testing.T) {
	for _, how := range []string{"r1", "l1"} {
		g := newGroup(t, 3, stepDown)
		g.elect(1)
		require.NoError(t, g.change(1, how, auto))
		g.settle()
		g.ticks(40, 1)
		require.NotEqual(t, raft.StateLeader, state(g, 1), how)
		require.NoError(t, g.get(1).Campaign())
		require.Equal(t, raft.StateFollower, state(g, 1), how)
		g.ticks(40, 2, 3)
		require.Contains(t, []uint64{2, 3}, g.leader())
		g.commit(g.leader(), "goes on")
		g.requireSame(2, 3)
	}
}

// A joint configuration that leaves the leader out is left by it all the same: it leads until it has
// applied the end of it (thesis 4.2.2, 4.3).
func TestLeaderLeavesTheJointConfigurationThatRemovesIt(t *testing.T) {
	for name, opts := range map[string][]option{"without": nil, "with the option": {stepDown}} {
		g := newGroup(t, 3, opts...)
		g.joins(4, opts...)
		g.elect(1)
		require.NoError(t, g.change(1, "r1 v4", implicit))
		g.settle()
		g.ticks(2, 1)
		for id := uint64(2); id <= 4; id++ {
			if id == 2 && len(opts) == 0 {
				continue
			}
			g.get(id).Tick()
		}
		g.ticks(40, 2, 3, 4)
		require.Equal(t, "voters=(2 3 4)", conf(g, 1), name)
		if g.leader() == 1 { // it heartbeats until somebody else campaigns
			require.NoError(t, g.get(2).Campaign())
			g.settle()
		}
		require.Contains(t, []uint64{2, 3, 4}, g.leader(), name)
		g.commit(g.leader(), "x")
		require.Equal(t, "voters=(2 3 4)", conf(g, 4), name)
	}
}

// Removing a voter makes the quorum smaller, and may commit what waits for it (thesis 4.2.2).
func TestRemovalCommitsWhatTheSmallerQuorumHas(t *testing.T) {
	g := newGroup(t, 2)
	g.elect(1)
	require.NoError(t, g.change(1, "r2", auto))
	g.emit(1)
	g.propose(1, "waits")
	g.emit(1)
	require.Equal(t, uint64(2), g.commitOf(1))
	g.step(pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: 3})
	g.settle()
	require.Equal(t, "voters=(1)", conf(g, 1))
	require.Equal(t, []string{"waits"}, g.get(1).values())
}

// ---- bootstrap

// A new group starts from Bootstrap: the same log on every member, one change each, with its context.
func TestBootstrapMakesTheSameLogEverywhere(t *testing.T) {
	peers := []raft.Peer{{ID: 1, Context: []byte("one")}, {ID: 2}, {ID: 3}}
	g := newGroupOf(t, pb.ConfState{})
	for id := uint64(1); id <= 3; id++ {
		m := g.start(id, raft.NewMemoryStorage())
		require.NoError(t, m.Bootstrap(peers))
		require.Equal(t, pb.HardState{Term: 1, Commit: 3}, m.BasicStatus().HardState)
	}
	g.settle()
	for id := uint64(1); id <= 3; id++ {
		require.Equal(t, g.get(1).entries(), g.get(id).entries())
		require.Equal(t, "voters=(1 2 3)", conf(g, id))
	}
	var cc pb.ConfChange
	require.NoError(t, cc.Unmarshal(g.get(2).entries()[0].Data))
	require.Equal(t, pb.ConfChange{NodeID: 1, Context: []byte("one")}, cc)
	g.elect(2)
	g.commit(2, "x")
	require.Equal(t, []string{"x"}, g.requireSame(1, 2, 3))
}

func TestBootstrapRefusesNoPeersAndUsedStorage(t *testing.T) {
	g := newGroup(t, 1)
	require.Error(t, g.get(1).Bootstrap([]raft.Peer{{ID: 1}}), "the storage is not empty")
	rn, err := raft.NewRawNode(testConfig(1, raft.NewMemoryStorage()))
	require.NoError(t, err)
	require.Error(t, rn.Bootstrap(nil))
	require.NoError(t, rn.Bootstrap([]raft.Peer{{ID: 1}}))
}

// StartNode does the same behind a Node, and says so when it is called without peers or with a Config
// that is wrong.
func TestStartNodeBootstraps(t *testing.T) {
	store := raft.NewMemoryStorage()
	require.Panics(t, func() { raft.StartNode(testConfig(1, store), nil) })
	require.Panics(t, func() { raft.StartNode(testConfig(0, store), []raft.Peer{{ID: 1}}) })
	n := raft.StartNode(testConfig(1, store), []raft.Peer{{ID: 1}})
	defer n.Stop()
	rd := <-n.Ready()
	require.Len(t, rd.Entries, 1)
	require.Equal(t, pb.EntryConfChange, rd.Entries[0].Type)
	require.Equal(t, rd.Entries, rd.CommittedEntries, "committed from the start")
	require.True(t, rd.MustSync)
	require.NoError(t, store.Append(rd.Entries))
	require.NoError(t, store.SetHardState(rd.HardState))
	n.ApplyConfChange(pb.ConfChange{NodeID: 1})
	n.Advance()
	require.NoError(t, n.Campaign(context.Background()))
	require.Equal(t, []uint64{1}, n.Status().Config.Voters[0].Slice())
}

// ---- ApplyConfChange

// A change that cannot be applied is skipped and the configuration returned as it is: it is committed,
// so there is nobody left to refuse it (B25, hostile messages).
func TestImpossibleChangesAreSkipped(t *testing.T) {
	single := func(typ pb.ConfChangeType, id uint64) pb.ConfChangeV2 {
		return pb.ConfChangeV2{Changes: []pb.ConfChangeSingle{{Type: typ, NodeID: id}}}
	}
	for name, cc := range map[string]pb.ConfChangeI{
		"removes all voters":   single(pb.ConfChangeRemoveNode, 1),
		"demotes all voters":   single(pb.ConfChangeAddLearnerNode, 1),
		"leaves when simple":   pb.ConfChangeV2{},
		"unknown type":         single(99, 2),
		"negative type":        single(-1, 2),
		"unknown type, old":    pb.ConfChange{Type: 77, NodeID: 2},
		"joint without voters": pb.ConfChangeV2{Transition: explicit, Changes: single(pb.ConfChangeRemoveNode, 1).Changes},
	} {
		g := newGroup(t, 1)
		g.elect(1)
		m := g.get(1)
		got := m.ApplyConfChange(cc)
		require.Equal(t, []uint64{1}, got.Voters, name)
		require.Equal(t, "voters=(1)", conf(g, 1), name)
		require.Len(t, m.events, 1, name)
		require.IsType(t, raft.ConfChangeSkipped{}, m.events[0])
		require.Error(t, m.events[0].(raft.ConfChangeSkipped).Reason, name)
		g.commit(1, "goes on")
		require.Equal(t, []string{"goes on"}, m.values())
	}
}

// A transition that this release does not know is joint and automatic, which is safe for any change.
func TestUnknownTransitionIsJoint(t *testing.T) {
	g := newGroup(t, 1)
	g.elect(1)
	got := g.get(1).ApplyConfChange(pb.ConfChangeV2{Transition: 9, Changes: []pb.ConfChangeSingle{{NodeID: 2}}})
	require.Equal(t, []uint64{1}, got.VotersOutgoing)
	require.True(t, got.AutoLeave)
}

// A host that gives up a committed change applies it with its IDs cleared, and nothing changes.
func TestChangeWithoutIDsChangesNothing(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	got := g.get(1).ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode})
	require.Equal(t, []uint64{1, 2, 3}, got.Voters)
	require.Empty(t, g.get(1).events)
}
