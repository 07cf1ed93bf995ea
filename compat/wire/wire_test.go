package wire

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	theirs "go.etcd.io/raft/v3/raftpb"

	ours "quorate.example/raft/raftpb"
)

// message is what each generated type has.
type message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Size() int
	Reset()
}

// pairs are the types, each in both libraries.
var pairs = []struct {
	name         string
	ours, theirs func() message
}{
	{"Entry", func() message { return &ours.Entry{} }, func() message { return &theirs.Entry{} }},
	{"SnapshotMetadata", func() message { return &ours.SnapshotMetadata{} }, func() message { return &theirs.SnapshotMetadata{} }},
	{"Snapshot", func() message { return &ours.Snapshot{} }, func() message { return &theirs.Snapshot{} }},
	{"Message", func() message { return &ours.Message{} }, func() message { return &theirs.Message{} }},
	{"HardState", func() message { return &ours.HardState{} }, func() message { return &theirs.HardState{} }},
	{"ConfState", func() message { return &ours.ConfState{} }, func() message { return &theirs.ConfState{} }},
	{"ConfChange", func() message { return &ours.ConfChange{} }, func() message { return &theirs.ConfChange{} }},
	{"ConfChangeSingle", func() message { return &ours.ConfChangeSingle{} }, func() message { return &theirs.ConfChangeSingle{} }},
	{"ConfChangeV2", func() message { return &ours.ConfChangeV2{} }, func() message { return &theirs.ConfChangeV2{} }},
}

const depth = 3

func marshal(t testing.TB, m message) []byte {
	b, err := m.Marshal()
	require.NoError(t, err)
	require.Len(t, b, m.Size())
	return b
}

// Each type is written as v3.6.0 writes it, byte for byte.
func TestSameValuesGiveSameBytes(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			for seed := uint64(0); seed < 3000; seed++ {
				a, b := p.ours(), p.theirs()
				Fill(a, rand.New(rand.NewPCG(seed, 1)), depth)
				Fill(b, rand.New(rand.NewPCG(seed, 1)), depth)
				require.Equal(t, marshal(t, b), marshal(t, a), "seed %d: %v", seed, a)
			}
		})
	}
}

// Each reads what the other writes, with nothing lost: neither a field nor the difference between an
// absent and an empty one.
func TestEachReadsTheOther(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			for seed := uint64(0); seed < 3000; seed++ {
				a, b := p.ours(), p.theirs()
				Fill(a, rand.New(rand.NewPCG(seed, 2)), depth)
				Fill(b, rand.New(rand.NewPCG(seed, 2)), depth)
				a2, b2 := p.ours(), p.theirs()
				require.NoError(t, a2.Unmarshal(marshal(t, b)))
				require.NoError(t, b2.Unmarshal(marshal(t, a)))
				require.Equal(t, a, a2, "seed %d", seed)
				require.Equal(t, b, b2, "seed %d", seed)
			}
		})
	}
}

// Every MessageType makes the round trip, those that stay inside a process too.
func TestEveryMessageTypeMakesTheRoundTrip(t *testing.T) {
	require.Equal(t, theirs.MessageType_name, ours.MessageType_name)
	require.Equal(t, theirs.EntryType_name, ours.EntryType_name)
	require.Equal(t, theirs.ConfChangeType_name, ours.ConfChangeType_name)
	require.Equal(t, theirs.ConfChangeTransition_name, ours.ConfChangeTransition_name)
	for typ := range ours.MessageType_name {
		for seed := uint64(0); seed < 200; seed++ {
			var a, a2 ours.Message
			var b theirs.Message
			Fill(&a, rand.New(rand.NewPCG(seed, uint64(typ))), depth)
			a.Type = ours.MessageType(typ)
			require.NoError(t, b.Unmarshal(marshal(t, &a)))
			require.Equal(t, theirs.MessageType(typ), b.Type)
			require.NoError(t, a2.Unmarshal(marshal(t, &b)))
			require.Equal(t, a, a2)
		}
	}
}

