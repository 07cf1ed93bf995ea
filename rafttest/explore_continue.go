package rafttest

import (
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// The end of a schedule must not be the end of the group: from there on, without faults, a leader must be
// elected and commit a new entry.

// continuedTicks is within how many ticks of each clock that must be.
const continuedTicks = 400

// goOn continues an end, unless the members were in these states in an end before or there were many.
func (e *explorer) goOn(s *worldState) *Violation {
	if e.x.Continued < 0 {
		return nil
	}
	words := make([]uint32, 0, maxExplored)
	for _, id := range s.members {
		words = append(words, uint32(id))
	}
	if !e.search.ends.add(hashState(words)) {
		return nil
	}
	if n := e.search.ends.n; n%(1+n/e.x.Continued) != 0 {
		return nil
	}
	e.search.stats.Continued++
	e.rand.free = true
	e.rand.source = source{state: uint64(e.search.ends.n)}
	defer func() { e.rand.free = false }()
	c := continuation{e: e}
	for _, id := range s.members {
		c.all = append(c.all, e.revive(id))
	}
	c.lose(s.net)
	return c.run()
}

// continuation is a world that goes on without faults. Messages arrive at once and in order.
type continuation struct {
	e        *explorer
	all      []*Process
	queue    []uint32
	proposed uint64 // index of the new entry
	in       uint64 // the term of the leader that it was proposed to
	steps    int
}

// lose drops what is in flight. Whoever sent a snapshot is told.
func (c *continuation) lose(net []uint32) {
	for _, m := range net {
		if f := &c.e.flights[m]; f.typ == pb.MsgSnap {
			c.do(c.all[f.from-1], func(p *Process) { p.node.ReportSnapshot(f.to, raft.SnapshotFailure) })
		}
	}
}

func (c *continuation) run() *Violation {
	missing := ""
	for tick := 0; tick < continuedTicks; tick++ {
		for _, p := range c.all {
			p.ended = p.ended || c.mayStop(p)
			c.do(p, func(p *Process) { p.node.Tick() })
			c.deliver()
			if p.did.violation != nil {
				return p.did.violation
			}
		}
		if missing = c.missing(); missing == "" {
			return nil
		}
	}
	return &Violation{Oracle: OracleLiveness, Text: fmt.Sprintf("after %d ticks without faults %s", continuedTicks, missing)}
}

// do gives a process an input and lets it and its threads work.
func (c *continuation) do(p *Process, input func(*Process)) {
	c.e.guarded(p, func() {
		if !p.runs() {
			return
		}
		input(p)
		p.check()
		c.e.loop(p)
		for p.runs() && len(p.appends)+len(p.applies) > 0 {
			if len(p.appends) > 0 {
				p.writeNext()
			} else {
				p.applyNext()
			}
			c.e.loop(p)
		}
	})
	c.queue = append(c.queue, p.did.sent...)
	p.did.sent, p.did.notes = nil, nil
}

// deliver hands over all that was sent, and what is sent for it.
func (c *continuation) deliver() {
	for len(c.queue) > 0 {
		m := c.queue[0]
		c.queue = c.queue[1:]
		p := c.all[c.e.flights[m].to-1]
		if c.steps++; c.steps > 1000*continuedTicks {
			p.fail(OracleLiveness, "messages go round without an end: %s", c.e.flights[m].describe())
			return
		}
		c.do(p, func(p *Process) { p.receive(m) })
	}
}

// mayStop reports whether a member was removed and nobody needs it any more: all who are left know.
func (c *continuation) mayStop(p *Process) bool {
	conf := &c.e.confs[p.conf]
	if len(conf.Voters) == 0 || inConf(conf, p.id) {
		return false
	}
	for _, id := range membersOf(conf) {
		if id <= uint64(len(c.all)) && inConf(&c.e.confs[c.all[id-1].conf], p.id) {
			return false
		}
	}
	return true
}

// missing says what is still missing, and asks for the next thing.
func (c *continuation) missing() string {
	var leader *Process
	for _, p := range c.all {
		if p.runs() && p.role == raft.StateLeader && (leader == nil || p.term > leader.term) {
			leader = p
		}
	}
	if leader == nil {
		return "there is no leader"
	}
	logs := c.e.logs
	if c.in != leader.term {
		c.do(leader, func(p *Process) {
			if p.node.Propose([]byte("new")) == nil {
				c.in = leader.term
			}
		})
		c.proposed = logs.last(leader.log)
		c.deliver()
	}
	if c.in != leader.term || logs.last(leader.applied) < c.proposed {
		return fmt.Sprintf("the leader of term %d has not applied a new entry", leader.term)
	}
	if len(c.e.x.ConfChanges) > 0 && !c.e.followersTick() {
		return "" // a member that was cut off from a change may then be out of reach; see docs/simulator.md
	}
	for _, id := range membersOf(&c.e.confs[leader.conf]) {
		if id <= uint64(len(c.all)) && logs.last(c.all[id-1].applied) < c.proposed {
			return fmt.Sprintf("member %d has not applied a new entry", id)
		}
	}
	return ""
}
