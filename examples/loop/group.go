package main

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

const tick = 10 * time.Millisecond

// startGroup runs three members, and returns what ends them.
func startGroup(ctx context.Context, useNode bool) ([]looper, func()) {
	ctx, cancel := context.WithCancel(ctx)
	members := make([]looper, 3)
	send := func(messages []pb.Message) {
		for _, m := range messages {
			members[m.To-1].receive(m)
		}
	}
	for i := range members {
		c := newCommon(uint64(i+1), send)
		if useNode {
			members[i] = newNodeLoop(c)
		} else {
			members[i] = newRawLoop(c)
		}
	}
	var running sync.WaitGroup
	for _, m := range members {
		running.Add(1)
		go func() {
			defer running.Done()
			m.run(ctx)
		}()
	}
	return members, func() { cancel(); running.Wait() }
}

// common is what both loops share: the storage, and who waits for what.
type common struct {
	id      uint64
	storage *raft.MemoryStorage
	send    func([]pb.Message)

	mu      sync.Mutex
	lines   []string
	next    uint64
	waiting map[uint64]chan struct{} // by the number in front of a proposal
}

func newCommon(id uint64, send func([]pb.Message)) *common {
	c := &common{id: id, storage: raft.NewMemoryStorage(), send: send, waiting: map[uint64]chan struct{}{}}
	// A snapshot with the first configuration; without it Bootstrap or StartNode would put it into the log.
	if err := c.storage.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{
		Index: 1, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}}}}); err != nil {
		panic(err)
	}
	return c
}

func (c *common) config() *raft.Config {
	return &raft.Config{
		ID: c.id, ElectionTick: 10, HeartbeatTick: 1, Storage: c.storage, MaxSizePerMsg: math.MaxUint64,
		MaxInflightMsgs: 256, PreVote: true, CheckQuorum: true, Logger: raft.DiscardLogger(),
	}
}

// name puts a number in front of data by which it is known when it is applied, and returns what is closed then.
// It holds the member's ID, since members forward what is proposed to them.
func (c *common) name(data string) ([]byte, uint64, chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	number, done := c.next<<8|c.id, make(chan struct{})
	c.waiting[number] = done
	return append(binary.BigEndian.AppendUint64(nil, number), data...), number, done
}

// await waits until a proposal is applied.
func (c *common) await(ctx context.Context, number uint64, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, number)
		return ctx.Err()
	}
}

// save is step 1 of the contract: everything of one Ready together, synced if MustSync is set. Memory needs
// no sync.
func (c *common) save(rd *raft.Ready) {
	if !raft.IsEmptySnap(rd.Snapshot) {
		panic("this example never shortens its logs, so nobody needs a snapshot")
	}
	if err := c.storage.Append(rd.Entries); err != nil {
		panic(err)
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		if err := c.storage.SetHardState(rd.HardState); err != nil {
			panic(err)
		}
	}
}

// apply is step 3: in order, each once.
func (c *common) apply(entries []pb.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		if e.Type != pb.EntryNormal || len(e.Data) < 8 {
			continue // a leader's empty entry; a configuration change would go to ApplyConfChange
		}
		c.lines = append(c.lines, string(e.Data[8:]))
		number := binary.BigEndian.Uint64(e.Data)
		if done := c.waiting[number]; done != nil {
			delete(c.waiting, number)
			close(done)
		}
	}
}

func (c *common) applied() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}
