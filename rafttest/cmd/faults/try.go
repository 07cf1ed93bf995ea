package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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
	overlay, err := f.overlay(root, dir)
	if err != nil {
		return finding{}, err
	}
	sim := filepath.Join(dir, "raftsim")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", sim, "./rafttest/cmd/raftsim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return finding{}, fmt.Errorf("does not build: %s", firstLine(out))
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

// overlay writes the faulty file and the overlay that puts it in place.
func (f fault) overlay(root, dir string) (string, error) { return overlayOf(root, dir, []fault{f}) }

// overlayOf is overlay for several faults in a file each.
func overlayOf(root, dir string, faults []fault) (string, error) {
	replace := map[string]string{}
	for i, f := range faults {
		path := filepath.Join(root, filepath.FromSlash(f.file))
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), f.old); n != 1 {
			return "", fmt.Errorf("no longer applies: %q is in %s %d times", f.old, f.file, n)
		}
		replace[path] = filepath.Join(dir, fmt.Sprintf("faulty%d.go", i))
		if err := os.WriteFile(replace[path], []byte(strings.Replace(string(text), f.old, f.new, 1)), 0o600); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

var (
	countLine  = regexp.MustCompile(`(?m)^(\d+) seeds, (\d+) events`)
	oracleLine = regexp.MustCompile(`(?m)^violation of ([^:]+): (.*)`)
)

// read finds the oracle and the counts in what raftsim wrote.
func (f fault) read(out []byte) (finding, error) {
	counts, who := countLine.FindSubmatch(out), oracleLine.FindSubmatch(out)
	if counts == nil || who == nil {
		return finding{}, fmt.Errorf("raftsim says %q", firstLine(out))
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

func firstLine(out []byte) string {
	for _, line := range strings.Split(string(out), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return "nothing"
}
