package raftpb

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// codec is what every generated message can do.
type codec interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Size() int
	Reset()
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func marshal(t testing.TB, m codec) []byte {
	t.Helper()
	b, err := m.Marshal()
	require.NoError(t, err)
	require.Len(t, b, m.Size(), "Size and Marshal disagree")
	return b
}

// Zero scalars are written too: an entry's size counts towards limits, and stored bytes must equal
// those of go.etcd.io/raft v3.6.
func TestZeroValuesHaveTheBytesOfV36(t *testing.T) {
	for _, tc := range []struct {
		m    codec
		want string
	}{
		{&Entry{}, "080010001800"},
		{&SnapshotMetadata{}, "0a02280010001800"},
		{&Snapshot{}, "12080a02280010001800"},
		{&Message{}, "0800100018002000280030004000500058006800"},
		{&HardState{}, "080010001800"},
		{&ConfState{}, "2800"},
		{&ConfChange{}, "080010001800"},
		{&ConfChangeSingle{}, "08001000"},
		{&ConfChangeV2{}, "0800"},
	} {
		require.Equal(t, tc.want, hex.EncodeToString(marshal(t, tc.m)), "%T", tc.m)
	}
}

// fullValues sets every field of every message. The bytes were printed by v3.6.0.
func fullValues() map[string]codec {
	return map[string]codec{
		"080210ac02180522026162": &Entry{Type: EntryConfChangeV2, Term: 300, Index: 5, Data: []byte("ab")},
		"0803100118022003280430053a060800100018003a0608001001180040064a0d0a010912080a0228001000" +
			"1800500158086200680772140800100018002000280030004000500058006800": &Message{
			Type: MsgApp, To: 1, From: 2, Term: 3, LogTerm: 4, Index: 5, Entries: []Entry{{}, {Term: 1}},
			Commit: 6, Vote: 7, Snapshot: &Snapshot{Data: []byte{9}}, Reject: true, RejectHint: 8,
			Context: []byte{}, Responses: []Message{{}},
		},
		"080110ffffffffffffffffff011803": &HardState{Term: 1, Vote: 1<<64 - 1, Commit: 3},
		"080108021003180420052801": &ConfState{
			Voters: []uint64{1, 2}, Learners: []uint64{3}, VotersOutgoing: []uint64{4},
			LearnersNext: []uint64{5}, AutoLeave: true,
		},
		"080110021803220163": &ConfChange{
			ID: 1, Type: ConfChangeUpdateNode, NodeID: 3, Context: []byte("c"),
		},
		"08021204080310091a0163": &ConfChangeV2{
			Transition: ConfChangeTransitionJointExplicit,
			Changes:    []ConfChangeSingle{{Type: ConfChangeAddLearnerNode, NodeID: 9}},
			Context:    []byte("c"),
		},
	}
}

func TestFullValuesHaveTheBytesOfV36(t *testing.T) {
	for want, m := range fullValues() {
		require.Equal(t, want, hex.EncodeToString(marshal(t, m)), "%T", m)
	}
}

func TestDecodingReturnsWhatWasEncoded(t *testing.T) {
	for wire, want := range fullValues() {
		got := newLike(want)
		require.NoError(t, got.Unmarshal(unhex(t, wire)))
		require.Equal(t, want, got)
	}
}

// Nil bytes are left out, empty ones are written with length 0: the two stay apart.
func TestEmptyAndNilDataStayApart(t *testing.T) {
	require.Equal(t, "080010001800", hex.EncodeToString(marshal(t, &Entry{})))
	require.Equal(t, "0800100018002200", hex.EncodeToString(marshal(t, &Entry{Data: []byte{}})))

	var e Entry
	require.NoError(t, e.Unmarshal(unhex(t, "0800100018002200")))
	require.NotNil(t, e.Data)
	require.Empty(t, e.Data)
}

// unknownFields has one field of each wire type from number 15 on, and a group within a group.
const unknownFields = "7801" + "81010102030405060708" + "8a0103616263" +
	"9301" + "9b01" + "0801" + "9c01" + "9401" + "9d0101020304"

func TestUnknownFieldsAreReadOverAndDropped(t *testing.T) {
	for wire, want := range fullValues() {
		for _, in := range []string{unknownFields + wire, wire + unknownFields} {
			got := newLike(want)
			require.NoError(t, got.Unmarshal(unhex(t, in)), "%T", want)
			require.Equal(t, want, got)
		}
	}
}

func TestPackedIDsAreAccepted(t *testing.T) {
	var cs ConfState
	require.NoError(t, cs.Unmarshal(unhex(t, "0a03010203"+"0804"+"12028001"+"1a0105"+"22020607")))
	require.Equal(t, ConfState{
		Voters: []uint64{1, 2, 3, 4}, Learners: []uint64{128}, VotersOutgoing: []uint64{5},
		LearnersNext: []uint64{6, 7},
	}, cs)
}

// v3.7 leaves unset fields out, and hosts decode into values that they use again.
func TestAbsentFieldsKeepTheirValues(t *testing.T) {
	hs := HardState{Term: 1, Vote: 2, Commit: 3}
	require.NoError(t, hs.Unmarshal(nil))
	require.NoError(t, hs.Unmarshal(unhex(t, "1009")))
	require.Equal(t, HardState{Term: 1, Vote: 9, Commit: 3}, hs)
}

func TestRepeatedFieldsGrowAndEmbeddedOnesMerge(t *testing.T) {
	m := Message{Entries: []Entry{{Term: 1}}, Snapshot: &Snapshot{Data: []byte("s")}, Context: []byte("ctx")}
	more := Message{Entries: []Entry{{Term: 2}}, Context: []byte("new")}
	more.Snapshot = &Snapshot{Metadata: SnapshotMetadata{Index: 7, ConfState: ConfState{Voters: []uint64{1}}}}
	require.NoError(t, m.Unmarshal(marshal(t, &more)))

	require.Equal(t, []Entry{{Term: 1}, {Term: 2}}, m.Entries)
	require.Equal(t, "s", string(m.Snapshot.Data))
	require.Equal(t, more.Snapshot.Metadata, m.Snapshot.Metadata)
	require.Equal(t, "new", string(m.Context))
}

func TestDecodingErrorsHaveTheTextsOfV36(t *testing.T) {
	for in, want := range map[string]string{
		"08":                     "unexpected EOF",
		"0affff":                 "proto: wrong wireType = 2 for field Type",
		"0001":                   "proto: Entry: illegal tag 0 (wire type 0)",
		"0c":                     "proto: Entry: wiretype end group for non-group",
		"2205":                   "unexpected EOF",
		"2e":                     "proto: illegal wireType 6",
		"08ffffffffffffffffffff": "proto: integer overflow",
		"22ffffffffffffffffff01": "proto: negative length found during unmarshaling",
	} {
		var e Entry
		require.EqualError(t, e.Unmarshal(unhex(t, in)), want, in)
	}
	require.EqualError(t, ErrUnexpectedEndOfGroupRaft, "proto: unexpected end of group")
}

func TestEnumsHaveTheNamesOfV36(t *testing.T) {
	require.Equal(t, "MsgForgetLeader", MessageType(23).String())
	require.Equal(t, "99", MessageType(99).String())
	require.Equal(t, "EntryConfChangeV2", EntryConfChangeV2.String())
	require.Equal(t, "ConfChangeTransitionJointExplicit", ConfChangeTransitionJointExplicit.String())
	require.Equal(t, "ConfChangeAddLearnerNode", ConfChangeAddLearnerNode.String())
	require.Len(t, MessageType_name, 24)
}
