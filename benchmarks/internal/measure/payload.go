package measure

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// Size reads a size such as 16B, 1KiB or 1MiB.
func Size(text string) int {
	unit := 1
	for suffix, u := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = rest, u
		}
	}
	return Number(strings.TrimSuffix(text, "B")) * unit
}

// Number reads a number.
func Number(text string) int {
	n, err := strconv.Atoi(text)
	Must(err)
	return n
}

// Payloads is a stock of different payloads, made before the clock starts. It is a ring: large ones
// come again. It is one block without pointers, so that the collector has nothing to do with it.
type Payloads struct {
	all  []byte
	size int
	n    int // payloads in all
}

const stockBytes = 32 << 20

// NewPayloads returns a stock for n proposals of size bytes, which is at least 8.
func NewPayloads(n, size int) *Payloads {
	n = max(1, min(n, stockBytes/size))
	p := &Payloads{all: make([]byte, n*size), size: size, n: n}
	for i := range n {
		fill(p.At(i), i)
	}
	return p
}

// fill writes the number of the payload and then bytes that depend on it.
func fill(data []byte, i int) {
	binary.LittleEndian.PutUint64(data, uint64(i))
	x := uint64(i)*0x9e3779b97f4a7c15 + 1
	for j := 8; j < len(data); j++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[j] = byte(x)
	}
}

// At returns the payload of proposal i.
func (p *Payloads) At(i int) []byte {
	if i >= p.n {
		i %= p.n
	}
	end := (i + 1) * p.size
	return p.all[i*p.size : end : end]
}

// Check panics if a payload was changed.
func (p *Payloads) Check() {
	want := make([]byte, p.size)
	for i := range p.n {
		fill(want, i)
		Check(bytes.Equal(p.At(i), want), "payload %d was changed", i)
	}
}

// Want returns the digest of who has applied the proposals 0 to n-1 in order.
func (p *Payloads) Want(n int) (d Digest) {
	for i := 0; i < n; i++ {
		d.Add(p.At(i))
	}
	return d
}

// Digest is what a state machine keeps of the entries that it applied, and of their order.
type Digest struct {
	Count uint64
	Bytes uint64
	Hash  uint64
}

// Add applies one entry: its number, its last byte and its length.
func (d *Digest) Add(data []byte) {
	d.Count++
	d.Bytes += uint64(len(data))
	x := binary.LittleEndian.Uint64(data) ^ uint64(data[len(data)-1])<<56
	d.Hash = (d.Hash ^ x) * 0x9e3779b97f4a7c15
	d.Hash ^= d.Hash >> 29
}
