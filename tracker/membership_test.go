package tracker_test

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

func voter(id uint64) pb.ConfChangeSingle {
	return pb.ConfChangeSingle{Type: pb.ConfChangeAddNode, NodeID: id}
}

func learner(id uint64) pb.ConfChangeSingle {
	return pb.ConfChangeSingle{Type: pb.ConfChangeAddLearnerNode, NodeID: id}
}

func gone(id uint64) pb.ConfChangeSingle {
	return pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode, NodeID: id}
}

func updated(id uint64) pb.ConfChangeSingle {
	return pb.ConfChangeSingle{Type: pb.ConfChangeUpdateNode, NodeID: id}
}

func configOf(ps tracker.Peers) string { return ps.Config().String() }

func TestSimpleChangesMoveOneVoter(t *testing.T) {
	type changes = []pb.ConfChangeSingle
	ps := restored(t, pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}})
	before := fmt.Sprint(ps.All())
	for name, c := range map[string]struct {
		ccs  changes
		want string
	}{
		"none":                {nil, "voters=(1 2) learners=(3)"},
		"a voter":             {changes{voter(4)}, "voters=(1 2 4) learners=(3)"},
		"a promotion":         {changes{voter(3)}, "voters=(1 2 3)"},
		"a demotion":          {changes{learner(2)}, "voters=(1) learners=(2 3)"},
		"a removal":           {changes{gone(1)}, "voters=(2) learners=(3)"},
		"of somebody unknown": {changes{gone(9), updated(8)}, "voters=(1 2) learners=(3)"},
		"of nobody":           {changes{voter(0), learner(0), gone(0)}, "voters=(1 2) learners=(3)"},
		"a voter again":       {changes{voter(1), learner(3)}, "voters=(1 2) learners=(3)"},
		"out and in":          {changes{gone(1), voter(1)}, "voters=(1 2) learners=(3)"},
		"many learners":       {changes{learner(5), gone(3), learner(4), voter(6)}, "voters=(1 2 6) learners=(4 5)"},
	} {
		got, err := ps.Simple(7, c.ccs...)
		require.NoError(t, err, name)
		require.Equal(t, c.want, configOf(got), name)
		require.Equal(t, before, fmt.Sprint(ps.All()), name)
	}
}

func TestSimpleChangesRefuseWhatIsNotSimple(t *testing.T) {
	const several = "more than one voter changed without entering joint config"
	ps := restored(t, pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}})
	before := fmt.Sprint(ps.All())
	for _, c := range []struct {
		want string
		ccs  []pb.ConfChangeSingle
	}{
		{several, []pb.ConfChangeSingle{voter(4), voter(5)}},
		{several, []pb.ConfChangeSingle{voter(4), gone(1)}},
		{"removed all voters", []pb.ConfChangeSingle{gone(1), learner(2)}},
		{"unexpected conf type 99", []pb.ConfChangeSingle{{Type: 99, NodeID: 1}}},
	} {
		got, err := ps.Simple(7, c.ccs...)
		require.EqualError(t, err, c.want)
		require.Equal(t, tracker.Peers{}, got)
		require.Equal(t, before, fmt.Sprint(ps.All()))
	}
}

func TestANewMemberStartsAsAnActiveProbeAtTheEndOfTheLog(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{5}})
	for lastIndex, next := range map[uint64]uint64{0: 1, 1: 1, 30: 30} {
		got, err := ps.Simple(lastIndex, learner(3), voter(7))
		require.NoError(t, err)
		require.Equal(t, tracker.Progress{Next: next, RecentActive: true, IsLearner: true}, got.Get(3).Progress)
		require.Equal(t, tracker.Progress{Next: next, RecentActive: true}, got.Get(7).Progress)
	}
}

