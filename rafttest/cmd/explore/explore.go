package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"quorate.example/raft/rafttest"
)

// exploration returns the chosen size of w.
func (o *options) exploration(w world) rafttest.Exploration {
	x := w.small
	if o.long {
		x = w.long
	}
	if x.MaxStates == 0 || x.MaxStates > o.maxStates {
		x.MaxStates = o.maxStates
	}
	return x
}

// exploreAll explores one world after the other, and stops at the first violation.
func (o *options) exploreAll(ctx context.Context, out io.Writer) error {
	var sum rafttest.ExploreStats
	start := time.Now()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "world\tstates\ttransitions\tdepth\tall\tstates/s\tmember states\tcalls of the core\tends\tcontinued\ttime\tmemory\t")
	for _, w := range o.worlds {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		x := o.exploration(w)
		if !o.quiet {
			x.Progress = func(s rafttest.ExploreStats) {
				fmt.Fprintf(out, "\r\033[K%s: %d states, depth %d", w.name, s.States, s.Depth)
			}
		}
		res := x.Run()
		if !o.quiet {
			fmt.Fprint(out, "\r\033[K")
		}
		row(table, w.name, &res.ExploreStats)
		if res.Violation != nil {
			table.Flush()
			fmt.Fprintf(out, "%s\nagain: go run ./rafttest/cmd/explore -world %s -replay %q\n",
				res.Report(), w.name, res.Schedule)
			return fmt.Errorf("violation of %s in world %s", res.Violation.Oracle, w.name)
		}
		sum = added(sum, res.ExploreStats)
	}
	sum.Took = time.Since(start)
	row(table, "together", &sum)
	return table.Flush()
}

func row(table io.Writer, name string, s *rafttest.ExploreStats) {
	all := "all"
	if !s.Complete {
		all = "part"
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t%.0f\t%d\t%d\t%d\t%d\t%.1f s\t%d MB\t\n", name, s.States, s.Transitions,
		s.Depth, all, float64(s.States)/s.Took.Seconds(), s.Members, s.Steps, s.Ends, s.Continued,
		s.Took.Seconds(), mem.Sys>>20)
}

func added(a, b rafttest.ExploreStats) rafttest.ExploreStats {
	a.States, a.Transitions, a.Members = a.States+b.States, a.Transitions+b.Transitions, a.Members+b.Members
	a.Steps, a.Ends, a.Continued = a.Steps+b.Steps, a.Ends+b.Ends, a.Continued+b.Continued
	a.Depth = max(a.Depth, b.Depth)
	a.Complete = b.Complete && (a.Complete || a.States == b.States)
	return a
}

// replayOne runs one schedule and says what happens.
func (o *options) replayOne(out io.Writer) error {
	res, err := o.exploration(o.worlds[0]).Replay(o.replay)
	if err != nil {
		return err
	}
	if res.Violation == nil {
		fmt.Fprintf(out, "%s\nnothing is wrong\n", strings.Join(res.Lines, "\n"))
		return nil
	}
	fmt.Fprintln(out, res.Report())
	return fmt.Errorf("violation of %s", res.Violation.Oracle)
}
