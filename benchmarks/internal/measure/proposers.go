package measure

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// Proposers are clients that each propose and wait until it is applied on the leader, again and again.
type Proposers struct {
	slab    []byte // what will be proposed, 16 bytes each: number of the proposer, number of its proposal
	each    int
	waiting []chan struct{}
	next    []uint64 // of each proposer, the number of the proposal that is applied next
	took    [][]time.Duration
}

// NewProposers returns count proposers that each propose so many times.
func NewProposers(count, each int) *Proposers {
	p := &Proposers{
		slab: make([]byte, 16*count*each), each: each, waiting: make([]chan struct{}, count),
		next: make([]uint64, count), took: make([][]time.Duration, count),
	}
	for i := range p.waiting {
		p.waiting[i] = make(chan struct{}, 1)
		p.took[i] = make([]time.Duration, each)
		for j := 0; j < each; j++ {
			data := p.proposal(i, j)
			binary.LittleEndian.PutUint64(data, uint64(i))
			binary.LittleEndian.PutUint64(data[8:], uint64(j))
		}
	}
	return p
}

func (p *Proposers) proposal(proposer, i int) []byte {
	at := 16 * (proposer*p.each + i)
	return p.slab[at : at+16 : at+16]
}

// Applied is called by the leader's state machine, in order. It checks that nothing was applied twice
// or left out, and lets the proposer go on.
func (p *Proposers) Applied(data []byte) {
	who := binary.LittleEndian.Uint64(data)
	if binary.LittleEndian.Uint64(data[8:]) != p.next[who] {
		panic("benchmark: the proposals of one proposer are not in order")
	}
	p.next[who]++
	p.waiting[who] <- struct{}{}
}

// Run lets all proposers do their work through propose, and returns when it is done.
func (p *Proposers) Run(propose func(data []byte) error) {
	var all sync.WaitGroup
	for i := range p.waiting {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := range p.took[i] {
				start := time.Now()
				Must(propose(p.proposal(i, j)))
				<-p.waiting[i]
				p.took[i][j] = time.Since(start)
			}
		}()
	}
	all.Wait()
}

// Latencies sets the metrics P50 and P99.
func (p *Proposers) Latencies(b *Bench) {
	all := slices.Concat(p.took...)
	slices.Sort(all)
	b.Metric(P50, float64(all[len(all)/2]))
	b.Metric(P99, float64(all[len(all)*99/100]))
}
