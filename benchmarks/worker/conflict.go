//go:build !floor

package main

import (
	"runtime"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() { families["conflict"] = conflictSearch }

// counted is a Storage that counts the calls of Term.
type counted struct {
	*memoryStorage
	calls *int
}

func (c counted) Term(i uint64) (uint64, error) {
	*c.calls++
	return c.memoryStorage.Term(i)
}

// conflictSearch overwrites a follower's b.N uncommitted entries of 100 bytes in many runs of terms, none of which
// the leader has.
func conflictSearch(b *bench) {
	runs := measure.Number(b.Param)
	each := b.N / runs
	b.N = runs * each
	p := measure.NewPayloads(b.N, 100)
	g := &group{members: make([]member, 3), cut: 3}
	last := uint64(2*runs + 2)
	for i := range g.members {
		odd := uint64(1)
		if i == 2 {
			odd = 0
		}
		g.members[i].load(voters(3), p, b.N, last, 0, func(i int) uint64 { return uint64(2*(i/each)) + 2 + odd })
	}
	calls := 0
	g.start(voters(3), calm, func(c *config) { c.Storage = counted{g.members[c.ID-1].storage, &calls} })
	g.elect()
	calls = 0
	runtime.GC() // not what setting up has left
	b.Start()
	g.bringBack(b.N)
	b.Stop()
	b.Metric(measure.TermCalls, float64(calls))
	g.verify(p, b.N)
}
