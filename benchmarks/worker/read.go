package main

import (
	"encoding/binary"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() { families["read"] = reads }

// reads asks the leader for linearizable reads, some between two Readys, until they are confirmed.
func reads(b *bench) {
	batch := measure.Number(b.Param)
	b.N = max(b.N-b.N%batch, batch)
	g := newGroup(3)
	contexts := make([]byte, 8*b.N)
	leader := g.members[0].node
	g.reads = 0
	b.Start()
	for i := 0; i < b.N; {
		for end := i + batch; i < end; i++ {
			context := contexts[8*i : 8*i+8 : 8*i+8]
			binary.LittleEndian.PutUint64(context, uint64(i+1))
			leader.ReadIndex(context)
		}
		g.pump()
	}
	b.Stop()
	measure.Check(g.reads == b.N, "%d of %d reads were confirmed", g.reads, b.N)
	b.Metric(measure.Messages, float64(g.messages)/float64(b.N))
}
