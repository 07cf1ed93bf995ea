// Command embed is the smallest program around the library: one voter, in memory.
package main

import (
	"fmt"
	"math"

	"quorate.example/raft"
	"quorate.example/raft/raftpb"
)

func main() {
	storage := raft.NewMemoryStorage()
	storage.ApplySnapshot(raftpb.Snapshot{Metadata: raftpb.SnapshotMetadata{
		Index: 1, Term: 1, ConfState: raftpb.ConfState{Voters: []uint64{1}}}})
	node, err := raft.NewRawNode(&raft.Config{
		ID: 1, ElectionTick: 10, HeartbeatTick: 1,
		Storage: storage, MaxSizePerMsg: math.MaxUint64, MaxInflightMsgs: 256,
		Logger: raft.DiscardLogger(),
	})
	if err != nil {
		panic(err)
	}
	node.Campaign()
	for proposed := false; ; {
		for node.HasReady() {
			rd := node.Ready()
			if !raft.IsEmptyHardState(rd.HardState) { // 1. save, synced if rd.MustSync
				storage.SetHardState(rd.HardState)
			}
			storage.Append(rd.Entries)
			for range rd.Messages { // 2. send: here there is nobody else
			}
			for _, entry := range rd.CommittedEntries { // 3. apply
				if len(entry.Data) > 0 {
					fmt.Printf("applied %q\n", entry.Data)
					return
				}
			}
			node.Advance(rd) // 4. go on
		}
		if !proposed {
			proposed = true
			node.Propose([]byte("hello"))
		}
	}
}
