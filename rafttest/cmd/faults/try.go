package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"quorate.example/raft/rafttest/internal/plant"
)

// fault is one mistake: in file, old becomes new.
type fault struct {
	name     string
	file     string
	old, new string
	profile  string   // under which it is to be noticed
	members  int      // zero means 3
	oracles  []string // any of which may notice it
}

// finding says who noticed a fault, and when.
type finding struct {
	oracle        string
	seeds, events int
}

// try builds raftsim with the fault and runs it.
func (f fault) try(ctx context.Context, root, dir string, seeds int) (finding, error) {
	overlay, err := plant.Overlay(root, dir, f.edit())
	if err != nil {
		return finding{}, err
	}
	sim, err := plant.Build(ctx, root, dir, overlay, "./rafttest/cmd/raftsim")
	if err != nil {
		return finding{}, err
	}
	// A fault may make a member run in circles: that is noticed, too.
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	members := max(f.members, 3)
	out, err := exec.CommandContext(ctx, sim, "-quiet", "-shrink", "0", "-profile", f.profile,
		"-members", strconv.Itoa(members), "-seeds", strconv.Itoa(seeds)).Output()
	if ctx.Err() != nil {
		return finding{}, errors.New("takes too long")
	}
	if err == nil {
		return finding{}, fmt.Errorf("not noticed in %d seeds", seeds)
	}
	return f.read(out)
}

// edit returns what the fault does to the source.
func (f fault) edit() plant.Edit { return plant.Edit{File: f.file, Old: f.old, New: f.new} }

var (
	countLine  = regexp.MustCompile(`(?m)^(\d+) seeds, (\d+) events`)
	oracleLine = regexp.MustCompile(`(?m)^violation of ([^:]+): (.*)`)
)

// read finds the oracle and the counts in what raftsim wrote.
func (f fault) read(out []byte) (finding, error) {
	counts, who := countLine.FindSubmatch(out), oracleLine.FindSubmatch(out)
	if counts == nil || who == nil {
		return finding{}, fmt.Errorf("raftsim says %q", plant.FirstLine(out))
	}
	got := finding{oracle: string(who[1])}
	got.seeds, _ = strconv.Atoi(string(counts[1]))
	got.events, _ = strconv.Atoi(string(counts[2]))
	if !slices.Contains(f.oracles, got.oracle) {
		return got, fmt.Errorf("noticed by %s (%s), want %s", got.oracle, who[2],
			strings.Join(f.oracles, " or "))
	}
	return got, nil
}
