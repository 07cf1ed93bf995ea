package host

import (
	"encoding/binary"
	"fmt"

	pb "quorate.example/raft/raftpb"
)

func sprint(v ...any) string            { return fmt.Sprint(v...) }
func sprintf(f string, v ...any) string { return fmt.Sprintf(f, v...) }

// mix adds an applied entry to the digest of those before it.
func mix(h uint64, e pb.Entry) uint64 {
	add := func(x uint64) {
		h = (h ^ x) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	add(e.Index)
	add(e.Term)
	add(uint64(e.Type))
	add(Hash(e.Data))
	return h
}

// Hash is FNV-1a over eight bytes at a time.
func Hash(b []byte) uint64 {
	h := uint64(14695981039346656037) + uint64(len(b))
	for len(b) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(b)) * 1099511628211
		h ^= h >> 32
		b = b[8:]
	}
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func digestBytes(d uint64) []byte { return binary.LittleEndian.AppendUint64(nil, d) }

func digestOf(data []byte) uint64 {
	if len(data) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(data)
}