// What is known of a member outlives its change of part, but not its removal.
func TestMembersKeepWhatIsKnownOfThem(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{1, 2, 3}})
	p := ps.Get(2)
	p.Window(4, 0)
	p.BecomeReplicate()
	p.MaybeUpdate(9)
	p.ReadAck, p.TickAck, p.Floor = 3, 4, 5

	demoted, err := ps.Simple(20, learner(2))
	require.NoError(t, err)
	want := *p
	want.Role, want.IsLearner = tracker.Learner, true
	require.Equal(t, want, *demoted.Get(2))
	require.Same(t, p.Inflights, demoted.Get(2).Inflights)

	removed, err := demoted.Simple(20, gone(2))
	require.NoError(t, err)
	back, err := removed.Simple(20, voter(2))
	require.NoError(t, err)
	require.Equal(t, tracker.Progress{Next: 20, RecentActive: true}, back.Get(2).Progress)
	require.Equal(t, uint64(9), ps.Get(2).Match)
}

// Thesis 4.3: joint configurations are entered from a simple one, and left.
func TestJointConfigurationsAreEnteredAndLeft(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4, 5}})
	_, err := ps.LeaveJoint()
	require.EqualError(t, err, "can't leave a non-joint config")

	ps.Get(2).Match = 9
	joint, err := ps.EnterJoint(20, true, gone(1), learner(2), voter(4), voter(6), gone(5), learner(7))
	require.NoError(t, err)
	require.Equal(t, "voters=(3 4 6)&&(1 2 3) learners=(7) learners_next=(2) autoleave", configOf(joint))
	require.Equal(t, uint64(9), joint.Get(2).Match)
	require.False(t, joint.Get(2).IsLearner)
	require.Nil(t, joint.Get(5))

	_, err = joint.EnterJoint(20, false)
	require.EqualError(t, err, "config is already joint")
	_, err = joint.Simple(20, learner(9))
	require.EqualError(t, err, "can't apply simple config change in joint config")

	left, err := joint.LeaveJoint()
	require.NoError(t, err)
	require.Equal(t, "voters=(3 4 6) learners=(2 7)", configOf(left))
	require.True(t, left.Get(2).IsLearner)
	require.Equal(t, uint64(9), left.Get(2).Match)
	require.Nil(t, left.Get(1))
	require.Equal(t, "voters=(1 2 3) learners=(4 5)", configOf(ps))
}

func TestLearnersToBeCanBeChangedOnceMoreOnTheWay(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{1, 2}})
	for want, ccs := range map[string][]pb.ConfChangeSingle{
		"voters=(1 2)&&(1 2)":                 {learner(2), voter(2)},
		"voters=(1)&&(1 2)":                   {learner(2), gone(2)},
		"voters=(1)&&(1 2) learners_next=(2)": {learner(2), learner(2)},
	} {
		joint, err := ps.EnterJoint(20, false, ccs...)
		require.NoError(t, err)
		require.Equal(t, want, configOf(joint))
	}
}

func TestJointConfigurationsNeedVoters(t *testing.T) {
	var empty tracker.Peers
	_, err := empty.EnterJoint(0, false, voter(1))
	require.EqualError(t, err, "can't make a zero-voter config joint")
	ps := restored(t, pb.ConfState{Voters: []uint64{1}})
	_, err = ps.EnterJoint(0, false, gone(1))
	require.EqualError(t, err, "removed all voters")
}

// What a simple change reaches, a joint configuration that is left at once reaches too.
func TestSimpleChangesEqualJointOnes(t *testing.T) {
	for seed := int64(0); seed < 400; seed++ {
		rng := rand.New(rand.NewSource(seed))
		ps := restored(t, pb.ConfState{Voters: []uint64{1}})
		for step := 0; step < 20; step++ {
			ccs := make([]pb.ConfChangeSingle, 1+rng.Intn(3))
			for i := range ccs {
				ccs[i] = pb.ConfChangeSingle{Type: pb.ConfChangeType(rng.Intn(4)), NodeID: uint64(1 + rng.Intn(7))}
			}
			joint, jointErr := ps.EnterJoint(uint64(step), true, ccs...)
			simple, err := ps.Simple(uint64(step), ccs...)
			if err != nil {
				continue
			}
			require.NoError(t, jointErr, "seed %d: %v", seed, ccs)
			left, err := joint.LeaveJoint()
			require.NoError(t, err, "seed %d: %v", seed, ccs)
			require.Equal(t, simple.ConfState(), left.ConfState(), "seed %d: %v", seed, ccs)
			ps = simple
		}
	}
}

