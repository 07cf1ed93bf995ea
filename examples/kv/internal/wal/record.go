package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	pb "quorate.example/raft/raftpb"
)

// The layout of a record; integers are little-endian:
//
//	checksum   4 bytes, CRC-32C of all that follows
//	size       4, of the body
//	number     8, one more than that of the record before, unless it is a head
//	durable    8, the number of the last record that was known to be on the disk
//	body       one byte says what is in it; then, in this order, if it is
//	  head       8, the number of the record before; its own number may be any higher one
//	  start      16, index and term of the entry before the first one of the log
//	  reset      nothing: all entries before this record are void
//	  hard       a length, and a raftpb.HardState
//	  entries    how many, then for each a length, and a raftpb.Entry; the log ends with the last
//
// Lengths and counts are varints.
const (
	headerSize = 24
	sizeAt     = 4
	numberAt   = 8
	durableAt  = 16

	// maxRecord bounds what is written at once. Records are far smaller: hosts bound what they have in hand.
	maxRecord = 1 << 30
)

const (
	isHead byte = 1 << iota
	hasStart
	isReset
	hasHard
	hasEntries

	allParts = isHead | hasStart | isReset | hasHard | hasEntries
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Position names an entry of the log.
type Position struct{ Index, Term uint64 }

// record is one write, which is there after a crash as a whole or not at all.
type record struct {
	head    bool
	before  uint64 // of a head
	start   *Position
	reset   bool
	hard    *pb.HardState
	entries []pb.Entry
}

// place is where an entry stands in a segment.
type place struct {
	offset   uint32
	size     uint32
	checksum uint32
}

// encode appends the record to buffer, which begins at offset in its segment, and the places of its entries to
// places.
func (r *record) encode(buffer []byte, places []place, offset int64, number, durable uint64) ([]byte, []place, error) {
	at := len(buffer)
	buffer = append(buffer, make([]byte, headerSize+1)...)
	var parts byte
	if r.head {
		parts |= isHead
		buffer = binary.LittleEndian.AppendUint64(buffer, r.before)
	}
	if r.start != nil {
		parts |= hasStart
		buffer = binary.LittleEndian.AppendUint64(buffer, r.start.Index)
		buffer = binary.LittleEndian.AppendUint64(buffer, r.start.Term)
	}
	if r.reset {
		parts |= isReset
	}
	var err error
	if r.hard != nil {
		parts |= hasHard
		if buffer, err = appendMessage(buffer, r.hard); err != nil {
			return nil, nil, err
		}
	}
	if len(r.entries) > 0 {
		parts |= hasEntries
		buffer = binary.AppendUvarint(buffer, uint64(len(r.entries)))
	}
	for i := range r.entries {
		size := r.entries[i].Size()
		if buffer, err = appendMessage(buffer, &r.entries[i]); err != nil {
			return nil, nil, err
		}
		from := len(buffer) - size
		places = append(places, place{
			offset: uint32(offset) + uint32(from-at), size: uint32(size),
			checksum: crc32.Checksum(buffer[from:], castagnoli),
		})
	}
	out := buffer[at:]
	if len(out) > maxRecord {
		return nil, nil, fmt.Errorf("wal: a write of %d bytes; allowed: up to %d", len(out), maxRecord)
	}
	out[headerSize] = parts
	binary.LittleEndian.PutUint32(out[sizeAt:], uint32(len(out)-headerSize))
	binary.LittleEndian.PutUint64(out[numberAt:], number)
	binary.LittleEndian.PutUint64(out[durableAt:], durable)
	binary.LittleEndian.PutUint32(out, crc32.Checksum(out[sizeAt:], castagnoli))
	return buffer, places, nil
}

type message interface {
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
}

// appendMessage appends a message with its length in front.
func appendMessage(buffer []byte, m message) ([]byte, error) {
	size := m.Size()
	buffer = binary.AppendUvarint(buffer, uint64(size))
	at := len(buffer)
	buffer = append(buffer, make([]byte, size)...)
	_, err := m.MarshalToSizedBuffer(buffer[at:])
	return buffer, err
}

// sound returns the number and the length of the record at the beginning of data, and whether there is one.
func sound(data []byte) (number uint64, length int, ok bool) {
	if len(data) <= headerSize {
		return 0, 0, false
	}
	size := binary.LittleEndian.Uint32(data[sizeAt:])
	if size == 0 || uint64(size) > uint64(len(data)-headerSize) {
		return 0, 0, false
	}
	length = headerSize + int(size)
	if crc32.Checksum(data[sizeAt:length], castagnoli) != binary.LittleEndian.Uint32(data) {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(data[numberAt:]), length, true
}

func durableOf(data []byte) uint64 { return binary.LittleEndian.Uint64(data[durableAt:]) }

var errMalformed = errors.New("a record is sound and makes no sense")

// decode reads a record that is sound and begins at offset in its segment. Its entries have no payload.
func decode(data []byte, offset int64) (r record, places []place, err error) {
	d := decoder{rest: data[headerSize:]}
	parts := d.byte()
	if parts&^allParts != 0 {
		return r, nil, errMalformed
	}
	if r.head = parts&isHead != 0; r.head {
		r.before = d.uint64()
	}
	if parts&hasStart != 0 {
		r.start = &Position{Index: d.uint64(), Term: d.uint64()}
	}
	r.reset = parts&isReset != 0
	if parts&hasHard != 0 {
		r.hard = &pb.HardState{}
		d.message(r.hard)
	}
	if parts&hasEntries != 0 {
		for n := d.uvarint(); n > 0 && !d.bad; n-- {
			var e pb.Entry
			raw := d.message(&e)
			e.Data = nil
			r.entries = append(r.entries, e)
			places = append(places, place{
				offset: uint32(offset) + uint32(len(data)-len(d.rest)-len(raw)), size: uint32(len(raw)),
				checksum: crc32.Checksum(raw, castagnoli),
			})
		}
	}
	for i := range r.entries {
		d.bad = d.bad || r.entries[i].Index != r.entries[0].Index+uint64(i)
	}
	if d.bad || len(d.rest) > 0 || r.reset && r.start == nil {
		return r, nil, errMalformed
	}
	return r, places, nil
}

// decoder reads the parts of a record, and notes if one is cut off.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// message reads a message with its length in front, and returns its bytes.
func (d *decoder) message(m interface{ Unmarshal([]byte) error }) []byte {
	raw := d.take(d.uvarint())
	if !d.bad && m.Unmarshal(raw) != nil {
		d.bad = true
	}
	return raw
}
