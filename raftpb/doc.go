// Package raftpb holds what Quorate members write to disk and send to each other: log entries,
// snapshots, messages and membership changes, in the wire format of go.etcd.io/raft v3.6.
//
// The message types are generated from raft.proto. Their Unmarshal merges into what is there: a
// field that is absent from the input keeps its value, and repeated fields grow. Unknown fields
// are read over and dropped.
//
// What was decoded shares no memory with the input. Short entries of one message share memory with each
// other: the Data of entries of up to 512 bytes lies in blocks of up to 4 KiB. So whoever keeps a few
// entries of many for long copies their Data.
//
// Bytes that came from another member go through [UnmarshalPeer], never through
// [Message.Unmarshal]: Message is recursive, and a few megabytes of nested responses exhaust the
// stack of a decoder, which no program survives.
package raftpb

//go:generate sh generate.sh
