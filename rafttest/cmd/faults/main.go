// Faults shows that the simulator bites. It puts one deliberate fault after the
// other into the library or the host loop, builds raftsim with it, and runs seeds
// until an oracle notices. The checkout is not touched: each fault is an overlay
// for the build.
//
//	go run ./rafttest/cmd/faults              all of them, as a table
//	go run ./rafttest/cmd/faults -only vote   those with "vote" in the name
//
// It exits with 1 if a fault is not noticed, is noticed by an oracle that does
// not stand for it, or no longer applies because its place in the source changed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	only := flag.String("only", "", "run the faults whose name contains this")
	seeds := flag.Int("seeds", 20000, "seeds to try before a fault counts as unnoticed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, seeds int) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
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

// moduleRoot returns the directory of the go.mod above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
	return "", err
}
