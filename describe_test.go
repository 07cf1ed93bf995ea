package raft_test

import (
	"math/rand"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// The texts below were printed by go.etcd.io/raft v3.6.0 for the same values.

func marshalled(t testing.TB, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	data, err := m.Marshal()
	require.NoError(t, err)
	return data
}

func describedSnapshot() pb.Snapshot {
	return pb.Snapshot{Data: []byte("x"), Metadata: pb.SnapshotMetadata{Index: 7, Term: 2, ConfState: pb.ConfState{
		Voters: []uint64{2, 1}, Learners: []uint64{3}, VotersOutgoing: []uint64{1}, LearnersNext: []uint64{4},
		AutoLeave: true,
	}}}
}

const snapshotText = "Index:7 Term:2 ConfState:Voters:[2 1] VotersOutgoing:[1] Learners:[3] LearnersNext:[4] AutoLeave:true"

func TestDescribedEntryShowsItsDataOrItsChanges(t *testing.T) {
	one := pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 17}
	two := pb.ConfChangeV2{Changes: []pb.ConfChangeSingle{
		{NodeID: 1}, {Type: pb.ConfChangeAddLearnerNode, NodeID: 2},
	}}
	for want, e := range map[string]pb.Entry{
		`1/2 EntryNormal "a\"b\n\xff"`:       {Term: 1, Index: 2, Data: []byte("a\"b\n\xff")},
		`1/2 EntryNormal ""`:                 {Term: 1, Index: 2},
		"3/4 EntryConfChange r17":            {Term: 3, Index: 4, Type: pb.EntryConfChange, Data: marshalled(t, &one)},
		"3/5 EntryConfChangeV2 v1 l2":        {Term: 3, Index: 5, Type: pb.EntryConfChangeV2, Data: marshalled(t, &two)},
		"3/6 EntryConfChangeV2":              {Term: 3, Index: 6, Type: pb.EntryConfChangeV2},
		"3/7 EntryConfChange unexpected EOF": {Term: 3, Index: 7, Type: pb.EntryConfChange, Data: []byte{8}},
		"3/8 9":                              {Term: 3, Index: 8, Type: 9, Data: []byte("x")},
	} {
		require.Equal(t, want, raft.DescribeEntry(e, nil))
	}
}

func TestDescribedEntryUsesTheFormatter(t *testing.T) {
	count := func(data []byte) string { return strconv.Itoa(len(data)) }
	ents := []pb.Entry{{Term: 1, Index: 2, Data: []byte("abc")}, {Term: 1, Index: 3}}
	require.Equal(t, "1/2 EntryNormal 3\n1/3 EntryNormal 0\n", raft.DescribeEntries(ents, count))
	require.Equal(t, "1->2 MsgProp Term:0 Log:0/0 Entries:[1/2 EntryNormal 3]",
		raft.DescribeMessage(pb.Message{Type: pb.MsgProp, From: 1, To: 2, Entries: ents[:1]}, count))
}

func TestDescribedMessageShowsWhatIsNotZero(t *testing.T) {
	snap := describedSnapshot()
	ents := []pb.Entry{{Term: 1, Index: 2, Data: []byte("a")}, {Term: 1, Index: 3}}
	for _, tc := range []struct {
		m    pb.Message
		want string
	}{
		{pb.Message{}, "None->None MsgHup Term:0 Log:0/0"},
		{
			pb.Message{Type: pb.MsgApp, From: 1, To: 0xab, Term: 3, LogTerm: 2, Index: 9, Commit: 4, Entries: ents[:1]},
			`1->ab MsgApp Term:3 Log:2/9 Commit:4 Entries:[1/2 EntryNormal "a"]`,
		},
		{
			pb.Message{Type: pb.MsgApp, From: 1, To: 2, Entries: ents},
			"1->2 MsgApp Term:0 Log:0/0 Entries:[\n  1/2 EntryNormal \"a\"\n  1/3 EntryNormal \"\"\n]",
		},
		{
			pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Reject: true, RejectHint: 5, Context: []byte("c")},
			"2->1 MsgAppResp Term:0 Log:0/0 Rejected (Hint: 5)",
		},
		{
			pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Snapshot: &snap},
			"1->2 MsgSnap Term:0 Log:0/0\n  Snapshot: " + snapshotText,
		},
		{
			pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Snapshot: &pb.Snapshot{}},
			"1->2 MsgSnap Term:0 Log:0/0",
		},
		{
			pb.Message{
				Type: pb.MsgStorageAppend, From: 1, To: raft.LocalAppendThread, Term: 3, Vote: 12, Commit: 4,
				Snapshot: &snap,
				Responses: []pb.Message{
					{Type: pb.MsgStorageAppendResp, From: raft.LocalAppendThread, To: 1},
					{Type: pb.MsgStorageApplyResp, From: raft.LocalApplyThread, To: 1, Entries: ents},
				},
			},
			"1->AppendThread MsgStorageAppend Term:3 Log:0/0 Commit:4 Vote:12\n" +
				"  Snapshot: " + snapshotText + " Responses:[\n" +
				"  AppendThread->1 MsgStorageAppendResp Term:0 Log:0/0\n" +
				"  ApplyThread->1 MsgStorageApplyResp Term:0 Log:0/0 Entries:[\n" +
				"    1/2 EntryNormal \"a\"\n    1/3 EntryNormal \"\"\n  ]\n]",
		},
	} {
		require.Equal(t, tc.want, raft.DescribeMessage(tc.m, nil))
	}
}

