package transport

import (
	"bytes"
	"crypto/sha256"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	pb "quorate.example/raft/raftpb"
)

// frames plays the receiving end of a stream.
type frames struct {
	grpc.ServerStream
	data [][]byte
}

func (f *frames) RecvMsg(v any) error {
	if len(f.data) == 0 {
		return io.EOF
	}
	data := f.data[0]
	f.data = f.data[1:]
	return v.(received).decode(data)
}

// written returns the frames of a small snapshot in several chunks.
func written(t *testing.T) [][]byte {
	t.Helper()
	var out [][]byte
	w := &chunkWriter{digest: sha256.New(), send: func(data []byte) error {
		out = append(out, slices.Clone(data))
		return nil
	}}
	snap := pb.Snapshot{Data: []byte("token"), Metadata: pb.SnapshotMetadata{Index: 5, Term: 2}}
	require.NoError(t, w.header(pb.Message{Type: pb.MsgSnap, To: 2, Snapshot: &snap}))
	for i := range byte(5) {
		_, err := w.Write(bytes.Repeat([]byte{i}, 100_000))
		require.NoError(t, err)
	}
	require.NoError(t, w.end())
	require.Len(t, out, 4)
	return out
}

func readBack(data [][]byte) (int, error) {
	stream := &frames{data: data}
	r := &chunkReader{digest: sha256.New(), next: func(f *frame) error { return stream.RecvMsg(f) }}
	if err := r.readHeader(); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, r)
	return int(n), err
}

// Claim: no damage to a snapshot's stream goes unnoticed.
func TestDamagedSnapshotIsRefused(t *testing.T) {
	n, err := readBack(written(t))
	require.NoError(t, err)
	require.Equal(t, 500_000, n)
	damage := map[string]func(f [][]byte) [][]byte{
		"cut short":     func(f [][]byte) [][]byte { return f[:3] },
		"chunk missing": func(f [][]byte) [][]byte { return slices.Delete(f, 1, 2) },
		"chunk twice":   func(f [][]byte) [][]byte { return slices.Insert(f, 1, f[1]) },
		"chunks swapped": func(f [][]byte) [][]byte {
			f[1], f[2] = f[2], f[1]
			return f
		},
		"no header":     func(f [][]byte) [][]byte { return f[1:] },
		"bit in a body": func(f [][]byte) [][]byte { f[1][1000] ^= 1; return f },
		"bit in a sum":  func(f [][]byte) [][]byte { f[1][2] ^= 1; return f },
		"bit in the end": func(f [][]byte) [][]byte {
			f[3][20] ^= 1
			return f
		},
		"empty frame":     func(f [][]byte) [][]byte { f[1] = nil; return f },
		"another message": func(f [][]byte) [][]byte { f[0] = []byte{frameHeader}; return f },
	}
	for name, change := range damage {
		t.Run(name, func(t *testing.T) {
			_, err := readBack(change(written(t)))
			require.Error(t, err)
		})
	}
}
