//go:build !v36 && !v37 && !floor

package main

import (
	raft "quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

type (
	rawNode       = raft.RawNode
	node          = raft.Node
	ready         = raft.Ready
	config        = raft.Config
	memoryStorage = raft.MemoryStorage
	message       = pb.Message
	entry         = pb.Entry
	hardState     = pb.HardState
	snapshot      = pb.Snapshot
	confState     = pb.ConfState
)

const (
	msgApp       = pb.MsgApp
	msgHeartbeat = pb.MsgHeartbeat
	msgAppResp   = pb.MsgAppResp
	msgVoteResp  = pb.MsgVoteResp
	msgProp      = pb.MsgProp

	appendThread = raft.LocalAppendThread
	applyThread  = raft.LocalApplyThread
)

func newStorage() *memoryStorage             { return raft.NewMemoryStorage() }
func newRawNode(c *config) (*rawNode, error) { return raft.NewRawNode(c) }
func restartNode(c *config) node             { return raft.RestartNode(c) }
func isEmptyHardState(hs hardState) bool     { return raft.IsEmptyHardState(hs) }
func isEmptySnapshot(s snapshot) bool        { return raft.IsEmptySnap(s) }
func leaderOf(n *rawNode) uint64             { return n.BasicStatus().Lead }
func termOf(n *rawNode) uint64               { return n.BasicStatus().HardState.Term }
func leads(n *rawNode) bool                  { return n.BasicStatus().RaftState == raft.StateLeader }

func quiet() raft.Logger { return raft.DiscardLogger() }

func enterJoint(add, remove, learners []uint64) pb.ConfChangeV2 {
	c := pb.ConfChangeV2{Transition: pb.ConfChangeTransitionJointExplicit}
	put := func(kind pb.ConfChangeType, ids []uint64) {
		for _, id := range ids {
			c.Changes = append(c.Changes, pb.ConfChangeSingle{Type: kind, NodeID: id})
		}
	}
	put(pb.ConfChangeAddNode, add)
	put(pb.ConfChangeRemoveNode, remove)
	put(pb.ConfChangeAddLearnerNode, learners)
	return c
}

func leaveJoint() pb.ConfChangeV2             { return pb.ConfChangeV2{} }
func newConfState(voters []uint64) *confState { return &confState{Voters: voters} }
