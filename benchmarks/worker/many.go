package main

import (
	"quorate.example/raft/benchmarks/internal/measure"
)

func init() {
	families["create"] = createAndElect
	families["heartbeat"] = heartbeatRounds
	families["groups"] = idleFollowers
}

// trio is a group of three without hosts, of which there may be many.
type trio struct {
	nodes    [3]*rawNode
	storages [3]*memoryStorage
}

// electTrios fills trios with groups that member 1 leads and that have nothing to do. One host is used
// for all, so that only what the library holds stays.
func electTrios(trios []trio, tune ...tuning) {
	g := &group{members: make([]member, 3)}
	for i := range trios {
		for j := range g.members {
			m := &g.members[j]
			*m = member{inbox: m.inbox[:0], spare: m.spare[:0]}
		}
		g.start(voters(3), tune...)
		g.elect()
		for j := range g.members {
			trios[i].nodes[j], trios[i].storages[j] = g.members[j].node, g.members[j].storage
		}
	}
}

// round is a tick of all three, a leader's round of heartbeats, and all that follows from it.
func (t *trio) round(answers []*message) []*message {
	answers = answers[:0]
	for _, node := range t.nodes {
		node.Tick()
	}
	leader := t.nodes[0]
	rd := leader.Ready()
	for i := range rd.Messages {
		follower := t.nodes[msgTo(&rd.Messages[i])-1]
		measure.Must(follower.Step(rd.Messages[i]))
		answer := follower.Ready()
		for j := range answer.Messages {
			answers = append(answers, &answer.Messages[j])
		}
		follower.Advance(answer)
	}
	leader.Advance(rd)
	for i := range answers {
		measure.Must(leader.Step(*answers[i]))
	}
	if len(answers) != 2 {
		panic("benchmark: a heartbeat was not answered")
	}
	return answers
}

func checkTrios(trios []trio) {
	for i := range trios {
		for j, node := range trios[i].nodes {
			measure.Check(leaderOf(node) == 1, "group %d, member %d: leader is %d", i, j+1, leaderOf(node))
			measure.Check(!node.HasReady(), "group %d, member %d is not idle", i, j+1)
		}
	}
}

// createAndElect makes groups of three up to the commit of the leader's first entry. b.N is the number of
// replicas.
func createAndElect(b *bench) {
	b.N -= b.N % 3
	trios := make([]trio, b.N/3)
	electTrios(trios[:max(1, len(trios)/10)])
	b.Start()
	electTrios(trios)
	b.Stop()
	checkTrios(trios)
}

// heartbeatRounds sweeps over many groups; each operation is a round in one of them.
func heartbeatRounds(b *bench) {
	trios := make([]trio, measure.Number(b.Param))
	electTrios(trios, calm)
	sweeps := max(1, b.N/len(trios))
	b.N = sweeps * len(trios)
	var answers []*message
	sweep := func() {
		for i := range trios {
			answers = trios[i].round(answers)
		}
	}
	for tick := 0; tick < 3; tick++ {
		sweep()
	}
	b.Start()
	for ; sweeps > 0; sweeps-- {
		sweep()
	}
	b.Stop()
	checkTrios(trios)
}

// calm starts members that do not run out of patience while others are being looked at.
func calm(c *config) {
	c.ElectionTick = 1 << 30
	c.PreVote = false
}

// idleFollowers ticks many followers that are sure of their leader, one of each group, in turn. It also
// measures what they hold.
func idleFollowers(b *bench) {
	nodes := make([]*rawNode, measure.Number(b.Param))
	bytes, objects := measure.LiveHeap()
	for i := range nodes {
		nodes[i] = newFollower()
	}
	bytesNow, objectsNow := measure.LiveHeap()
	b.Metric(measure.HeapBytes, float64(bytesNow-bytes)/float64(len(nodes)))
	b.Metric(measure.HeapObjs, float64(objectsNow-objects)/float64(len(nodes)))
	sweeps := max(1, b.N/len(nodes))
	b.N = sweeps * len(nodes)
	b.Start()
	for ; sweeps > 0; sweeps-- {
		for _, node := range nodes {
			node.Tick()
		}
	}
	b.Stop()
	for i, node := range nodes {
		measure.Check(leaderOf(node) == 1 && !node.HasReady(), "follower %d is not idle", i)
	}
}

// newFollower returns member 2 of a group of three that follows member 1.
func newFollower() *rawNode {
	g := group{members: make([]member, 1)}
	m := &g.members[0]
	m.storage = newStorage()
	measure.Must(m.storage.ApplySnapshot(newSnapshot(1, 1, voters(3))))
	var err error
	m.node, err = newRawNode(newConfig(2, m.storage, calm))
	measure.Must(err)
	m.applied = 1
	measure.Must(m.node.Step(heartbeat(1, 2, 2, 1)))
	for m.node.HasReady() {
		rd := m.node.Ready()
		m.save(&rd)
		m.node.Advance(rd)
	}
	return m.node
}