func TestDescribedStatesAreOneLine(t *testing.T) {
	require.Equal(t, "Term:1 Commit:2", raft.DescribeHardState(pb.HardState{Term: 1, Commit: 2}))
	require.Equal(t, "Term:1 Vote:20 Commit:2", raft.DescribeHardState(pb.HardState{Term: 1, Vote: 20, Commit: 2}))
	require.Equal(t, "Lead:20 State:StateLeader",
		raft.DescribeSoftState(raft.SoftState{Lead: 20, RaftState: raft.StateLeader}))
	require.Equal(t, snapshotText, raft.DescribeSnapshot(describedSnapshot()))
	require.Equal(t, "Voters:[] VotersOutgoing:[] Learners:[] LearnersNext:[] AutoLeave:false",
		raft.DescribeConfState(pb.ConfState{}))
}

func TestDescribedReadyHasAHeadlineAboveEachList(t *testing.T) {
	require.Equal(t, "<empty Ready>", raft.DescribeReady(raft.Ready{MustSync: true}, nil))
	ents := []pb.Entry{{Term: 1, Index: 2, Data: []byte("a")}, {Term: 1, Index: 3}}
	require.Equal(t, `Ready MustSync=true:
Lead:1 State:StateFollower
HardState Term:1 Commit:0
ReadStates [{3 [114]}]
Entries:
1/2 EntryNormal "a"
1/3 EntryNormal ""
Snapshot `+snapshotText+`
CommittedEntries:
1/2 EntryNormal "a"
Messages:
1->2 MsgApp Term:0 Log:0/0 Entries:[
  1/2 EntryNormal "a"
  1/3 EntryNormal ""
]
1->3 MsgVote Term:0 Log:0/0
`, raft.DescribeReady(raft.Ready{
		MustSync:         true,
		SoftState:        &raft.SoftState{Lead: 1},
		HardState:        pb.HardState{Term: 1},
		ReadStates:       []raft.ReadState{{Index: 3, RequestCtx: []byte("r")}},
		Entries:          ents,
		CommittedEntries: ents[:1],
		Snapshot:         describedSnapshot(),
		Messages: []pb.Message{
			{Type: pb.MsgApp, From: 1, To: 2, Entries: ents}, {Type: pb.MsgVote, From: 1, To: 3},
		},
	}, nil))
}

func TestDescribedResponsesAreIndentedByTheirDepth(t *testing.T) {
	snap := describedSnapshot()
	ents := []pb.Entry{{Term: 1, Index: 2, Data: []byte("a")}, {Term: 1, Index: 3}}
	m := pb.Message{
		Type: pb.MsgStorageAppend, From: 31, To: raft.LocalAppendThread, Snapshot: &snap,
		Responses: []pb.Message{
			{Type: pb.MsgAppResp, From: 31, To: 1, Entries: ents[:1]},
			{
				Type: pb.MsgStorageAppendResp, From: raft.LocalAppendThread, To: 31, Snapshot: &snap,
				Responses: []pb.Message{{Entries: ents}},
			},
		},
	}
	require.Equal(t, `1f->AppendThread MsgStorageAppend Term:0 Log:0/0
  Snapshot: `+snapshotText+` Responses:[
  1f->1 MsgAppResp Term:0 Log:0/0 Entries:[1/2 EntryNormal "a"]
  AppendThread->1f MsgStorageAppendResp Term:0 Log:0/0
    Snapshot: `+snapshotText+` Responses:[
    None->None MsgHup Term:0 Log:0/0 Entries:[
      1/2 EntryNormal "a"
      1/3 EntryNormal ""
    ]
  ]
]`, raft.DescribeMessage(m, nil))
}

// Whoever describes may be looking at a damaged log.
func TestDescribingGarbageNeverPanics(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	for i := 0; i < 2000; i++ {
		data := make([]byte, rnd.Intn(12))
		_, _ = rnd.Read(data)
		e := pb.Entry{Type: pb.EntryType(rnd.Intn(5) - 1), Data: data}
		m := pb.Message{Type: pb.MessageType(rnd.Int31()), Entries: []pb.Entry{e}}
		require.NotPanics(t, func() {
			require.Contains(t, raft.DescribeMessage(m, nil), raft.DescribeEntry(e, nil), "%x", data)
		})
	}
	require.NotPanics(t, func() { raft.DescribeSoftState(raft.SoftState{RaftState: 9}) })
}