// Counts and order stay right through any walk.
func TestPeersStayInOrderAndCounted(t *testing.T) {
	for seed := int64(0); seed < 200; seed++ {
		rng := rand.New(rand.NewSource(seed))
		ps := restored(t, pb.ConfState{Voters: []uint64{4}})
		for step := 0; step < 40; step++ {
			ccs := make([]pb.ConfChangeSingle, rng.Intn(5))
			for i := range ccs {
				ccs[i] = pb.ConfChangeSingle{Type: pb.ConfChangeType(rng.Intn(4)), NodeID: uint64(rng.Intn(12))}
			}
			next, err := ps.EnterJoint(9, rng.Intn(2) == 0, ccs...)
			if ps.Joint() {
				next, err = ps.LeaveJoint()
			}
			if err != nil {
				continue
			}
			ps = next
			var incoming, outgoing int
			for i, p := range ps.All() {
				if i > 0 {
					require.Less(t, ps.All()[i-1].ID, p.ID)
				}
				require.NotZero(t, p.Role)
				require.Equal(t, p.Role.Learner(), p.IsLearner)
				if p.Role.Incoming() {
					incoming++
				}
				if p.Role.Outgoing() {
					outgoing++
				}
			}
			in, out := ps.Voters()
			require.Equal(t, []int{incoming, outgoing}, []int{in, out}, "seed %d step %d", seed, step)
		}
	}
}

// A ConfState is read by the changes that lead to it, contradictions and all.
func TestContradictoryConfStates(t *testing.T) {
	for _, c := range []struct {
		cs        pb.ConfState
		want, err string
	}{
		{pb.ConfState{}, "voters=()", ""},
		{pb.ConfState{Voters: []uint64{2, 1, 2}}, "voters=(1 2)", ""},
		{pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{2}}, "voters=(1) learners=(2)", ""},
		{pb.ConfState{Voters: []uint64{1}, LearnersNext: []uint64{4}}, "voters=(1) learners=(4)", ""},
		{pb.ConfState{Voters: []uint64{1}, AutoLeave: true}, "voters=(1)", ""},
		{
			pb.ConfState{Voters: []uint64{1}, VotersOutgoing: []uint64{2}, Learners: []uint64{2}},
			"voters=(1)&&(2) learners_next=(2)", "",
		},
		{pb.ConfState{Voters: []uint64{1}, Learners: []uint64{1}}, "", "removed all voters"},
		{pb.ConfState{Learners: []uint64{2}}, "", "removed all voters"},
		{pb.ConfState{VotersOutgoing: []uint64{1, 2}}, "", "removed all voters"},
		{pb.ConfState{Voters: []uint64{1}, VotersOutgoing: []uint64{0}}, "", "removed all voters"},
	} {
		ps, err := tracker.RestorePeers(c.cs, 3)
		if c.err != "" {
			require.EqualError(t, err, c.err, "%v", c.cs)
			continue
		}
		require.NoError(t, err, "%v", c.cs)
		require.Equal(t, c.want, configOf(ps), "%v", c.cs)
	}
}

// A slot that was tampered with is found out before anything is built on it.
func TestChangesRefuseUnsoundPeers(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{1}})
	ps.Get(1).IsLearner = true
	const want = "1 votes, but is marked as learner"
	_, err := ps.Simple(1, voter(2))
	require.EqualError(t, err, want)
	_, err = ps.EnterJoint(1, true)
	require.EqualError(t, err, want)
	_, err = ps.LeaveJoint()
	require.EqualError(t, err, want)
}

func BenchmarkSimple(b *testing.B) {
	for _, n := range []int{3, 7, 31} {
		ps := group(b, n, 2)
		b.Run(fmt.Sprintf("voters=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				if _, err := ps.Simple(5, voter(3)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
