package raft

// SetRandomizedElectionTimeout fixes the election timeout of rn, until it is drawn again.
func SetRandomizedElectionTimeout(rn *RawNode, ticks int) { rn.raft.clock.timeout = ticks }
