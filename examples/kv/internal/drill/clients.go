package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// gapShown is how long nothing must be acknowledged to be called an unavailable window.
const gapShown = time.Second

// ledgerShare is how many of a client's requests write a key of their own, which must be there at the
// end: a check that needs no model.
const ledgerShare = 0.1

const ledgerPrefix = "drill/ledger-"

// clients write, read and compare-and-swap until they are stopped.
type clients struct {
	api       *api
	addresses []string
	history   *history
	pause     time.Duration // between two requests of a client

	running sync.WaitGroup
	stop    context.CancelFunc

	writes, reads, swaps, conflicts, nothing, unknown atomic.Int64

	mu      sync.Mutex
	ledger  []string // keys that were acknowledged
	lastAck time.Time
	gaps    gaps
}

// gaps are the times without something that should happen all the time.
type gaps struct {
	Count   int           `json:"windows"`
	Total   time.Duration `json:"total"`
	Longest time.Duration `json:"longest"`
}

func (g *gaps) add(d time.Duration) {
	g.Longest = max(g.Longest, d)
	if d >= gapShown {
		g.Count++
		g.Total += d
	}
}

func (c *clients) start(ctx context.Context, n int, seed uint64) {
	ctx, c.stop = context.WithCancel(ctx)
	c.lastAck = time.Now()
	for i := range n {
		c.running.Go(func() { c.work(ctx, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
}

// finish stops the clients and waits for the answers to what is on its way.
func (c *clients) finish() {
	c.stop()
	c.running.Wait()
}

// work is one client. It stays with a member until that one has a problem.
func (c *clients) work(ctx context.Context, i int, random *rand.Rand) {
	ticker := time.NewTicker(c.pause)
	defer ticker.Stop()
	at := i
	// What was sent is waited for even when the drill ends: its outcome counts.
	background := context.WithoutCancel(ctx)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if random.IntN(50) == 0 {
			at++ // members other than the leader are asked all the time
		}
		address := c.addresses[at%len(c.addresses)]
		name := fmt.Sprintf("%d-%d", i, n)
		var v verdict
		if random.Float64() < ledgerShare {
			v = c.append(background, address, ledgerPrefix+name)
		} else {
			v = c.operate(background, i, address, name, random)
		}
		if v != verdictDone {
			at++
		}
	}
}

// append writes a key that nobody else writes.
func (c *clients) append(ctx context.Context, address, key string) verdict {
	_, v, _ := c.api.request(ctx, address, key, input{Verb: verbPut, Value: key})
	if v == verdictDone {
		c.acknowledged(key)
		c.writes.Add(1)
	}
	c.count(v)
	return v
}

// operate does something to a key that all clients share.
func (c *clients) operate(ctx context.Context, i int, address, name string, random *rand.Rand) verdict {
	in := input{Verb: verbGet}
	counter := &c.reads
	switch x := random.IntN(10); {
	case x < 3:
		in, counter = input{Verb: verbPut, Value: name}, &c.writes
	case x < 6:
		in, counter = input{Verb: verbCAS, Value: name}, &c.swaps
	}
	p := c.history.call(i, in, random)
	out, v, _ := c.api.request(ctx, address, p.key.name, p.in)
	switch v {
	case verdictDone:
		p.answer(out)
		counter.Add(1)
		if out.Conflict {
			c.conflicts.Add(1)
		}
		if in.Verb != verbGet {
			c.acknowledged("")
		}
	case verdictUnknown:
		p.answer(output{Unknown: true})
	case verdictNothing:
		p.drop()
	}
	c.count(v)
	return v
}

func (c *clients) count(v verdict) {
	switch v {
	case verdictNothing:
		c.nothing.Add(1)
	case verdictUnknown:
		c.unknown.Add(1)
	}
}

// acknowledged notes that a write was, and the ledger key that it wrote, if it did.
func (c *clients) acknowledged(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.gaps.add(now.Sub(c.lastAck))
	c.lastAck = now
	if key != "" {
		c.ledger = append(c.ledger, key)
	}
}

// lastAcknowledged returns when the last write was acknowledged.
func (c *clients) lastAcknowledged() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastAck
}
