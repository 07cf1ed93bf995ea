package raft

// assert panics unless ok: the library itself is wrong, and going on could lose data. The network
// cannot bring this about. The claim says what must hold.
func assert(ok bool, claim string) {
	if !ok {
		panic("raft: broken invariant: " + claim)
	}
}
