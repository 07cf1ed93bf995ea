package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"quorate.example/raft/rafttest/internal/plant"
)

// quickStep is how many rules -quick goes on from one that it tries to the next.
const quickStep = 6

// runScenarios writes a Markdown table of who notices that a rule of docs/scenarios.md is taken back.
// Each must be noticed by a test that the document names for it.
func runScenarios(ctx context.Context, out io.Writer, root, dir, only string, seeds int, quick bool) error {
	fmt.Fprintln(out, "| scenario | reverted | tests that fail | simulator: oracle, after events (profile) |\n"+
		"| --- | --- | --- | --- |")
	failed := 0
	for i, r := range revertedRules {
		if quick && i%quickStep != 0 || !strings.Contains(r.scenario+" "+r.name, only) {
			continue
		}
		overlay, err := plant.Overlay(root, dir, r.edits()...)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", r.scenario, r.name, err)
		}
		tests, err := r.failingTests(ctx, root, overlay)
		simulated := "not run"
		if err == nil && !quick {
			simulated, err = r.simulated(ctx, root, dir, overlay, seeds)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		caught := "`" + strings.Join(tests, "`, `") + "`"
		if err != nil || len(tests) == 0 {
			failed++
			caught = fmt.Sprint("NONE ", err)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", r.scenario, r.name, caught, simulated)
	}
	if failed > 0 {
		return fmt.Errorf("%d rules can be taken back without a test that fails", failed)
	}
	return nil
}

var (
	failLine  = regexp.MustCompile(`(?m)^--- FAIL: (Test\w+)`)
	hangsLine = regexp.MustCompile(`(?m)^\t+(Test\w+) \(`)
)

// failingTests runs the scenario's tests without the rule and returns the names of those that fail.
func (r reverted) failingTests(ctx context.Context, root, overlay string) ([]string, error) {
	pattern, pkg := "^("+strings.Join(r.tests, "|")+")$", "."
	if len(r.tests) == 0 {
		pattern = "."
	}
	if r.pkg != "" {
		pkg = r.pkg
	}
	test := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-timeout=30s",
		"-run", pattern, pkg)
	test.Dir = root
	out, err := test.CombinedOutput()
	switch text := string(out); {
	case err == nil:
		return nil, nil
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return nil, fmt.Errorf("does not build: %s", plant.FirstLine(out))
	case strings.Contains(text, "no tests to run"):
		return nil, errors.New("the tests are gone")
	default:
		return failures(text), nil
	}
}

// failures reads the names of the failed tests, or of those that hung, from what go test wrote.
func failures(text string) []string {
	var names []string
	for _, pattern := range []*regexp.Regexp{failLine, hangsLine} {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
		if len(names) > 0 {
			break
		}
	}
	return names
}

// simulated says which oracle of the simulator notices that the rule is missing, and when. One seed is
// run after the other, so that the numbers are the same each time.
func (r reverted) simulated(ctx context.Context, root, dir, overlay string, seeds int) (string, error) {
	sim, err := plant.Build(ctx, root, dir, overlay, "./rafttest/cmd/raftsim")
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(limited, sim, "-quiet", "-shrink", "0", "-workers", "1", "-profile", r.profile,
		"-members", strconv.Itoa(max(r.members, 3)), "-seeds", strconv.Itoa(max(seeds, r.seeds))).Output()
	counts, who := countLine.FindSubmatch(out), oracleLine.FindSubmatch(out)
	switch {
	case limited.Err() != nil && ctx.Err() == nil:
		return fmt.Sprintf("runs for ever (%s)", r.profile), nil
	case err == nil && counts != nil:
		return fmt.Sprintf("not within %s events (%s)", thousands(counts[2]), r.profile), nil
	case counts == nil || who == nil:
		return "", fmt.Errorf("raftsim says %q", plant.FirstLine(out))
	}
	return fmt.Sprintf("%s, %s (%s)", who[1], thousands(counts[2]), r.profile), nil
}

// thousands writes a number with commas.
func thousands(digits []byte) string {
	s := string(digits)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
