package v37

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	theirs "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"quorate.example/raft/compat/wire"
	ours "quorate.example/raft/raftpb"
)

// message is what each generated type of ours has.
type message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// pairs are the types, each in both libraries.
var pairs = []struct {
	name   string
	ours   func() message
	theirs func() proto.Message
}{
	{"Entry", func() message { return &ours.Entry{} }, func() proto.Message { return &theirs.Entry{} }},
	{"SnapshotMetadata", func() message { return &ours.SnapshotMetadata{} }, func() proto.Message { return &theirs.SnapshotMetadata{} }},
	{"Snapshot", func() message { return &ours.Snapshot{} }, func() proto.Message { return &theirs.Snapshot{} }},
	{"Message", func() message { return &ours.Message{} }, func() proto.Message { return &theirs.Message{} }},
	{"HardState", func() message { return &ours.HardState{} }, func() proto.Message { return &theirs.HardState{} }},
	{"ConfState", func() message { return &ours.ConfState{} }, func() proto.Message { return &theirs.ConfState{} }},
	{"ConfChange", func() message { return &ours.ConfChange{} }, func() proto.Message { return &theirs.ConfChange{} }},
	{"ConfChangeSingle", func() message { return &ours.ConfChangeSingle{} }, func() proto.Message { return &theirs.ConfChangeSingle{} }},
	{"ConfChangeV2", func() message { return &ours.ConfChangeV2{} }, func() proto.Message { return &theirs.ConfChangeV2{} }},
}

const depth = 3

func marshal(t testing.TB, m message) []byte {
	raw, err := m.Marshal()
	require.NoError(t, err)
	return raw
}

// v3.7.0 reads what this library writes and gives it back unchanged, byte for byte: every field is
// there, also those that are zero.
func TestV37ReadsOurs(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			for seed := uint64(0); seed < 2000; seed++ {
				a, b := p.ours(), p.theirs()
				wire.Fill(a, rand.New(rand.NewPCG(seed, 1)), depth)
				raw := marshal(t, a)
				require.NoError(t, proto.Unmarshal(raw, b))
				back := p.ours()
				again, err := proto.MarshalOptions{Deterministic: true}.Marshal(b)
				require.NoError(t, err)
				require.NoError(t, back.Unmarshal(again))
				require.Equal(t, a, back, "seed %d", seed)
			}
		})
	}
}

// This library reads what v3.7.0 writes, with any of the fields left out, and what it writes of that
// is to v3.7.0 the same message with the zero fields spelt out.
func TestOursReadsV37(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			for seed := uint64(0); seed < 2000; seed++ {
				b := p.theirs()
				wire.Fill(b, rand.New(rand.NewPCG(seed, 2)), depth)
				raw, err := proto.Marshal(b)
				require.NoError(t, err)
				a := p.ours()
				require.NoError(t, a.Unmarshal(raw))
				full := p.theirs()
				require.NoError(t, proto.Unmarshal(marshal(t, a), full))
				checkSubset(t, b, full)
			}
		})
	}
}

// FuzzUnmarshal feeds the same bytes to both decoders. What v3.7.0 accepts and this library refuses,
// or the other way round, would cut a mixed cluster.
func FuzzUnmarshal(f *testing.F) {
	for i, p := range pairs {
		m := p.ours()
		wire.Fill(m, rand.New(rand.NewPCG(7, 7)), depth)
		f.Add(byte(i), marshal(f, m))
	}
	f.Fuzz(func(t *testing.T, typ byte, raw []byte) {
		if len(raw) > 1<<16 {
			return
		}
		p := pairs[int(typ)%len(pairs)]
		a, b := p.ours(), p.theirs()
		if a.Unmarshal(raw) != nil || proto.Unmarshal(raw, b) != nil {
			return // the two draw the line of what is malformed at different places
		}
		full := p.theirs()
		require.NoError(t, proto.Unmarshal(marshal(t, a), full))
		checkSubset(t, b, full)
	})
}
