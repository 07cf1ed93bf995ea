package raftpb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfChangeKeepsItsFormInTheLog(t *testing.T) {
	v1 := ConfChange{Type: ConfChangeRemoveNode, NodeID: 5, Context: []byte("a"), ID: 7}
	for _, c := range []ConfChangeI{v1, &v1} {
		typ, data, err := MarshalConfChange(c)
		require.NoError(t, err)
		require.Equal(t, EntryConfChange, typ)
		var got ConfChange
		require.NoError(t, got.Unmarshal(data))
		require.Equal(t, v1, got)
	}

	v2 := ConfChangeV2{Changes: []ConfChangeSingle{{NodeID: 5}}}
	for _, c := range []ConfChangeI{v2, &v2} {
		typ, data, err := MarshalConfChange(c)
		require.NoError(t, err)
		require.Equal(t, EntryConfChangeV2, typ)
		var got ConfChangeV2
		require.NoError(t, got.Unmarshal(data))
		require.Equal(t, v2, got)
	}
}

func TestNilConfChangeIsAnEntryWithoutData(t *testing.T) {
	typ, data, err := MarshalConfChange(nil)
	require.NoError(t, err)
	require.Equal(t, EntryConfChangeV2, typ)
	require.Nil(t, data)
}

func TestConfChangeBecomesOneChangeOfAConfChangeV2(t *testing.T) {
	c := ConfChange{Type: ConfChangeRemoveNode, NodeID: 5, Context: []byte("a"), ID: 7}
	want := ConfChangeV2{
		Changes: []ConfChangeSingle{{Type: ConfChangeRemoveNode, NodeID: 5}}, Context: []byte("a"),
	}
	require.Equal(t, want, c.AsV2())
	require.Equal(t, want, want.AsV2())
	_, ok := want.AsV1()
	require.False(t, ok)
}

// Thesis 4.3: only a single change may do without a joint configuration.
func TestMoreThanOneChangeOrAnExplicitWishIsJoint(t *testing.T) {
	const unknown ConfChangeTransition = 3
	for _, tc := range []struct {
		transition                ConfChangeTransition
		changes                   int
		autoLeave, joint, leaving bool
	}{
		{ConfChangeTransitionAuto, 0, false, false, true},
		{ConfChangeTransitionAuto, 1, false, false, false},
		{ConfChangeTransitionAuto, 2, true, true, false},
		{ConfChangeTransitionJointImplicit, 0, true, true, false},
		{ConfChangeTransitionJointImplicit, 1, true, true, false},
		{ConfChangeTransitionJointExplicit, 0, false, true, false},
		{ConfChangeTransitionJointExplicit, 2, false, true, false},
		{unknown, 0, true, true, false},
		{unknown, 1, true, true, false},
		{unknown, 2, true, true, false},
	} {
		c := ConfChangeV2{
			Transition: tc.transition,
			Changes:    make([]ConfChangeSingle, tc.changes),
			Context:    []byte("free"),
		}
		autoLeave, joint := c.EnterJoint()
		require.Equal(t, tc.joint, joint, "%v", tc)
		require.Equal(t, tc.autoLeave, autoLeave, "%v", tc)
		require.Equal(t, tc.leaving, c.LeaveJoint(), "%v", tc)
	}
}

func TestConfChangesAreReadFromAndWrittenAsWords(t *testing.T) {
	want := []ConfChangeSingle{
		{Type: ConfChangeAddNode, NodeID: 1}, {Type: ConfChangeAddLearnerNode, NodeID: 2},
		{Type: ConfChangeRemoveNode, NodeID: 3}, {Type: ConfChangeUpdateNode, NodeID: 4},
	}
	for _, s := range []string{"v1 l2 r3 u4", "\t v1 l2 r3 u4 \n"} {
		got, err := ConfChangesFromString(s)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, "v1 l2 r3 u4", ConfChangesToString(want))

	none, err := ConfChangesFromString(" ")
	require.NoError(t, err)
	require.Nil(t, none)
	require.Empty(t, ConfChangesToString(nil))
	require.Equal(t, "unknown5 unknown6",
		ConfChangesToString([]ConfChangeSingle{{Type: 7, NodeID: 5}, {Type: -1, NodeID: 6}}))
}

func TestBadWordsForConfChangesAreNamed(t *testing.T) {
	for in, want := range map[string]string{
		"v":                     "unknown token v",
		"v1  v2":                "unknown token ",
		"v1\tv2":                `strconv.ParseUint: parsing "1\tv2": invalid syntax`,
		"v1 x2":                 "unknown input: x2",
		"V1":                    "unknown input: V1",
		"v-1":                   `strconv.ParseUint: parsing "-1": invalid syntax`,
		"v18446744073709551616": `strconv.ParseUint: parsing "18446744073709551616": value out of range`,
	} {
		_, err := ConfChangesFromString(in)
		require.EqualError(t, err, want)
	}
}

func TestConfStatesAreEquivalentWhateverTheirOrder(t *testing.T) {
	a := ConfState{
		Voters: []uint64{3, 1, 2}, Learners: []uint64{5, 4}, VotersOutgoing: []uint64{2, 1},
		LearnersNext: []uint64{8, 7}, AutoLeave: true,
	}
	b := ConfState{
		Voters: []uint64{1, 2, 3}, Learners: []uint64{4, 5}, VotersOutgoing: []uint64{1, 2},
		LearnersNext: []uint64{7, 8}, AutoLeave: true,
	}
	require.NoError(t, a.Equivalent(b))
	require.Equal(t, []uint64{3, 1, 2}, a.Voters, "the inputs are not sorted in place")
	require.NoError(t, ConfState{Voters: []uint64{}}.Equivalent(ConfState{}))
}

func TestConfStatesDifferInEachOfTheirFields(t *testing.T) {
	for _, cs := range []ConfState{
		{Voters: []uint64{2}}, {Voters: []uint64{1}, Learners: []uint64{1}},
		{Voters: []uint64{1}, VotersOutgoing: []uint64{1}},
		{Voters: []uint64{1}, LearnersNext: []uint64{1}},
		{Voters: []uint64{1}, AutoLeave: true},
	} {
		require.Error(t, cs.Equivalent(ConfState{Voters: []uint64{1}}), "%v", cs)
	}
}

func TestNotEquivalentConfStatesAreShownSortedAndAsGiven(t *testing.T) {
	err := ConfState{Voters: []uint64{2, 1}}.Equivalent(ConfState{Learners: []uint64{3}})
	require.EqualError(t, err, `ConfStates not equivalent after sorting:
raftpb.ConfState{Voters:[]uint64{0x1, 0x2}, Learners:[]uint64(nil), VotersOutgoing:[]uint64(nil), LearnersNext:[]uint64(nil), AutoLeave:false}
raftpb.ConfState{Voters:[]uint64(nil), Learners:[]uint64{0x3}, VotersOutgoing:[]uint64(nil), LearnersNext:[]uint64(nil), AutoLeave:false}
Inputs were:
raftpb.ConfState{Voters:[]uint64{0x2, 0x1}, Learners:[]uint64(nil), VotersOutgoing:[]uint64(nil), LearnersNext:[]uint64(nil), AutoLeave:false}
raftpb.ConfState{Voters:[]uint64(nil), Learners:[]uint64{0x3}, VotersOutgoing:[]uint64(nil), LearnersNext:[]uint64(nil), AutoLeave:false}`)
}
