package main

import (
	"math"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() {
	families["ack"] = acknowledgements
	families["commit"] = commits
}

// loneLeader is a leader whose followers are played by the benchmark.
type loneLeader struct {
	member
	voters uint64
	last   uint64
	term   uint64
}

func newLoneLeader(n int) *loneLeader {
	l := &loneLeader{voters: uint64(n), last: 2}
	l.storage = newStorage()
	measure.Must(l.storage.ApplySnapshot(newSnapshot(1, 1, voters(n))))
	node, err := newRawNode(newConfig(1, l.storage, calm, func(c *config) { c.MaxSizePerMsg = math.MaxUint64 }))
	measure.Must(err)
	l.node, l.applied = node, 1
	measure.Must(node.Campaign())
	l.work()
	l.term = termOf(node)
	for id := uint64(2); id <= l.voters; id++ {
		if !leads(node) {
			measure.Must(node.Step(vote(id, 1, l.term)))
		}
	}
	measure.Check(leads(node), "no leader")
	l.work()
	l.acks(2, l.voters, l.last)
	return l
}

// work does what is due, without sending.
func (l *loneLeader) work() {
	for l.node.HasReady() {
		rd := l.node.Ready()
		l.save(&rd)
		l.apply(&rd)
		l.node.Advance(rd)
	}
}

// acks plays the acknowledgements of the members from to to.
func (l *loneLeader) acks(from, to, index uint64) {
	for id := from; id <= to; id++ {
		measure.Must(l.node.Step(ack(id, 1, l.term, index)))
		l.work()
	}
}

// propose appends payloads to the log in one step.
func (l *loneLeader) propose(payloads [][]byte) {
	entries := make([]entry, len(payloads))
	for i := range entries {
		entries[i] = newEntry(0, 0, payloads[i])
	}
	measure.Must(l.node.Step(proposal(1, entries)))
	l.work()
	l.last += uint64(len(payloads))
}

// acknowledgements measures one that moves the commit by an entry: all but one of a quorum have all
// entries already, and the last one acknowledges them one by one. The rest follows after the clock has
// stopped, so that nobody's window is ever full.
func acknowledgements(b *bench) {
	const chunk = 256
	l := newLoneLeader(measure.Number(b.Param))
	mover := l.voters/2 + 1
	chunks := max(1, b.N/chunk)
	b.N = chunks * chunk
	p := measure.NewPayloads(b.N, 16)
	batch, messages := make([]message, chunk), make([][]byte, chunk)
	for c := 0; c < chunks; c++ {
		for i := range batch {
			messages[i] = p.At(c*chunk + i)
			batch[i] = ack(mover, 1, l.term, l.last+uint64(i)+1)
		}
		l.propose(messages)
		l.acks(2, mover-1, l.last)
		measure.Check(l.applied == l.last-chunk, "commit moved early, to %d of %d", l.applied, l.last)
		b.Start()
		for i := range batch {
			measure.Must(l.node.Step(batch[i]))
			l.work()
		}
		b.Stop()
		measure.Check(l.applied == l.last, "committed up to %d of %d", l.applied, l.last)
		l.acks(mover+1, l.voters, l.last)
	}
	measure.Check(l.digest == p.Want(b.N), "applied %+v, want %+v", l.digest, p.Want(b.N))
}

// commits measures the leader's part in one entry: it is proposed, and then acknowledged by one member
// after the other. The members are played, so that only one Raft is measured.
func commits(b *bench) {
	l := newLoneLeader(measure.Number(b.Param))
	warm := b.N/10 + 1
	p := measure.NewPayloads(warm+b.N, 16)
	commit := func(from, to int) {
		for i := from; i < to; i++ {
			measure.Must(l.node.Propose(p.At(i)))
			l.work()
			l.last++
			l.acks(2, l.voters, l.last)
		}
	}
	commit(0, warm)
	b.Start()
	commit(warm, warm+b.N)
	b.Stop()
	measure.Check(l.applied == l.last, "committed up to %d of %d", l.applied, l.last)
	measure.Check(l.digest == p.Want(warm+b.N), "applied %+v, want %+v", l.digest, p.Want(warm+b.N))
}
