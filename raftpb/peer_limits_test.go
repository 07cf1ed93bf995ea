package raftpb

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a peer can do with bytes alone: cut them off, lie about lengths, repeat them. All decoders are
// tried, and every answer but a panic is good, as long as it is the same for all of them.

// bigMessage has every field, and nested ones with every field.
func bigMessage() *Message {
	conf := ConfState{Voters: []uint64{1, 2, math.MaxUint64}, Learners: []uint64{300}, VotersOutgoing: []uint64{1},
		LearnersNext: []uint64{1}, AutoLeave: true}
	return &Message{Type: MsgSnap, To: 1, From: 2, Term: math.MaxUint64, LogTerm: 4, Index: 5,
		Entries: []Entry{{Term: 1, Index: 2, Type: EntryConfChange, Data: []byte("data")}, {}},
		Commit:  6, Snapshot: &Snapshot{Data: []byte("state"), Metadata: SnapshotMetadata{ConfState: conf, Index: 9, Term: 8}},
		Reject: true, RejectHint: 7, Context: []byte("context"), Vote: 3}
}

// decodeAll decodes data in both ways, which must agree unless there are Responses or it is local.
func decodeAll(t *testing.T, data []byte) error {
	t.Helper()
	var plain, peer Message
	plainErr, err := plain.Unmarshal(data), UnmarshalPeer(data, &peer)
	if plain.Responses == nil && !plain.Type.staysHome() && plain.From < firstLocalID {
		require.Equal(t, plainErr == nil, err == nil, "%x: %v, %v", data, plainErr, err)
		if err == nil {
			require.Equal(t, plain, peer, "%x", data)
		}
	}
	return err
}

func TestMessagesThatEndAnywhereAreRefusedOrWhole(t *testing.T) {
	wire := marshal(t, bigMessage())
	require.NoError(t, decodeAll(t, wire))
	for n := range wire {
		_ = decodeAll(t, wire[:n])
		_ = decodeAll(t, wire[n:])
	}
}

func TestMessagesWithAnyByteChangedDoNoHarm(t *testing.T) {
	wire := marshal(t, bigMessage())
	for i := range wire {
		for _, b := range []byte{0, 1, 0x7f, 0x80, 0xff, wire[i] + 1, wire[i] - 1, wire[i] ^ 0x07, wire[i] ^ 0x80} {
			twisted := append([]byte(nil), wire...)
			twisted[i] = b
			_ = decodeAll(t, twisted)
		}
	}
}

// Every length that can be written is compared with what is there before it is believed.
func TestLengthsThatLieAreRefused(t *testing.T) {
	inEntry := func(b []byte) []byte { return append([]byte{7<<3 | 2, byte(len(b))}, b...) }
	inSnapshot := func(b []byte) []byte { return append([]byte{9<<3 | 2, byte(len(b))}, b...) }
	inMetadata := func(b []byte) []byte { return inSnapshot(append([]byte{2<<3 | 2, byte(len(b))}, b...)) }
	inConf := func(b []byte) []byte { return inMetadata(append([]byte{1<<3 | 2, byte(len(b))}, b...)) }
	plain := func(b []byte) []byte { return b }
	for _, length := range []uint64{1, 5, 1 << 20, math.MaxInt32, math.MaxUint32, math.MaxInt64 - 8, math.MaxInt64, math.MaxInt64 + 1,
		math.MaxUint64 - 8, math.MaxUint64} {
		for name, c := range map[string]struct {
			field byte
			wrap  func([]byte) []byte
		}{
			"entries": {7, plain}, "snapshot": {9, plain}, "context": {12, plain}, "unknown": {15, plain},
			"entry data": {4, inEntry}, "entry unknown": {9, inEntry},
			"snapshot data": {1, inSnapshot}, "metadata": {2, inSnapshot}, "conf state": {1, inMetadata},
			"packed voters": {1, inConf}, "packed learners": {2, inConf}, "conf unknown": {9, inConf},
		} {
			data := append([]byte{1 << 3, byte(MsgApp)}, c.wrap(binary.AppendUvarint([]byte{c.field<<3 | 2}, length))...)
			require.Error(t, decodeAll(t, data), "%s of %d bytes", name, length)
		}
		var m Message
		require.Error(t, m.Unmarshal(binary.AppendUvarint([]byte{responsesField<<3 | 2}, length)))
	}
}

