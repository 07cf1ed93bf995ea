// Package rafttest is a world to test Raft members in: in memory, on one
// goroutine, and the same every time.
//
// It has three parts. InteractionEnv runs transcripts, in which a person writes
// what each member does and reads what it answers. TestStorage tells whether a
// Storage keeps the contract that package raft relies on. Simulate runs members,
// with their own Storage, state machine and host loop, through networks, disks,
// clocks and crashes that all come from one seed, and checks after each event
// that nothing happened which Raft forbids.
package rafttest