// Fields that a newer peer may add are skipped: of every wire type, before and after the known ones.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	unknown := [][]byte{
		{0xf8, 0x01, 0x2a},                               // 31, varint
		{0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8},             // 31, 64 bit
		{0xfa, 0x01, 0x03, 'n', 'e', 'w'},                // 31, bytes
		{0xfb, 0x01, 0x08, 0x01, 0xfc, 0x01},             // 31, group
		{0xfd, 0x01, 1, 2, 3, 4},                         // 31, 32 bit
		{0xf8, 0xff, 0xff, 0xff, 0x0f, 0x80, 0x01},       // the highest number
		{0xfb, 0x01, 0xfb, 0x01, 0xfc, 0x01, 0xfc, 0x01}, // groups in groups
	}
	for _, p := range pairs {
		for i, extra := range unknown {
			a := p.ours()
			Fill(a, rand.New(rand.NewPCG(uint64(i), 3)), depth)
			known := marshal(t, a)
			for _, raw := range [][]byte{append(extra[:len(extra):len(extra)], known...), append(known[:len(known):len(known)], extra...)} {
				got := p.ours()
				require.NoError(t, got.Unmarshal(raw), "%s, field %d", p.name, i)
				require.Equal(t, a, got)
				require.NoError(t, p.theirs().Unmarshal(raw))
			}
		}
	}
}

// Reading into a value that is not empty merges in both libraries alike.
func TestReadingMergesAlike(t *testing.T) {
	for _, p := range pairs {
		for seed := uint64(0); seed < 300; seed++ {
			a, b, add := p.ours(), p.theirs(), p.ours()
			Fill(a, rand.New(rand.NewPCG(seed, 4)), depth)
			Fill(b, rand.New(rand.NewPCG(seed, 4)), depth)
			Fill(add, rand.New(rand.NewPCG(seed, 5)), depth)
			raw := marshal(t, add)
			require.NoError(t, a.Unmarshal(raw))
			require.NoError(t, b.Unmarshal(raw))
			require.Equal(t, marshal(t, b), marshal(t, a), "%s, seed %d", p.name, seed)
		}
	}
}

// Bytes that are cut off or changed are read or refused by both alike.
func TestDamagedBytesAreTreatedAlike(t *testing.T) {
	src := rand.New(rand.NewPCG(1, 6))
	for i := range pairs {
		for range 3000 {
			m := pairs[i].ours()
			Fill(m, src, depth)
			raw := marshal(t, m)
			for range 1 + src.IntN(3) {
				if len(raw) > 0 {
					raw[src.IntN(len(raw))] ^= 1 << src.IntN(8)
				}
			}
			readAlike(t, i, raw[:len(raw)-src.IntN(len(raw)+1)/4])
		}
	}
}

// readAlike checks that both libraries make the same of raw.
func readAlike(t testing.TB, pair int, raw []byte) {
	p := pairs[pair]
	a, b := p.ours(), p.theirs()
	errA, errB := a.Unmarshal(raw), b.Unmarshal(raw)
	require.Equal(t, fmt.Sprint(errB), fmt.Sprint(errA), "%s: %x", p.name, raw)
	if errA == nil {
		require.Equal(t, marshal(t, b), marshal(t, a), "%s: %x", p.name, raw)
	}
}

// FuzzUnmarshal feeds the same bytes to both decoders of each type.
func FuzzUnmarshal(f *testing.F) {
	for i, p := range pairs {
		m := p.ours()
		Fill(m, rand.New(rand.NewPCG(7, 7)), depth)
		f.Add(byte(i), marshal(f, m))
	}
	f.Fuzz(func(t *testing.T, typ byte, raw []byte) {
		if len(raw) > 1<<16 {
			return // deep nesting is the subject of a test of raftpb
		}
		readAlike(t, int(typ)%len(pairs), raw)
	})
}