func TestNumbersOfTooManyBytesAreRefused(t *testing.T) {
	long := append(bytes.Repeat([]byte{0x80}, 10), 1)
	for field := byte(1); field <= 15; field++ {
		if field == responsesField {
			continue
		}
		require.Error(t, decodeAll(t, append([]byte{field << 3}, long...)), "number %d", field)
		require.Error(t, decodeAll(t, append([]byte{field<<3 | 2}, long...)), "length %d", field)
	}
	require.ErrorIs(t, decodeAll(t, long), ErrIntOverflowRaft)
	// Ten bytes are allowed, and what is beyond 64 bits is dropped, as Unmarshal does.
	require.NoError(t, decodeAll(t, append([]byte{1 << 3, byte(MsgApp), 4 << 3}, append(bytes.Repeat([]byte{0xff}, 9), 0x7f)...)))
}

// Groups may be nested as deeply as the bytes allow; they cost no stack.
func TestGroupsOfAnyDepthAreSkipped(t *testing.T) {
	const depth = 1 << 20
	open, end := bytes.Repeat([]byte{15<<3 | 3}, depth), bytes.Repeat([]byte{15<<3 | 4}, depth)
	head := []byte{1 << 3, byte(MsgApp)}
	require.NoError(t, decodeAll(t, append(append(head, open...), end...)))
	require.ErrorIs(t, decodeAll(t, append(head, open...)), io.ErrUnexpectedEOF)
	require.Error(t, decodeAll(t, append(append(head, open...), end[1:]...)))
	require.ErrorIs(t, decodeAll(t, append(head, end...)), ErrUnexpectedEndOfGroupRaft)
}

// The host's own decoder takes Responses as deep as messages of some ten kilobytes nest them, and
// UnmarshalPeer refuses the first. What is deeper than that only the latter survives, at any depth.
func TestNestedResponsesAreRefusedFromPeers(t *testing.T) {
	for _, depth := range []int{1, 2, 100, 20_000} {
		data := nestedResponses(depth)
		var m Message
		require.NoError(t, m.Unmarshal(data))
		n := 0
		for at := &m; len(at.Responses) > 0; at = &at.Responses[0] {
			n++
		}
		require.Equal(t, depth, n)
		require.ErrorIs(t, UnmarshalPeer(data, &m), ErrPeerResponses)
		require.ErrorIs(t, UnmarshalPeer(data[:len(data)/2+1], &m), ErrPeerResponses, "cut off")
	}
}

// What decoding takes is in proportion to the input, and nothing is reserved for what is only announced. The
// worst are empty entries: two bytes on the wire are 48 in memory, and as much again while the list grows.
func TestDecodingTakesMemoryInProportionToItsInput(t *testing.T) {
	const size = 1 << 20
	packed := func(field byte) []byte {
		conf := append(binary.AppendUvarint([]byte{field<<3 | 2}, size), make([]byte, size)...)
		meta := append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(conf))), conf...)
		snap := append(binary.AppendUvarint([]byte{2<<3 | 2}, uint64(len(meta))), meta...)
		return append(binary.AppendUvarint([]byte{9<<3 | 2}, uint64(len(snap))), snap...)
	}
	for name, data := range map[string][]byte{
		"entries":         bytes.Repeat([]byte{7<<3 | 2, 0}, size/2),
		"snapshots":       bytes.Repeat([]byte{9<<3 | 2, 0}, size/2),
		"contexts":        bytes.Repeat([]byte{12<<3 | 2, 1, 'x'}, size/3),
		"unknown":         bytes.Repeat([]byte{15<<3 | 2, 0}, size/2),
		"voters":          packed(1),
		"learners":        packed(2),
		"one long entry":  append(binary.AppendUvarint([]byte{7<<3 | 2}, size+4), append(binary.AppendUvarint([]byte{4<<3 | 2}, size), make([]byte, size)...)...),
		"announced entry": binary.AppendUvarint([]byte{7<<3 | 2}, 1<<40),
		"announced data":  append([]byte{7<<3 | 2, 7}, binary.AppendUvarint([]byte{4<<3 | 2}, 1<<40)...),
	} {
		data = append([]byte{1 << 3, byte(MsgApp)}, data...)
		for how, decode := range map[string]func() error{
			"peer":  func() error { return UnmarshalPeer(data, new(Message)) },
			"plain": func() error { return new(Message).Unmarshal(data) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := decode()
			runtime.ReadMemStats(&after)
			t.Logf("%s, %s: %d bytes in, %d allocated, %v", name, how, len(data), after.TotalAlloc-before.TotalAlloc, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<16+150*len(data)), "%s, %s", name, how)
		}
	}
}
