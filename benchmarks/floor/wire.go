package floor

import (
	"encoding/binary"

	pb "quorate.example/raft/raftpb"
)

// Size returns how long Marshal's bytes are.
func Size(m *pb.Message) int {
	n := 1 + 8*5
	for i := range m.Entries {
		n += 1 + 8 + 8 + 4 + len(m.Entries[i].Data)
	}
	return n
}

// Marshal writes an append in fixed-width fields.
func Marshal(m *pb.Message) []byte {
	raw := append(make([]byte, 0, Size(m)), byte(m.Type))
	for _, v := range [...]uint64{m.To, m.From, m.Term, m.Index, m.Commit} {
		raw = binary.LittleEndian.AppendUint64(raw, v)
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		raw = append(raw, byte(e.Type))
		raw = binary.LittleEndian.AppendUint64(raw, e.Term)
		raw = binary.LittleEndian.AppendUint64(raw, e.Index)
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(e.Data)))
		raw = append(raw, e.Data...)
	}
	return raw
}

// Unmarshal reads what Marshal wrote. Data stays in raw.
func Unmarshal(raw []byte) (m pb.Message) {
	m.Type = pb.MessageType(raw[0])
	raw = raw[1:]
	number := func() uint64 {
		v := binary.LittleEndian.Uint64(raw)
		raw = raw[8:]
		return v
	}
	m.To, m.From, m.Term, m.Index, m.Commit = number(), number(), number(), number(), number()
	m.Entries = make([]pb.Entry, 0, 64)
	for len(raw) > 0 {
		kind := pb.EntryType(raw[0])
		raw = raw[1:]
		e := pb.Entry{Type: kind, Term: number(), Index: number()}
		n := binary.LittleEndian.Uint32(raw)
		e.Data, raw = raw[4:4+n:4+n], raw[4+n:]
		m.Entries = append(m.Entries, e)
	}
	return m
}
