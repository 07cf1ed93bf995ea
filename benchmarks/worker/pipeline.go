package main

import (
	"strings"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() { families["pipeline"] = pipeline }

// perStep is how many proposals a step of the simulated time brings.
const perStep = 8

// parcel is a message under way.
type parcel struct {
	at int // the step in which it arrives
	m  *message
}

// pipeline simulates a network with a round-trip time in steps, under a steady load: in each step there
// are proposals, one Ready on each member, and messages that left half a round trip ago arrive. It
// tells how many entries are committed in a round-trip time, what share of the load that is, and how
// many round trips an entry waits for its commit.
// The parameter is the round-trip time, a colon, and the leader's window in messages.
func pipeline(b *bench) {
	rttText, window, _ := strings.Cut(b.Param, ":")
	rtt := measure.Number(rttText)
	g := &group{members: make([]member, 3)}
	g.start(voters(3), calm, func(c *config) {
		c.MaxInflightMsgs = measure.Number(window)
		c.MaxSizePerMsg = 4096
	})
	g.elect()
	steps := max(b.N/perStep, 20*rtt)
	warm := 4 * rtt
	p := measure.NewPayloads((steps+warm)*perStep, 16)
	wires := make([][]parcel, len(g.members))
	next, waited := 0, 0
	run := func(from, to int) {
		for now := from; now < to; now++ {
			for i := 0; i < perStep; i++ {
				measure.Must(g.members[0].node.Propose(p.At(next)))
				next++
			}
			before := int(g.members[0].digest.Count)
			for i := range g.members {
				g.step(i, now, rtt/2, wires)
			}
			for i := before; i < int(g.members[0].digest.Count); i++ {
				waited += now - i/perStep
			}
		}
	}
	run(0, warm)
	waited = 0
	before := g.members[0].digest.Count
	b.Start()
	run(warm, warm+steps)
	b.Stop()
	committed := float64(g.members[0].digest.Count - before)
	b.N = steps * perStep
	b.Metric(measure.PerRTT, committed/float64(steps)*float64(rtt))
	b.Metric(measure.Latency, float64(waited)/committed/float64(rtt))
	b.Metric(measure.Share, committed/float64(b.N))
	g.drain(wires)
	g.verify(p, next)
}

// step delivers what has arrived at a member, and lets its host work once.
func (g *group) step(i, now, delay int, wires [][]parcel) {
	m, arrived := &g.members[i], 0
	for _, parcel := range wires[i] {
		if parcel.at > now {
			break
		}
		measure.Must(m.node.Step(*parcel.m))
		arrived++
	}
	wires[i] = wires[i][arrived:]
	if !m.node.HasReady() {
		return
	}
	rd := m.node.Ready()
	m.save(&rd)
	for j := range rd.Messages {
		to := msgTo(&rd.Messages[j]) - 1
		wires[to] = append(wires[to], parcel{now + delay, &rd.Messages[j]})
	}
	m.apply(&rd)
	m.node.Advance(rd)
}

// drain lets everything that is under way arrive at once.
func (g *group) drain(wires [][]parcel) {
	for i := range wires {
		for _, parcel := range wires[i] {
			g.members[i].inbox = append(g.members[i].inbox, parcel.m)
		}
	}
	g.pump()
}
