package raftpb

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// newLike returns a new zero message of m's type.
func newLike(m codec) codec {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(codec)
}

// fuzzUnmarshal checks that no input makes a decoder of zero's type panic, and that what was
// decoded once survives being encoded and decoded again.
func fuzzUnmarshal(f *testing.F, zero codec) {
	f.Add(marshal(f, zero))
	f.Add(unhex(f, unknownFields))
	for wire := range fullValues() {
		f.Add(unhex(f, wire))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first := newLike(zero)
		if first.Unmarshal(data) != nil {
			return
		}
		second := newLike(zero)
		wire := marshal(t, first)
		require.NoError(t, second.Unmarshal(wire))
		require.Equal(t, first, second)
		require.Equal(t, wire, marshal(t, second))
	})
}

func FuzzUnmarshalEntry(f *testing.F)            { fuzzUnmarshal(f, &Entry{}) }
func FuzzUnmarshalSnapshotMetadata(f *testing.F) { fuzzUnmarshal(f, &SnapshotMetadata{}) }
func FuzzUnmarshalSnapshot(f *testing.F)         { fuzzUnmarshal(f, &Snapshot{}) }
func FuzzUnmarshalMessage(f *testing.F)          { fuzzUnmarshal(f, &Message{}) }
func FuzzUnmarshalHardState(f *testing.F)        { fuzzUnmarshal(f, &HardState{}) }
func FuzzUnmarshalConfState(f *testing.F)        { fuzzUnmarshal(f, &ConfState{}) }
func FuzzUnmarshalConfChange(f *testing.F)       { fuzzUnmarshal(f, &ConfChange{}) }
func FuzzUnmarshalConfChangeSingle(f *testing.F) { fuzzUnmarshal(f, &ConfChangeSingle{}) }
func FuzzUnmarshalConfChangeV2(f *testing.F)     { fuzzUnmarshal(f, &ConfChangeV2{}) }

// FuzzUnmarshalPeer checks that UnmarshalPeer takes what Unmarshal takes, but for Responses and what
// only the receiver makes, with the same result.
func FuzzUnmarshalPeer(f *testing.F) {
	f.Add(marshal(f, &Message{Type: MsgApp, Entries: []Entry{{Data: []byte("x")}}}))
	f.Add(unhex(f, unknownFields+"7200"))
	f.Add(unhex(f, "f28080808020"+"00"))
	f.Add(unhex(f, "08081801"))
	f.Add(unhex(f, "0808"+"18feffffffffffffffff01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var plain, peer Message
		plainErr := plain.Unmarshal(data)
		err := UnmarshalPeer(data, &peer)
		local := plain.Type.staysHome() || plain.From >= firstLocalID
		if plainErr != nil || plain.Responses != nil || local {
			require.Error(t, err)
			require.Equal(t, Message{}, peer)
			return
		}
		require.NoError(t, err)
		require.Equal(t, plain, peer)
	})
}
