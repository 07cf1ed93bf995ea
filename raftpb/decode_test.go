package raftpb

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// appendOf returns a message with so many entries of size bytes.
func appendOf(count, size int) *Message {
	m := &Message{Type: MsgApp, To: 2, From: 1, Term: 7, LogTerm: 7, Index: 999, Commit: 900}
	for i := 0; i < count; i++ {
		m.Entries = append(m.Entries, Entry{Term: 7, Index: uint64(1000 + i), Data: bytes.Repeat([]byte{byte(i)}, size)})
	}
	return m
}

// requireLikeGenerated decodes data into what before holds, with Unmarshal and with the generated
// decoder, which must agree on everything: errors, and what is there after an error.
func requireLikeGenerated(t testing.TB, before, data []byte) {
	t.Helper()
	var got, want Message
	require.Equal(t, want.unmarshalGenerated(before), got.Unmarshal(before))
	require.Equal(t, want, got)
	// A reader's buffer is used again, and whoever keeps an entry may append to its Data.
	buffer := append([]byte(nil), data...)
	err := got.Unmarshal(buffer)
	clear(buffer)
	for i := range got.Entries {
		_ = append(got.Entries[i].Data, 0xaa)
	}
	require.Equal(t, want.unmarshalGenerated(data), err)
	require.Equal(t, want, got)
}

func FuzzUnmarshalLikeGenerated(f *testing.F) {
	full := marshal(f, bigMessage())
	f.Add([]byte{}, full)
	f.Add(full, marshal(f, appendOf(3, 2)))
	f.Add(marshal(f, appendOf(2, 0)), unhex(f, unknownFields+"3a00"+"3a022200"))
	f.Add([]byte{}, unhex(f, "3a0622017822017a"+"3a0212ff"+"3a00"))
	f.Add([]byte{}, unhex(f, "3a0408818002"+"b80101"+"ba0100"+"3a80"+"00"+"7200"+"3800"))
	f.Add([]byte{}, append(marshal(f, appendOf(3, maxShort)), marshal(f, appendOf(20, 400))...))
	f.Fuzz(func(t *testing.T, before, data []byte) { requireLikeGenerated(t, before, data) })
}

func TestDecodingEqualsTheGeneratedDecoder(t *testing.T) {
	for _, size := range []int{0, 1, 100, 127, 128, 400, maxShort - 12, maxShort, maxBlock, 3 * maxBlock} {
		for _, count := range []int{1, 2, 50} {
			m := appendOf(count, size)
			m.Context, m.Responses = []byte("context"), []Message{*appendOf(2, 3)}
			m.Entries[count/2].Data = nil
			wire := marshal(t, m)
			requireLikeGenerated(t, nil, wire)
			requireLikeGenerated(t, wire, append(wire, marshal(t, appendOf(3, 300))...))
		}
	}
}

func TestTwistedAppendsDecodeLikeTheGeneratedDecoder(t *testing.T) {
	wire := marshal(t, appendOf(3, 5))
	for i := range wire {
		requireLikeGenerated(t, nil, wire[:i])
		for b := 0; b < 256; b++ {
			twisted := append([]byte(nil), wire...)
			twisted[i] = byte(b)
			requireLikeGenerated(t, nil, twisted)
		}
	}
}

// 64 allocations for the Data and 7 for the growing list were most of the time. Three are left: the
// list and two blocks; the fourth is the message, when it is on the heap.
func TestAnAppendIsDecodedWithFewAllocations(t *testing.T) {
	wire := marshal(t, appendOf(64, 100))
	for name, decode := range map[string]func(m *Message) error{
		"plain": func(m *Message) error { return m.Unmarshal(wire) },
		"peer":  func(m *Message) error { return UnmarshalPeer(wire, m) },
	} {
		allocs := testing.AllocsPerRun(100, func() {
			if err := decode(new(Message)); err != nil {
				panic(err)
			}
		})
		require.LessOrEqual(t, allocs, 4.0, name)
	}
}

// Whoever keeps one entry of a long message keeps a block, and not the message.
func TestAKeptEntryHoldsOneBlockOfItsMessage(t *testing.T) {
	const messages, size = 64, 1 << 20
	wire := marshal(t, appendOf(size/100, 100))
	var before, after runtime.MemStats
	kept := make([][]byte, messages)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range kept {
		var m Message
		require.NoError(t, m.Unmarshal(wire))
		kept[i] = m.Entries[len(m.Entries)/2].Data
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(messages*maxBlock+size/4))
	runtime.KeepAlive(kept)
}

func TestVarintsHaveTheShortestForm(t *testing.T) {
	numbers := []uint64{0, 1, math.MaxUint64}
	for shift := 1; shift < 64; shift++ {
		numbers = append(numbers, 1<<shift-1, 1<<shift, 1<<shift+1)
	}
	for _, x := range numbers {
		want := binary.AppendUvarint(nil, x)
		require.Equal(t, len(want), sovRaft(x), "%d", x)
		got := make([]byte, 12)
		begin := encodeVarintRaft(got, 11, x)
		require.Equal(t, want, got[begin:11], "%d", x)
		require.Zero(t, got[11])
	}
}
