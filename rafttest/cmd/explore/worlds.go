package main

import (
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/rafttest"
)

// world is a small world at two sizes: one that is through in seconds, and one for patient people.
type world struct {
	name  string
	small rafttest.Exploration
	long  rafttest.Exploration
}

// worlds are what is explored by default. Each is small in most respects, so that it can be deep in one.
func worlds() []world {
	var list []world
	add := func(name string, small rafttest.Exploration, grow func(x *rafttest.Exploration)) {
		long := small
		grow(&long)
		small.Name, long.Name = name, name
		list = append(list, world{name, small, long})
	}
	add("elections", rafttest.Exploration{Campaigns: 2, Crashes: 1},
		func(x *rafttest.Exploration) { x.Campaigns, x.Crashes = 3, 0 })
	add("entries", rafttest.Exploration{Voters: 2, Campaigns: 3, Proposals: 1, Config: oneByOne},
		func(x *rafttest.Exploration) { x.Proposals = 2 })
	add("three", rafttest.Exploration{Campaigns: 1, Proposals: 1, Crashes: 1},
		func(x *rafttest.Exploration) { x.Campaigns = 2 })
	add("crashes", rafttest.Exploration{Voters: 2, Campaigns: 2, Proposals: 1, Crashes: 2},
		func(x *rafttest.Exploration) { x.Campaigns = 3 })
	add("duplicates", rafttest.Exploration{Voters: 2, Campaigns: 1, Proposals: 2, Duplicates: 1},
		func(x *rafttest.Exploration) { x.Campaigns = 2 })
	add("heartbeats", rafttest.Exploration{Campaigns: 2, Ticks: 1},
		func(x *rafttest.Exploration) { x.Ticks = 2 })
	add("pre-vote", rafttest.Exploration{Voters: 2, Campaigns: 2, Proposals: 1, Ticks: 3, Config: careful},
		func(x *rafttest.Exploration) { x.Ticks = 5 })
	add("pre-vote-of-three", rafttest.Exploration{Campaigns: 1, Ticks: 1, Config: careful},
		func(x *rafttest.Exploration) { x.Ticks = 2 })
	add("reads", rafttest.Exploration{Campaigns: 2, Reads: 1, MaxStates: 1_000_000},
		func(x *rafttest.Exploration) { x.MaxStates = 0 })
	add("transfer", rafttest.Exploration{Voters: 2, Campaigns: 1, Proposals: 1, Transfers: 1, Ticks: 2},
		func(x *rafttest.Exploration) { x.Transfers, x.Crashes = 2, 1 })
	add("async", rafttest.Exploration{Voters: 2, Campaigns: 2, Proposals: 1, Config: async},
		func(x *rafttest.Exploration) { x.Crashes = 1 })
	add("async-of-three", rafttest.Exploration{Campaigns: 1, Config: async},
		func(x *rafttest.Exploration) { x.Proposals = 1 })
	add("learner", rafttest.Exploration{Voters: 2, Spares: 1, Campaigns: 2, MaxStates: 1_000_000,
		ConfChanges: changes(change(pb.ConfChangeAddLearnerNode, 3), change(pb.ConfChangeAddNode, 3))},
		func(x *rafttest.Exploration) { x.MaxStates, x.Crashes = 0, 1 })
	add("remove", rafttest.Exploration{Campaigns: 1, Crashes: 1, ConfChanges: changes(change(pb.ConfChangeRemoveNode, 3))},
		func(x *rafttest.Exploration) { x.Campaigns, x.Crashes = 2, 0 })
	add("remove-of-two", rafttest.Exploration{Voters: 2, Campaigns: 3, Crashes: 1, Config: stepDown,
		ConfChanges: changes(change(pb.ConfChangeRemoveNode, 1))},
		func(x *rafttest.Exploration) { x.Proposals = 1 })
	add("joint", rafttest.Exploration{Voters: 2, Spares: 1, Campaigns: 2, Crashes: 1,
		ConfChanges: changes(pb.ConfChangeV2{Changes: []pb.ConfChangeSingle{
			{Type: pb.ConfChangeAddNode, NodeID: 3}, {Type: pb.ConfChangeRemoveNode, NodeID: 1}}})},
		func(x *rafttest.Exploration) { x.Campaigns = 3 })
	add("snapshots", rafttest.Exploration{Spares: 1, Voters: 2, Campaigns: 1, Proposals: 1, Compactions: 1, Crashes: 1,
		ConfChanges: changes(change(pb.ConfChangeAddLearnerNode, 3))},
		func(x *rafttest.Exploration) { x.Compactions = 2 })
	return list
}

func careful(_ uint64, cfg *raft.Config) { cfg.PreVote, cfg.CheckQuorum = true, true }

func async(_ uint64, cfg *raft.Config) { cfg.AsyncStorageWrites = true }

// oneByOne sends each entry in a message of its own.
func oneByOne(_ uint64, cfg *raft.Config) { cfg.MaxSizePerMsg = 0 }

func stepDown(_ uint64, cfg *raft.Config) { cfg.StepDownOnRemoval = true }

func change(typ pb.ConfChangeType, id uint64) pb.ConfChangeV2 {
	return pb.ConfChangeV2{Changes: []pb.ConfChangeSingle{{Type: typ, NodeID: id}}}
}

func changes(list ...pb.ConfChangeV2) []pb.ConfChangeV2 { return list }
