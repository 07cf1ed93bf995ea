package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// errorPause keeps a client from burning its processor on a cluster that refuses at once.
const errorPause = 10 * time.Millisecond

// drive has the clients work on a cluster, and returns what they saw after the warm-up.
func drive(ctx context.Context, load Load, endpoints []string) (Sample, error) {
	c := newClient(endpoints, load.Clients)
	defer c.close()
	if err := c.findLeader(ctx); err != nil && !load.Spread {
		return Sample{}, err
	}
	if err := c.share(ctx, load.Connections); err != nil {
		return Sample{}, err
	}
	r := &runner{load: load, client: c, value: value(load.Size)}
	if load.ReadShare > 0 {
		if err := r.fill(ctx); err != nil {
			return Sample{}, err
		}
	}
	r.begin = time.Now()
	r.from = r.begin.Add(load.Warmup)
	r.until = r.from.Add(load.For)
	var running sync.WaitGroup
	samples := make([]Sample, load.Clients)
	for i := range load.Clients {
		running.Go(func() { samples[i] = r.work(ctx, i) })
	}
	running.Wait()
	if err := ctx.Err(); err != nil {
		return Sample{}, err
	}
	sample := merge(samples, load.For)
	sample.Connections = c.describe(load)
	return sample, nil
}

// value returns bytes that do not compress.
func value(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

// runner is what the clients of one round share.
type runner struct {
	load   Load
	client *client
	value  []byte
	// Requests are measured that are due between from and until.
	begin, from, until time.Time
	ticket             atomic.Int64
	searching          atomic.Bool
}

// fill writes all keys, so that reads find something.
func (r *runner) fill(ctx context.Context) error {
	var next atomic.Int64
	var running sync.WaitGroup
	var failure atomic.Pointer[string]
	for i := range min(r.load.Clients, 64) {
		running.Go(func() {
			req := r.client.newRequest(i)
			defer req.close()
			for ctx.Err() == nil && failure.Load() == nil {
				key := int(next.Add(1)) - 1
				if key >= r.load.Keys {
					return
				}
				if kind := req.put(ctx, r.address(i), key, r.value); kind != "" {
					text := kind + " " + req.errorText()
					failure.Store(&text)
				}
			}
		})
	}
	running.Wait()
	if text := failure.Load(); text != nil {
		return fmt.Errorf("writing the keys to be read: %s", *text)
	}
	return ctx.Err()
}

// address returns where the next request of a client goes.
func (r *runner) address(i int) string {
	if leader := r.client.leader.Load(); leader != nil && !r.load.Spread {
		return *leader
	}
	return r.client.endpoints[i%len(r.client.endpoints)]
}

// work is one client.
func (r *runner) work(ctx context.Context, i int) Sample {
	sample := newSample()
	random := rand.New(rand.NewPCG(uint64(i), 0x5eed))
	req := r.client.newRequest(i)
	defer req.close()
	for n := i; ; n++ {
		due, ok := r.next(ctx)
		if !ok {
			return sample
		}
		if r.load.Rate > 0 && !time.Now().Before(r.until) {
			sample.record(0, false, "not sent") // no client was free for it
			continue
		}
		read := r.load.ReadShare > 0 && random.Float64() < r.load.ReadShare
		key := random.IntN(r.load.Keys)
		var kind string
		if read {
			kind = req.get(ctx, r.address(n), key, r.load.Stale)
		} else {
			kind = req.put(ctx, r.address(n), key, r.value)
		}
		if !due.Before(r.from) {
			sample.record(time.Since(due), read, kind)
		}
		if kind != "" {
			r.recover(ctx)
		}
	}
}

// next waits until the next request is due. In an open loop that moment is part of a fixed plan, and
// the latency counts from it: a request that waits for a free client waits like any other.
func (r *runner) next(ctx context.Context) (time.Time, bool) {
	if r.load.Rate == 0 {
		now := time.Now()
		return now, now.Before(r.until) && ctx.Err() == nil
	}
	at := float64(r.ticket.Add(1)-1) / r.load.Rate
	due := r.begin.Add(time.Duration(at * float64(time.Second)))
	if !due.Before(r.until) {
		return due, false
	}
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	select {
	case <-wait.C:
		return due, true
	case <-ctx.Done():
		return due, false
	}
}

// recover looks for the leader after an error, one client for all of them.
func (r *runner) recover(ctx context.Context) {
	if !r.load.Spread && r.searching.CompareAndSwap(false, true) {
		_ = r.client.findLeader(ctx) // the next error asks again
		r.searching.Store(false)
	}
	pause := time.NewTimer(errorPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}
