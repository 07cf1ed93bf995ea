package raft_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
)

// A process may hold very many groups, nearly all of them idle: what one replica of three holds then, its
// storage included.
func TestAnIdleReplicaIsSmall(t *testing.T) {
	const groups = 500
	type replicas struct {
		nodes  [3]*raft.RawNode
		stores [3]*raft.MemoryStorage
	}
	all := make([]replicas, groups)
	bytes, objects := liveHeap()
	for i := range all {
		g := newTrio(t, ownTimeouts)
		for tick := 0; tick < 5; tick++ {
			g.tick()
		}
		require.Equal(t, raft.StateLeader, g.nodes[0].BasicStatus().RaftState)
		all[i] = replicas{nodes: g.nodes, stores: g.stores}
	}
	bytesNow, objectsNow := liveHeap()
	require.LessOrEqual(t, float64(bytesNow-bytes)/(3*groups), 850.0, "bytes")
	require.LessOrEqual(t, float64(objectsNow-objects)/(3*groups), 6.0, "objects")
	runtime.KeepAlive(all)
}

// ownTimeouts leaves the source of election timeouts to the member.
func ownTimeouts(c *raft.Config) { c.Rand = nil }

func liveHeap() (bytes, objects int64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.HeapObjects)
}

// tick lets one tick pass on all members, the leader first.
func (g *trio) tick() {
	for _, n := range g.nodes {
		n.Tick()
	}
	g.settle()
}

func TestCreatingAndElectingAReplicaTakesFewAllocations(t *testing.T) {
	perGroup := testing.AllocsPerRun(50, func() { newTrio(t, ownTimeouts) })
	require.LessOrEqual(t, perGroup/3, 25.0)
}

// A tick that only counts costs no memory, and a round of heartbeats only its messages: one piece for
// those of the leader, one for the answer of each follower.
func TestIdleTicksAllocateOnlyMessages(t *testing.T) {
	g := newTrio(t, ownTimeouts)
	for i := 0; i < 5; i++ {
		g.tick()
	}
	require.LessOrEqual(t, testing.AllocsPerRun(200, g.tick), 3.0, "a round of heartbeats")
	require.Zero(t, testing.AllocsPerRun(5, g.nodes[1].Tick), "a tick of a follower")
}

// Memory that load justified is let go when it has gone: a leader's windows, and what a member keeps for
// its host between Ready and Advance.
func TestMemoryThatLoadTookIsLetGo(t *testing.T) {
	g := newTrio(t, ownTimeouts)
	settled := func() int64 {
		for i := 0; i < 5; i++ {
			g.tick()
		}
		for i := range g.stores {
			g.inbox[i] = nil
			if last := g.nodes[i].BasicStatus().Applied; last > 1 {
				_ = g.stores[i].Compact(last)
			}
		}
		bytes, _ := liveHeap()
		return bytes
	}
	before := settled()
	for i := 0; i < 50; i++ {
		g.propose(100, make([]byte, 100))
		g.nodes[0].ReadIndex([]byte("r"))
		g.settle()
	}
	const spare = 3 * 1024 * 48 // the room that the storages take in advance
	require.Less(t, settled()-before, int64(spare+8<<10))
	runtime.KeepAlive(g)
}

// allocated returns how many bytes were allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
