package rafttest

import "math/bits"

// source is a stream of random numbers (splitmix64). Its zero value is a
// stream too.
type source struct{ state uint64 }

// newSource returns the stream of one purpose within a seed. Streams of
// different purposes have nothing to do with each other.
func newSource(seed uint64, purpose, a, b uint64) *source {
	s := &source{state: seed}
	for _, part := range [...]uint64{purpose, a, b} {
		s.state = s.Uint64() ^ mix(part+0x632be59bd9b4e019)
	}
	return s
}

// Uint64 returns the next number.
func (s *source) Uint64() uint64 {
	s.state += 0x9e3779b97f4a7c15
	return mix(s.state)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n); n must not be zero.
func (s *source) below(n uint64) uint64 {
	hi, _ := bits.Mul64(s.Uint64(), n)
	return hi
}

// between returns a number in [lo, hi].
func (s *source) between(lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	return lo + int64(s.below(uint64(hi-lo)+1))
}

// chance reports true with probability p.
func (s *source) chance(p float64) bool {
	return p > 0 && float64(s.Uint64()>>11)/(1<<53) < p
}

// The purposes of streams.
const (
	streamSchedule = iota + 1
	streamSetup
	streamLink
	streamDisk
	streamElection
	streamClock
	streamWorkload
	streamMember
)

// hashMix folds x into h. It is not for adversaries.
func hashMix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo ^ bits.RotateLeft64(h, 23)
}

// hashBytes folds data into h, eight bytes at a time.
func hashBytes(h uint64, data []byte) uint64 {
	h = hashMix(h, uint64(len(data)))
	for len(data) >= 8 {
		h = hashMix(h, uint64(data[0])|uint64(data[1])<<8|uint64(data[2])<<16|
			uint64(data[3])<<24|uint64(data[4])<<32|uint64(data[5])<<40|
			uint64(data[6])<<48|uint64(data[7])<<56)
		data = data[8:]
	}
	if len(data) > 0 {
		var tail uint64
		for i, b := range data {
			tail |= uint64(b) << (8 * i)
		}
		h = hashMix(h, tail)
	}
	return h
}
