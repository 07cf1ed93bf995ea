package raft_test

import (
	"context"
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// A group of one voter: the whole loop of a host, without a network.
func Example() {
	storage := raft.NewMemoryStorage()
	member, err := raft.NewRawNode(&raft.Config{
		ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: storage,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: raft.DiscardLogger(),
	})
	if err != nil {
		panic(err)
	}
	work := func() {
		for member.HasReady() {
			rd := member.Ready()
			if !raft.IsEmptyHardState(rd.HardState) {
				_ = storage.SetHardState(rd.HardState)
			}
			_ = storage.Append(rd.Entries)
			// With more members, rd.Messages would be sent here.
			for _, e := range rd.CommittedEntries {
				switch {
				case e.Type == pb.EntryConfChange:
					var cc pb.ConfChange
					_ = cc.Unmarshal(e.Data)
					fmt.Println("voters:", member.ApplyConfChange(cc).Voters)
				case len(e.Data) > 0:
					fmt.Printf("apply: %s\n", e.Data)
				}
			}
			member.Advance(rd)
		}
	}

	_ = member.Bootstrap([]raft.Peer{{ID: 1}})
	work()
	_ = member.Campaign() // or call Tick until the election timeout has passed
	work()
	fmt.Println("role:", member.BasicStatus().RaftState)
	_ = member.Propose([]byte("hello"))
	work()
	// Output:
	// voters: [1]
	// role: StateLeader
	// apply: hello
}

// Three members in one process. Messages go from one to the other in memory; a follower forwards its
// proposals to the leader.
func Example_threeMembers() {
	voters := pb.ConfState{Voters: []uint64{1, 2, 3}}
	members := map[uint64]*raft.RawNode{}
	storages := map[uint64]*raft.MemoryStorage{}
	for _, id := range voters.Voters {
		storages[id] = raft.NewMemoryStorage()
		_ = storages[id].ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{ConfState: voters}})
		members[id], _ = raft.NewRawNode(&raft.Config{
			ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: storages[id],
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: raft.DiscardLogger(),
		})
	}
	work := func() {
		for busy := true; busy; {
			busy = false
			for _, id := range voters.Voters {
				for members[id].HasReady() {
					busy = true
					rd := members[id].Ready()
					if !raft.IsEmptyHardState(rd.HardState) {
						_ = storages[id].SetHardState(rd.HardState)
					}
					_ = storages[id].Append(rd.Entries) // save before sending
					for _, m := range rd.Messages {
						_ = members[m.To].Step(m)
					}
					for _, e := range rd.CommittedEntries {
						if len(e.Data) > 0 {
							fmt.Printf("%d applies %s\n", id, e.Data)
						}
					}
					members[id].Advance(rd)
				}
			}
		}
	}

	_ = members[1].Campaign()
	work()
	for _, id := range voters.Voters {
		fmt.Printf("%d follows %d\n", id, members[id].BasicStatus().Lead)
	}
	_ = members[3].Propose([]byte("hello"))
	work()
	// Output:
	// 1 follows 1
	// 2 follows 1
	// 3 follows 1
	// 1 applies hello
	// 2 applies hello
	// 3 applies hello
}

// With AsyncStorageWrites a goroutine writes the log and another one applies, while the loop goes on.
// Each works off its messages in order, and then sends their Responses: here all go to this member.
func Example_asyncStorage() {
	storage := raft.NewMemoryStorage()
	_ = storage.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{
		ConfState: pb.ConfState{Voters: []uint64{1}}}})
	node := raft.RestartNode(&raft.Config{
		ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: storage, AsyncStorageWrites: true,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: raft.DiscardLogger(),
	})
	ctx := context.Background()
	toLog, toApply := make(chan pb.Message, 16), make(chan pb.Message, 16)
	applied := make(chan string, 16)
	respond := func(m pb.Message) {
		for _, r := range m.Responses {
			_ = node.Step(ctx, r) // r.To is another member in a larger group: send it there
		}
	}
	go func() { // the log writer
		for m := range toLog {
			if hard := (pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}); !raft.IsEmptyHardState(hard) {
				_ = storage.SetHardState(hard)
			}
			_ = storage.Append(m.Entries)
			respond(m)
		}
	}()
	go func() { // the state machine
		for m := range toApply {
			for _, e := range m.Entries {
				if len(e.Data) > 0 {
					applied <- string(e.Data)
				}
			}
			respond(m)
		}
	}()
	stopped := make(chan struct{})
	go func() { // the loop
		for {
			select {
			case rd := <-node.Ready():
				for _, m := range rd.Messages {
					switch m.To {
					case raft.LocalAppendThread:
						toLog <- m
					case raft.LocalApplyThread:
						toApply <- m
					}
				}
			case <-stopped:
				close(toLog)
				close(toApply)
				return
			}
		}
	}()

	_ = node.Campaign(ctx)
	for _, word := range []string{"one", "two", "three"} {
		if err := node.Propose(ctx, []byte(word)); err != nil { // waits until there is a leader
			panic(err)
		}
	}
	for i := 0; i < 3; i++ {
		fmt.Println("applied:", <-applied)
	}
	node.Stop()
	close(stopped)
	// Output:
	// applied: one
	// applied: two
	// applied: three
}

