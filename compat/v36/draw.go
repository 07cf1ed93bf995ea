package v36

import (
	"crypto/rand"
)

// drawer stands in for crypto/rand.Reader, from which v3.6.0 draws its election timeouts by way of
// rand.Int. It answers with the draw of the member that is at work; rand.Int reads a number below
// ElectionTick from it as big-endian bytes and takes it as it is.
type drawer struct{ current *member }

var source drawer

// Deterministic makes members with Options.Draw draw from there. It replaces crypto/rand.Reader in
// this process: for tests, with all members in one goroutine.
func Deterministic() { rand.Reader = &source }

func (m *member) use() { source.current = m }

func (d *drawer) Read(p []byte) (int, error) {
	clear(p)
	if m := d.current; m != nil && m.draw != nil {
		v := m.draw() % m.et
		for i := len(p) - 1; i >= 0 && v > 0; i-- {
			p[i] = byte(v)
			v >>= 8
		}
	}
	return len(p), nil
}
