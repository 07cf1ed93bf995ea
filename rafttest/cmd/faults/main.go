// Faults shows that the simulator bites. It puts one deliberate fault after the
// other into the library or the host loop, builds raftsim with it, and runs seeds
// until an oracle notices. The checkout is not touched: each fault is an overlay
// for the build.
//
//	go run ./rafttest/cmd/faults              all of them, as a table
//	go run ./rafttest/cmd/faults -only vote   those with "vote" in the name
//
//	go run ./rafttest/cmd/faults -scenarios         the rules of docs/scenarios.md, taken back one by one, and
//	                                                which of their tests fail; a Markdown table
//	go run ./rafttest/cmd/faults -scenarios -quick  some of them, without the simulator
//
// It exits with 1 if a fault is not noticed, is noticed by an oracle that does
// not stand for it, or no longer applies because its place in the source changed;
// with -scenarios, if no test of the scenario fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"

	"quorate.example/raft/rafttest/internal/plant"
)

func main() {
	only := flag.String("only", "", "run the faults whose name contains this")
	seeds := flag.Int("seeds", 0, "seeds to try before a fault counts as unnoticed; 0: 20000, or 100 with -scenarios")
	scenarios := flag.Bool("scenarios", false, "take back the rules of docs/scenarios.md, and run their tests as well")
	quick := flag.Bool("quick", false, "with -scenarios: some rules only, without the simulator")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *seeds, *scenarios, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, seeds int, scenarios, quick bool) error {
	root, err := plant.ModuleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if scenarios {
		return runScenarios(ctx, os.Stdout, root, dir, only, orDefault(seeds, 100), quick)
	}
	return runFaults(ctx, root, dir, only, orDefault(seeds, 20000))
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func runFaults(ctx context.Context, root, dir, only string, seeds int) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\tnoticed by\tseeds\tevents\tprofile\ttime")
	failed := 0
	for _, f := range append(append([]fault{}, coreFaults...), hostFaults...) {
		if !strings.Contains(f.name, only) {
			continue
		}
		start := time.Now()
		got, err := f.try(ctx, root, dir, seeds)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed++
			fmt.Fprintf(table, "%s\tFAILED: %v\t\t\t%s\t\n", f.name, err, f.profile)
		} else {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%.1f s\n", f.name, got.oracle, got.seeds, got.events,
				f.profile, time.Since(start).Seconds())
		}
		table.Flush()
	}
	if failed > 0 {
		return fmt.Errorf("%d faults were not noticed as they should be", failed)
	}
	return nil
}
