package host

import "math/rand"

// random is the splitmix64 sequence.
type random struct{ state uint64 }

// newRandom returns the sequence of a seed and a member; seed 0 means at random.
func newRandom(seed, id uint64) random {
	if seed == 0 {
		return random{state: rand.Uint64()}
	}
	return random{state: mix(seed, ^id)}
}

// Uint64 returns the next number.
func (r *random) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state, 0)
}

// next returns the next number that is not 0.
func (r *random) next() uint64 { return max(r.Uint64(), 1) }

// mix scatters two numbers over one.
func mix(a, b uint64) uint64 {
	z := a + b*0xd6e8feb86659fd93
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
