//go:build !floor

package main

import (
	"slices"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() {
	families["joint"] = jointChanges
	families["snapshot"] = snapshotRounds
	families["restart"] = restarts
}

// jointChanges puts into force, on the leader of seven voters, a joint change that replaces two voters
// and adds a learner, and the change that leaves the joint configuration. The next one takes it back.
func jointChanges(b *bench) {
	l := newLoneLeader(7)
	there := enterJoint([]uint64{8, 9}, []uint64{6, 7}, []uint64{10})
	back := enterJoint([]uint64{6, 7}, []uint64{8, 9, 10}, nil)
	leave := leaveJoint()
	var state *confState
	change := func(n int) {
		for i := 0; i < n; i++ {
			enter := there
			if i%2 == 1 {
				enter = back
			}
			l.node.ApplyConfChange(enter)
			l.work()
			state = l.node.ApplyConfChange(leave)
			l.work()
		}
	}
	change(2 + b.N/20*2)
	b.N += b.N % 2
	b.Start()
	change(b.N)
	b.Stop()
	slices.Sort(state.Voters)
	measure.Check(slices.Equal(state.Voters, voters(7)), "voters are %v", state.Voters)
	measure.Check(len(state.Learners)+len(state.VotersOutgoing) == 0, "more than voters is left")
}

// snapshotRounds lets a follower fall behind what is left of the leader's log, and brings it back with a
// snapshot. Before and after, an entry is committed.
func snapshotRounds(b *bench) {
	g := newGroup(3)
	p := measure.NewPayloads(2*b.N, 16)
	state := newConfState(voters(3))
	leader := &g.members[0]
	for i := range g.members {
		g.members[i].keep = true // the leader compacts in each round, and member 3's log starts at its last snapshot
	}
	b.Start()
	for i := 0; i < b.N; i++ {
		g.cut = 3
		measure.Must(leader.node.Propose(p.At(2 * i)))
		g.pump()
		_, err := leader.storage.CreateSnapshot(leader.applied, state, nil)
		measure.Must(err)
		measure.Must(leader.storage.Compact(leader.applied))
		behind := &g.members[2]
		measure.Check(behind.applied < leader.applied, "member 3 is not behind")
		g.cut = 0
		for tries := 0; behind.applied < leader.applied; tries++ {
			measure.Check(tries < 10, "the snapshot did not arrive")
			leader.node.Tick()
			g.pump()
		}
		behind.digest = leader.digest // came with the snapshot
		measure.Must(leader.node.Propose(p.At(2*i + 1)))
		g.pump()
	}
	b.Stop()
	g.verify(p, 2*b.N)
}

// restarts creates members on a log of a given length, which is all applied.
func restarts(b *bench) {
	length := measure.Number(b.Param)
	m := &member{}
	m.load(voters(3), measure.NewPayloads(length, 16), length, 1, length, func(int) uint64 { return 1 })
	var node *rawNode
	b.Start()
	for i := 0; i < b.N; i++ {
		var err error
		node, err = newRawNode(newConfig(1, m.storage, func(c *config) { c.Applied = uint64(length + 1) }))
		measure.Must(err)
	}
	b.Stop()
	measure.Check(!node.HasReady() && termOf(node) == 1, "not restarted")
}
