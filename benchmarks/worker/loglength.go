package main

import (
	"runtime"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() { families["log"] = longLog }

// longLog proposes one entry at a time in a group whose log is long already.
func longLog(b *bench) {
	length := measure.Number(b.Param)
	p := measure.NewPayloads(length, 16)
	g := &group{members: make([]member, 3)}
	for i := range g.members {
		g.members[i].load(voters(3), p, length, 1, length, func(int) uint64 { return 1 })
	}
	g.start(voters(3), calm, func(c *config) { c.Applied = uint64(length + 1) })
	g.elect()
	runtime.GC() // not what setting up has left
	proposeToAll(b, g, 16, 1)
}
