package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// writeLimit is how long one write may take, over all its attempts.
const writeLimit = time.Minute

// writeReport is what was measured of the writes.
type writeReport struct {
	took      time.Duration
	latencies []time.Duration // of acknowledged writes, first attempt to acknowledgement; sorted at the end
	attempts  int
}

// percentile returns the latency that the share p of the writes did not exceed.
func (r *writeReport) percentile(p float64) time.Duration {
	return r.latencies[min(int(p*float64(len(r.latencies))), len(r.latencies)-1)]
}

// writing is the state that the writers share.
type writing struct {
	*story
	bar *progress

	mu    sync.Mutex
	acked int // parts
	// dead is when the killed leader was gone, back when a write begun after that was acknowledged.
	kill, dead, back time.Time
	half, most       chan struct{} // closed when so much is acknowledged
}

// writeAll writes all parts from many writers. In the middle it kills the leader, and later starts
// the member again.
func (s *story) writeAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &writing{
		story: s,
		bar:   newProgress(s.Out, s.Terminal, s.files.count, s.files.bytes),
		half:  make(chan struct{}),
		most:  make(chan struct{}),
	}
	begin := time.Now()
	queue := make(chan *part)
	var running sync.WaitGroup
	for i := range s.Writers {
		running.Go(func() {
			if err := w.writer(ctx, i, queue); err != nil {
				cancel(err)
			}
		})
	}
	running.Go(func() {
		if err := w.killAndRestart(ctx); err != nil {
			cancel(err)
		}
	})
	running.Go(func() {
		defer close(queue)
		for _, p := range s.files.parts {
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
		}
	})
	running.Wait()
	w.bar.finish()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	s.write.took = time.Since(begin)
	s.leaderless = w.back.Sub(w.kill)
	slices.Sort(s.write.latencies)
	return nil
}

// writer takes parts off the queue and writes them through one member, and through the next one
// when that one has a problem.
func (w *writing) writer(ctx context.Context, i int, queue <-chan *part) error {
	for p := range queue {
		data, err := p.read()
		if err != nil {
			return err
		}
		p.sum = sha256.Sum256(data)
		first, attempts := time.Now(), 0
		for {
			attempt := time.Now()
			attempts++
			err := w.client.put(ctx, w.client.ids[i%len(w.client.ids)], p.key, data)
			if err == nil {
				w.acknowledged(p, attempt, time.Since(first), attempts)
				break
			}
			var answer *answerError
			if errors.As(err, &answer) && answer.code != http.StatusServiceUnavailable {
				return fmt.Errorf("writing %s: %w", p.key, err)
			}
			if time.Since(first) > writeLimit {
				return fmt.Errorf("writing %s: no acknowledgement after %v: %w", p.key, writeLimit, err)
			}
			i++
			if err := pause(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// acknowledged notes a write. attempt is when its successful attempt began.
func (w *writing) acknowledged(p *part, attempt time.Time, latency time.Duration, attempts int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked++
	w.write.attempts += attempts
	w.write.latencies = append(w.write.latencies, latency)
	w.bar.add(p)
	total := len(w.files.parts)
	if w.acked == (total+1)/2 {
		close(w.half)
	}
	if w.acked == (3*total+3)/4 {
		close(w.most)
	}
	if !w.dead.IsZero() && w.back.IsZero() && attempt.After(w.dead) {
		w.back = time.Now()
	}
}

func (w *writing) killAndRestart(ctx context.Context) error {
	if err := wait(ctx, w.half); err != nil {
		return err
	}
	for w.killed = w.client.leader(ctx); w.killed == 0; w.killed = w.client.leader(ctx) {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	victim := w.cluster.member(w.killed)
	kill := time.Now()
	victim.kill()
	w.mu.Lock()
	w.kill, w.dead = kill, time.Now()
	w.mu.Unlock()
	w.bar.say("member %d, the leader, was killed", w.killed)
	if err := w.waitForLeader(ctx); err != nil {
		return err
	}
	if err := wait(ctx, w.most); err != nil {
		return err
	}
	w.bar.say("member %d is started again", w.killed)
	return w.cluster.start(victim)
}

// probeKey is written to find out whether the cluster has a leader, and deleted again.
const probeKey = "kv-demo/#probe"

// waitForLeader returns when a write that began after the death was acknowledged. It writes one
// itself, for the case that all others began before.
func (w *writing) waitForLeader(ctx context.Context) error {
	if err := w.retry(ctx, func(id uint64) error {
		return w.client.put(ctx, id, probeKey, nil)
	}); err != nil {
		return err
	}
	w.mu.Lock()
	if w.back.IsZero() {
		w.back = time.Now()
	}
	w.mu.Unlock()
	return w.retry(ctx, func(id uint64) error {
		_, err := w.client.do(ctx, http.MethodDelete, id, "/kv/"+probeKey, "", nil)
		return err
	})
}

// retry calls try with one member after another until it succeeds.
func (w *writing) retry(ctx context.Context, try func(id uint64) error) error {
	for i := 0; ; i++ {
		err := try(w.client.ids[i%len(w.client.ids)])
		if err == nil {
			return nil
		}
		if e := pause(ctx, 10*time.Millisecond); e != nil {
			return errors.Join(err, e)
		}
	}
}

func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-done:
		return nil
	}
}
