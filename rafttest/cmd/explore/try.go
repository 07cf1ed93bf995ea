package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"quorate.example/raft/rafttest/internal/plant"
)

// finding says who found a fault, and when.
type finding struct {
	oracle          string
	actions, states int
}

// tryFaults builds this command with one fault after the other, and explores.
func tryFaults(ctx context.Context, only string, out io.Writer) error {
	root, err := plant.ModuleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "explore")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\tfound by\tstates\tactions\tworld\ttime")
	tried, missed := 0, 0
	for _, f := range faults {
		if !strings.Contains(f.name, only) {
			continue
		}
		tried++
		start := time.Now()
		got, err := f.try(ctx, root, dir)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			missed++
			fmt.Fprintf(table, "%s\tFAILED: %v\t\t\t%s\t\n", f.name, err, f.world)
		} else {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%.1f s\n", f.name, got.oracle, got.states, got.actions, f.world,
				time.Since(start).Seconds())
		}
		table.Flush()
	}
	fmt.Fprintf(out, "%d of %d faults found\n", tried-missed, tried)
	if missed > 0 {
		return fmt.Errorf("%d faults were not found as they should be", missed)
	}
	return nil
}

// try builds the explorer with the fault and runs it. A fault may also make a
// member go round without an end; that is found, too.
func (f fault) try(ctx context.Context, root, dir string) (finding, error) {
	overlay, err := plant.Overlay(root, dir, f.edit)
	if err != nil {
		return finding{}, err
	}
	binary, err := plant.Build(ctx, root, dir, overlay, "./rafttest/cmd/explore")
	if err != nil {
		return finding{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "-quiet", "-world", f.world, "-long="+strconv.FormatBool(f.long)).Output()
	switch {
	case ctx.Err() != nil:
		return finding{}, errors.New("takes too long")
	case err == nil:
		return finding{}, errors.New("not found")
	}
	return f.read(out)
}

var violationLine = regexp.MustCompile(`(?m)^violation of ([^:]+): (.*) \(member \d+, after (\d+) actions, (\d+) states\)$`)

// read finds the oracle and the counts in what explore wrote.
func (f fault) read(out []byte) (finding, error) {
	found := violationLine.FindSubmatch(out)
	if found == nil {
		return finding{}, fmt.Errorf("explore says %q", plant.FirstLine(out))
	}
	got := finding{oracle: string(found[1])}
	got.actions, _ = strconv.Atoi(string(found[3]))
	got.states, _ = strconv.Atoi(string(found[4]))
	if !slices.Contains(f.oracles, got.oracle) {
		return got, fmt.Errorf("found by %s (%s), want %s", got.oracle, found[2], strings.Join(f.oracles, " or "))
	}
	return got, nil
}
