package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"quorate.example/raft/rafttest"
)

var errViolation = errors.New("a run failed")

// runOne runs one seed and says what happened.
func runOne(o *options, out io.Writer) error {
	s := o.simulation(o.seed)
	s.Trace = o.timeline != ""
	res := s.Run()
	fmt.Fprintf(out, "seed %d, profile %s, hash %016x\n%+v\n", res.Seed, res.Profile, res.Hash, res.Stats)
	return report(o, out, s, res)
}

// report says how a run failed, if it did, and writes the timeline.
func report(o *options, out io.Writer, s rafttest.Simulation, res *rafttest.Result) error {
	switch {
	case res.Violation == nil:
	case o.shrink == 0:
		fmt.Fprintf(out, "violation of %s\nrepeat with: %s\n", res.Violation.Error(), s.Command())
	default:
		if small := s.Shrink(o.shrink); small != nil {
			fmt.Fprint(out, small.Report())
			res = small.Result
		} else {
			fmt.Fprintln(out, res.Violation.Error(), "(not when run again: the library is not deterministic)")
		}
	}
	if err := writeTimeline(o.timeline, out, res); err != nil {
		return err
	}
	if res.Violation != nil && !s.Profile.Allows(res.Violation.Oracle) {
		return errViolation
	}
	return nil
}

func writeTimeline(path string, out io.Writer, res *rafttest.Result) error {
	if path == "" || res.Trace == nil {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(res.WriteTimeline(f), f.Close()); err != nil {
		return err
	}
	fmt.Fprintln(out, "timeline:", path)
	return nil
}

// totals adds up what the runs came to.
type totals struct {
	mu       sync.Mutex
	runs     int
	events   int
	allowed  map[string]int // violations that profiles ask for, by profile
	perRun   []rafttest.Stats
	failed   *rafttest.Result
	failedOf rafttest.Simulation
}

func (t *totals) add(s rafttest.Simulation, res *rafttest.Result) (goOn bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	t.events += res.Events
	t.perRun = append(t.perRun, res.Stats)
	if res.Violation != nil {
		if s.Profile.Allows(res.Violation.Oracle) {
			t.allowed[res.Profile+": "+string(res.Violation.Oracle)]++
		} else if t.failed == nil || res.Seed < t.failed.Seed {
			t.failed, t.failedOf = res, s
		}
	}
	return t.failed == nil
}

// runMany runs seeds in parallel until all are done, time is up or one fails.
func runMany(ctx context.Context, o *options, out io.Writer) error {
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
		o.seeds = 1 << 62
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sum := &totals{allowed: map[string]int{}}
	next := atomic.Uint64{}
	start := time.Now()
	var wg sync.WaitGroup
	for i := 0; i < o.workers; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				n := next.Add(1) - 1
				if n >= o.seeds {
					return
				}
				s := o.simulation(o.from + n)
				if !sum.add(s, s.Run()) {
					cancel()
				}
			}
		}()
	}
	stopProgress := showProgress(o, out, sum, start)
	wg.Wait()
	stopProgress()
	summary(out, sum, time.Since(start))
	if sum.failed == nil {
		return nil
	}
	return report(o, out, sum.failedOf, sum.failed)
}

// showProgress rewrites one line until the returned function is called.
func showProgress(o *options, out io.Writer, sum *totals, start time.Time) (stop func()) {
	if o.quiet {
		return func() {}
	}
	ticker := time.NewTicker(500 * time.Millisecond)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				fmt.Fprint(out, "\r\033[K")
				return
			case <-ticker.C:
				sum.mu.Lock()
				fmt.Fprintf(out, "\r\033[K%d seeds, %d events, %.0f events/s", sum.runs, sum.events,
					float64(sum.events)/time.Since(start).Seconds())
				sum.mu.Unlock()
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(quit)
		<-done
	}
}

// summary prints the sums and the median run.
func summary(out io.Writer, sum *totals, took time.Duration) {
	fmt.Fprintf(out, "%d seeds, %d events in %.1f s: %.0f events/s\n",
		sum.runs, sum.events, took.Seconds(), float64(sum.events)/took.Seconds())
	median := func(of func(rafttest.Stats) int) int {
		values := make([]int, 0, len(sum.perRun))
		for _, s := range sum.perRun {
			values = append(values, of(s))
		}
		sort.Ints(values)
		if len(values) == 0 {
			return 0
		}
		return values[len(values)/2]
	}
	fmt.Fprintf(out, "median run: %d events, %d leaders, %d configuration changes, %d crashes, "+
		"%d writes, %d reads, well after %d ticks\n",
		median(func(s rafttest.Stats) int { return s.Events }),
		median(func(s rafttest.Stats) int { return s.Leaders }),
		median(func(s rafttest.Stats) int { return s.ConfChanges }),
		median(func(s rafttest.Stats) int { return s.Crashes }),
		median(func(s rafttest.Stats) int { return s.Writes }),
		median(func(s rafttest.Stats) int { return s.Reads }),
		median(func(s rafttest.Stats) int { return s.HealTicks }))
	var names []string
	for name := range sum.allowed {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(out, "as it must be, %s in %d runs\n", name, sum.allowed[name])
	}
}
