// Package host runs one member of a Raft group: the loop round package raft that every service needs.
// It saves before it promises, sends before its own sync, applies in order, answers whoever proposed,
// shares one quorum round among many reads, takes and streams snapshots, shortens the log, and stops
// with a cause when something that it stands on fails.
//
// The package is free of network and disk. The service brings a [StateMachine], a [LogStore] and a
// [Transport]; a state machine that lives in memory also needs a [SnapshotStore].
//
//	r, err := host.Start(host.Config{
//		ID: 1, StateMachine: sm, Log: log, Snapshots: snaps, Transport: net,
//		Bootstrap: []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}},
//	})
//	result, err := r.Propose(ctx, data) // result.Value is what the state machine answered
//	err = r.Read(ctx)                   // after it, reading the state machine is linearizable
//
// # Who runs what
//
// Three goroutines work side by side. The loop owns the RawNode and never waits for a disk or a network.
// The log writer calls LogStore.Save and Compact, one at a time; what gathers while a Save runs goes into
// the next one, so a sync is shared by whatever waits; what is proposed to a leader meanwhile is handed over
// together when it ends, or at the next tick. The applier calls the StateMachine, one call at a
// time. Snapshots are written, received and sent by goroutines of their own.
//
// # Outcomes
//
// Each call ends with its result, with its context, or with the replica. The errors of Propose work with
// errors.Is: [ErrNotLeader] and [ErrDropped] (nothing was proposed), [ErrLost] (another entry took its
// place: it never happened and never will), [ErrUnknown] (it may have happened, or may still).
//
// # What is proposed
//
// An entry holds the proposal's bytes as they are: a proposal is known by the term and index at which this
// leader appended it. Only a proposal that a follower forwards (Config.Forward) starts with a frame of
// 28 bytes: FrameMagic, the term in which it may be appended, and the name under which the follower waits
// for it; all numbers little-endian. A leader appends it only in that term and once, however often the
// network repeats it. Bytes that begin like a frame are put into one. Entries of other hosts, which have
// no frame, are applied as they are.
//
// # Where does it live?
//
// engine.go has the inputs and the order of work; save.go, apply.go, proposal.go, forward.go, read.go, change.go,
// transfer.go, snapshot.go (taking one, shortening the log), send.go, receive.go and recover.go (start) one concern
// each; watch.go and explain.go say what happens and why; replica.go, inbox.go and calls.go put goroutines round
// the engine, manual.go does not.
//
// [Manual] is the same member without goroutines and without a clock, for simulations.
package host
