//go:build floor

package main

import (
	"quorate.example/raft"
	"quorate.example/raft/benchmarks/floor"
	pb "quorate.example/raft/raftpb"
)

type (
	rawNode       = floor.RawNode
	node          = *floor.Node
	ready         = raft.Ready
	config        = raft.Config
	memoryStorage = floor.Storage
	message       = pb.Message
	entry         = pb.Entry
	hardState     = pb.HardState
	snapshot      = pb.Snapshot
)

const (
	msgApp       = pb.MsgApp
	msgHeartbeat = pb.MsgHeartbeat
	msgAppResp   = pb.MsgAppResp
	msgVoteResp  = pb.MsgVoteResp
	msgProp      = pb.MsgProp
)

func newStorage() *memoryStorage             { return floor.NewStorage() }
func newRawNode(c *config) (*rawNode, error) { return floor.NewRawNode(c) }
func restartNode(c *config) node             { return floor.StartNode(c) }
func isEmptyHardState(hs hardState) bool     { return raft.IsEmptyHardState(hs) }
func isEmptySnapshot(s snapshot) bool        { return raft.IsEmptySnap(s) }
func leaderOf(n *rawNode) uint64             { return n.Leader() }
func termOf(n *rawNode) uint64               { return n.Term() }
func leads(n *rawNode) bool                  { return n.Leader() == 1 }
func quiet() raft.Logger                     { return raft.DiscardLogger() }

func marshal(m *message) []byte    { return floor.Marshal(m) }
func unmarshal(raw []byte) message { return floor.Unmarshal(raw) }
func sizeOf(m *message) int        { return floor.Size(m) }
func entriesOf(m *message) []entry { return m.Entries }

// startThreads is for AsyncStorageWrites, which this one does not have.
func (s *server) startThreads() func(rd ready) { return s.ready }
