package main

import "quorate.example/raft/benchmarks/internal/measure"

func init() {
	families["propose"] = func(b *bench) { proposeToAll(b, newGroup(3), measure.Size(b.Param), 1) }
	families["batch"] = func(b *bench) { proposeToAll(b, newGroup(3), 16, measure.Number(b.Param)) }
}

// proposeToAll proposes b.N payloads, batch of them between two Readys, each batch until it is applied
// on all members.
func proposeToAll(b *bench, g *group, size, batch int) {
	warm := max(b.N/10, batch)
	warm -= warm % batch
	b.N = max(b.N-b.N%batch, batch)
	p := measure.NewPayloads(warm+b.N, size)
	leader := g.members[0].node
	propose := func(from, to int) {
		for i := from; i < to; {
			for end := i + batch; i < end; i++ {
				measure.Must(leader.Propose(p.At(i)))
			}
			g.pump()
		}
	}
	propose(0, warm)
	g.messages = 0
	b.Start()
	propose(warm, warm+b.N)
	b.Stop()
	b.Metric(measure.Messages, float64(g.messages)/float64(b.N))
	g.verify(p, warm+b.N)
}
