package raftpb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// nestedResponses returns a message with depth levels of Responses in each other.
func nestedResponses(depth int) []byte {
	// Built back to front: each level puts its tag and the length so far before the rest.
	buf := make([]byte, depth*8)
	start := len(buf)
	for ; depth > 0; depth-- {
		var head [8]byte
		head[0] = responsesField<<3 | 2
		n := 1 + binary.PutUvarint(head[1:], uint64(len(buf)-start))
		start -= n
		copy(buf[start:], head[:n])
	}
	return buf[start:]
}

// Decoding this with Message.Unmarshal would end the test binary: DESIGN 5.
func TestUnmarshalPeerRefusesDeeplyNestedResponses(t *testing.T) {
	var m Message
	err := UnmarshalPeer(nestedResponses(4<<20), &m)
	require.ErrorIs(t, err, ErrPeerResponses)
	require.ErrorContains(t, err, "field responses (14) at byte 0")
}

func TestUnmarshalPeerRefusesResponsesHoweverTheTagIsWritten(t *testing.T) {
	for _, in := range []string{
		"7200",         // the usual way
		"080372020801", // after another field
		"f28000" + "00",
		"f2808080808080808000" + "00", // ten bytes
		"f280808080" + "20" + "00",    // bits above the field number's 32
		"7001",                        // as a number
		"73" + "74",                   // as a group
	} {
		m := Message{Term: 9}
		require.ErrorIs(t, UnmarshalPeer(unhex(t, in), &m), ErrPeerResponses, in)
		require.Equal(t, Message{}, m, in)
	}
}

// Only Message is recursive: field 14 of an entry or within a group is an unknown field.
func TestUnmarshalPeerTakesField14WhereNoMessageIs(t *testing.T) {
	for _, in := range []string{"3a027200", "4a027200", "7b72007c"} {
		require.NoError(t, UnmarshalPeer(unhex(t, "0808"+in), &Message{}), in)
	}
}

func TestUnmarshalPeerTakesWhatUnmarshalTakes(t *testing.T) {
	full := Message{
		Type: MsgSnap, To: 1, From: 2, Term: 3, LogTerm: 4, Index: 5, Entries: []Entry{{Term: 1}, {Data: []byte("x")}},
		Commit: 6, Vote: 7, Snapshot: &Snapshot{Data: []byte{9}}, Reject: true, RejectHint: 8, Context: []byte("c"),
	}
	wire := marshal(t, &full)
	for _, in := range [][]byte{wire, unhex(t, unknownFields+"0808"), append(unhex(t, unknownFields), wire...)} {
		var want, got Message
		require.NoError(t, want.Unmarshal(in))
		require.NoError(t, UnmarshalPeer(in, &got))
		require.Equal(t, want, got)
	}
}

// DESIGN 5: a peer that could send these would speak for the receiver's clock and disk.
func TestUnmarshalPeerRefusesTypesThatOnlyAMemberItselfMakes(t *testing.T) {
	local := map[MessageType]bool{
		MsgHup: true, MsgBeat: true, MsgUnreachable: true, MsgSnapStatus: true, MsgCheckQuorum: true,
		MsgStorageAppend: true, MsgStorageAppendResp: true, MsgStorageApply: true, MsgStorageApplyResp: true,
	}
	for n, name := range MessageType_name {
		typ := MessageType(n)
		m := Message{Term: 9}
		err := UnmarshalPeer(marshal(t, &Message{Type: typ, From: 2}), &m)
		if !local[typ] {
			require.NoError(t, err, name)
			require.Equal(t, Message{Type: typ, From: 2}, m)
			continue
		}
		require.ErrorIs(t, err, ErrPeerLocal, name)
		require.EqualError(t, err, "raftpb: message from a peer: field type (1) is "+name+
			": only a member itself makes such a message")
		require.Equal(t, Message{}, m, name)
	}
}

// v3.7 leaves zero fields out, and MsgHup is zero.
func TestUnmarshalPeerRefusesMessagesWithoutAType(t *testing.T) {
	for _, in := range []string{"", unknownFields, "1801", "08081801" + "0800"} {
		require.ErrorIs(t, UnmarshalPeer(unhex(t, in), &Message{}), ErrPeerLocal, in)
	}
}

func TestUnmarshalPeerRefusesStorageThreadsAsSender(t *testing.T) {
	for _, from := range []uint64{1<<64 - 1, 1<<64 - 2} {
		m := Message{Term: 9}
		err := UnmarshalPeer(marshal(t, &Message{Type: MsgHeartbeat, From: from}), &m)
		require.ErrorIs(t, err, ErrPeerLocal)
		require.ErrorContains(t, err, fmt.Sprintf("field from (3) is %d", from))
		require.Equal(t, Message{}, m)
	}
	var m Message
	require.NoError(t, UnmarshalPeer(marshal(t, &Message{Type: MsgHeartbeat, From: 1<<64 - 3}), &m))
}

func TestUnmarshalPeerReplacesWhatWasThere(t *testing.T) {
	m := Message{Term: 9, Entries: []Entry{{Term: 1}}, Responses: []Message{{}}}
	require.NoError(t, UnmarshalPeer(unhex(t, "0808"), &m))
	require.Equal(t, Message{Type: MsgHeartbeat}, m)
}

func TestUnmarshalPeerSharesNoMemoryWithItsInput(t *testing.T) {
	wire := marshal(t, &Message{Type: MsgApp, Context: []byte("ctx"), Entries: []Entry{{Data: []byte("data")}}})
	var m Message
	require.NoError(t, UnmarshalPeer(wire, &m))
	copy(wire, bytes.Repeat([]byte{0xff}, len(wire)))
	require.Equal(t, "ctx", string(m.Context))
	require.Equal(t, "data", string(m.Entries[0].Data))
}

func TestUnmarshalPeerNamesTheFieldItCannotRead(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		is       error
	}{
		{"0800" + "20", "field term (4) at byte 2 of 3", io.ErrUnexpectedEOF},
		{"3a020a00", "field entries (7) at byte 0 of 4: proto: wrong wireType = 2 for field Type", nil},
		{"4a02", "field snapshot (9) at byte 0 of 2", io.ErrUnexpectedEOF},
		{"1200", "field to (2) at byte 0 of 2: proto: wrong wireType = 2 for field To", nil},
		{"62ffffffffffffffffff01", "field context (12) at byte 0 of 11", ErrInvalidLengthRaft},
		{"7affffffffffffffff7f", "field unknown (15) at byte 0 of 10", nil},
		{"ff", "field unknown (0) at byte 0 of 1", io.ErrUnexpectedEOF},
		{"ffffffffffffffffffff01", "field unknown (0) at byte 0 of 11", ErrIntOverflowRaft},
		{"0c", "field type (1) at byte 0 of 1", ErrUnexpectedEndOfGroupRaft},
		{"00", "field unknown (0) at byte 0 of 1", nil},
	} {
		m := Message{Term: 9}
		err := UnmarshalPeer(unhex(t, tc.in), &m)
		require.ErrorContains(t, err, tc.want, tc.in)
		if tc.is != nil {
			require.ErrorIs(t, err, tc.is, tc.in)
		}
		require.Equal(t, Message{}, m, tc.in)
	}
}
