package main

import (
	"runtime"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() { families["catch-up"] = catchUp }

// load gives the member a log of payloads, whose terms are told by term, with the first committed ones.
func (m *member) load(
	ids []uint64, p *measure.Payloads, n int, lastTerm uint64, committed int, term func(i int) uint64,
) {
	m.storage, m.keep = newStorage(), true
	measure.Must(m.storage.ApplySnapshot(newSnapshot(1, 1, ids)))
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = newEntry(term(i), uint64(i+2), p.At(i))
	}
	measure.Must(m.storage.Append(entries))
	measure.Must(m.storage.SetHardState(newHardState(lastTerm, uint64(committed+1))))
	m.applied = uint64(committed + 1)
}

// bringBack lets the leader find out that member 3 is there, and works until it has applied want entries.
func (g *group) bringBack(want int) {
	g.cut = 0
	for tries := 0; g.members[2].digest.Count < uint64(want); tries++ {
		measure.Check(tries < 100, "member 3 has applied %d of %d", g.members[2].digest.Count, want)
		g.members[0].node.Tick()
		g.pump()
	}
}

// catchUp brings an empty follower up to date with b.N entries.
func catchUp(b *bench) {
	p := measure.NewPayloads(b.N, measure.Size(b.Param))
	g := &group{members: make([]member, 3), cut: 3}
	for i := range g.members[:2] {
		g.members[i].load(voters(3), p, b.N, 1, b.N, func(int) uint64 { return 1 })
	}
	g.members[2].keep, g.members[2].single = true, true
	g.start(voters(3), func(c *config) {
		calm(c)
		c.MaxSizePerMsg = 64 << 10
		if c.ID != 3 {
			c.Applied = uint64(b.N + 1)
		}
	})
	g.elect()
	runtime.GC() // not what setting up has left
	b.Start()
	g.bringBack(b.N)
	b.Stop()
	want := p.Want(b.N)
	measure.Check(g.members[2].digest == want, "member 3 applied %+v, want %+v", g.members[2].digest, want)
	p.Check()
}