// A linearizable read takes no log entry: once ReadStates brings the request back, and everything up
// to its Index is applied, the state machine may be read.
func ExampleRawNode_ReadIndex() {
	storage := raft.NewMemoryStorage()
	_ = storage.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{
		ConfState: pb.ConfState{Voters: []uint64{1}}}})
	member, _ := raft.NewRawNode(&raft.Config{
		ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: storage,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: raft.DiscardLogger(),
	})
	var machine string             // the state machine: the last value
	var applied uint64             // the index that it has reached
	var confirmed []raft.ReadState // reads that wait for it
	work := func() {
		for member.HasReady() {
			rd := member.Ready()
			if !raft.IsEmptyHardState(rd.HardState) {
				_ = storage.SetHardState(rd.HardState)
			}
			_ = storage.Append(rd.Entries)
			confirmed = append(confirmed, rd.ReadStates...)
			for _, e := range rd.CommittedEntries {
				applied = e.Index
				if len(e.Data) > 0 {
					machine = string(e.Data)
				}
			}
			for len(confirmed) > 0 && confirmed[0].Index <= applied {
				fmt.Printf("%s: %s\n", confirmed[0].RequestCtx, machine)
				confirmed = confirmed[1:]
			}
			member.Advance(rd)
		}
	}

	_ = member.Campaign()
	work()
	_ = member.Propose([]byte("blue"))
	work()
	member.ReadIndex([]byte("request 1"))
	work()
	_ = member.Propose([]byte("green"))
	work()
	member.ReadIndex([]byte("request 2"))
	work()
	// Output:
	// request 1: blue
	// request 2: green
}

// A second member joins as a learner, catches up, and becomes a voter. It starts with nothing: the
// leader brings it the log, and with it the configuration.
func ExampleRawNode_ProposeConfChange() {
	members := map[uint64]*raft.RawNode{}
	storages := map[uint64]*raft.MemoryStorage{}
	for id := uint64(1); id <= 2; id++ {
		storages[id] = raft.NewMemoryStorage()
		members[id], _ = raft.NewRawNode(&raft.Config{
			ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: storages[id],
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: raft.DiscardLogger(),
		})
	}
	apply := func(id uint64, e pb.Entry) {
		var change pb.ConfChangeI
		switch e.Type {
		case pb.EntryConfChange:
			var cc pb.ConfChange
			_ = cc.Unmarshal(e.Data)
			change = cc
		case pb.EntryConfChangeV2:
			var cc pb.ConfChangeV2
			_ = cc.Unmarshal(e.Data)
			change = cc
		default:
			return
		}
		conf := members[id].ApplyConfChange(change) // to be stored with the next snapshot
		fmt.Printf("on %d: voters %v, learners %v\n", id, conf.Voters, conf.Learners)
	}
	work := func() {
		for busy := true; busy; {
			busy = false
			for id := uint64(1); id <= 2; id++ {
				for members[id].HasReady() {
					busy = true
					rd := members[id].Ready()
					if !raft.IsEmptyHardState(rd.HardState) {
						_ = storages[id].SetHardState(rd.HardState)
					}
					_ = storages[id].Append(rd.Entries)
					for _, m := range rd.Messages {
						_ = members[m.To].Step(m)
					}
					for _, e := range rd.CommittedEntries {
						apply(id, e)
					}
					members[id].Advance(rd)
				}
			}
		}
	}

	_ = members[1].Bootstrap([]raft.Peer{{ID: 1}})
	work()
	_ = members[1].Campaign()
	work()
	_ = members[1].ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: 2})
	work()
	_ = members[1].ProposeConfChange(pb.ConfChangeV2{Changes: []pb.ConfChangeSingle{
		{Type: pb.ConfChangeAddNode, NodeID: 2}}})
	work()
	// Output:
	// on 1: voters [1], learners []
	// on 1: voters [1], learners [2]
	// on 2: voters [1], learners []
	// on 2: voters [1], learners [2]
	// on 1: voters [1 2], learners []
	// on 2: voters [1 2], learners []
}
