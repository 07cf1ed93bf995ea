package raftpb

import (
	"bytes"
	"encoding/binary"
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
		require.NoError(t, UnmarshalPeer(unhex(t, in), &Message{}), in)
	}
}

func TestUnmarshalPeerTakesWhatUnmarshalTakes(t *testing.T) {
	full := Message{
		Type: MsgSnap, To: 1, From: 2, Term: 3, LogTerm: 4, Index: 5, Entries: []Entry{{Term: 1}, {Data: []byte("x")}},
		Commit: 6, Vote: 7, Snapshot: &Snapshot{Data: []byte{9}}, Reject: true, RejectHint: 8, Context: []byte("c"),
	}
	wire := marshal(t, &full)
	for _, in := range [][]byte{nil, wire, unhex(t, unknownFields), append(unhex(t, unknownFields), wire...)} {
		var want, got Message
		require.NoError(t, want.Unmarshal(in))
		require.NoError(t, UnmarshalPeer(in, &got))
		require.Equal(t, want, got)
	}
}

func TestUnmarshalPeerReplacesWhatWasThere(t *testing.T) {
	m := Message{Term: 9, Entries: []Entry{{Term: 1}}, Responses: []Message{{}}}
	require.NoError(t, UnmarshalPeer(unhex(t, "0808"), &m))
	require.Equal(t, Message{Type: MsgHeartbeat}, m)
}

func TestUnmarshalPeerSharesNoMemoryWithItsInput(t *testing.T) {
	wire := marshal(t, &Message{Context: []byte("ctx"), Entries: []Entry{{Data: []byte("data")}}})
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
