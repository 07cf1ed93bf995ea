package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"quorate.example/raft/benchmarks/internal/measure"
	"quorate.example/raft/benchmarks/internal/report"
)

// library is one that is measured, through a worker program of its own.
type library struct {
	name  string
	build []string // arguments of go build
}

const modulePath = "quorate.example/raft/benchmarks"

// libraries lists all. v3.7.0 has its own list of dependencies, since it has v3.6.0's module path.
var libraries = []library{
	{report.Ours, []string{"./worker"}},
	{"v3.6.0", []string{"-tags=v36", "./worker"}},
	{"v3.7.0", []string{"-modfile=go.v37.mod", "-tags=v37", "./worker"}},
	{"hashicorp", []string{"./hashicorp"}},
	{"floor", []string{"-tags=floor", "./worker"}},
}

// worker is a built library.
type worker struct {
	name     string
	program  string
	families []string
}

// moduleDir returns where the sources of this module are.
func moduleDir() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	if err != nil {
		return "", fmt.Errorf("run this in the checkout: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// buildAll builds the workers into dir. A library that cannot be built, for want of a newer Go or of a
// network, is left out with a warning.
func buildAll(dir string, only []string) ([]worker, error) {
	src, err := moduleDir()
	if err != nil {
		return nil, err
	}
	var workers []worker
	for _, lib := range libraries {
		if len(only) > 0 && !slices.Contains(only, lib.name) {
			continue
		}
		w, err := buildOne(src, dir, lib)
		if err != nil && lib.name == report.Ours {
			return nil, err
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", lib.name, err)
			continue
		}
		workers = append(workers, w)
	}
	return workers, nil
}

func buildOne(src, dir string, lib library) (worker, error) {
	w := worker{name: lib.name, program: filepath.Join(dir, lib.name)}
	build := exec.Command("go", append([]string{"build", "-o", w.program}, lib.build...)...)
	build.Dir = src
	build.Env = append(os.Environ(), "GOWORK=off", "PWD="+src)
	if out, err := build.CombinedOutput(); err != nil {
		return w, fmt.Errorf("go %s: %w\n%s", strings.Join(build.Args[1:], " "), err, out)
	}
	list, err := exec.Command(w.program, "-list").Output()
	w.families = strings.Fields(string(list))
	return w, err
}

// can reports whether the worker knows the workload.
func (w *worker) can(workload string) bool {
	family, _, _ := strings.Cut(workload, "/")
	return slices.Contains(w.families, family)
}

// run does one workload in a process of its own.
func (w *worker) run(workload string, n int) (measure.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var result measure.Result
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, w.program, "-workload", workload, "-n", strconv.Itoa(n))
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if err == nil && (result.Workload != workload || result.Ops < 1) {
		err = fmt.Errorf("it did %d of %q", result.Ops, result.Workload)
	}
	if err != nil {
		return result, fmt.Errorf("%s, %s: %w\n%s", w.name, workload, err, firstLines(stderr.String()))
	}
	return result, nil
}

func firstLines(text string) string {
	return text[:min(len(text), 1000)]
}
