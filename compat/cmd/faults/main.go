// Command faults shows that the lockstep comparison bites. It puts one deliberate fault after the
// other into a copy of the core, runs lockstep against it, and prints after how many operations the fault was
// found. It exits with 1 if one is not found, or does not apply any more. Run it in compat/.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

var (
	ops  = flag.Int("ops", 1_000_000, "operations after which a fault counts as not found")
	seed = flag.Uint64("seed", 1, "seed of the first case")
	from = flag.String("core", "..", "directory of the root module to put the faults into")
	only = flag.String("only", "", "do only the faults with this in their name")
)

func main() {
	flag.Parse()
	ok, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run() (ok bool, err error) {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	core := filepath.Join(dir, "core")
	if err := copyCore(*from, core); err != nil {
		return false, err
	}
	if err := writeModfile(dir, core); err != nil {
		return false, err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer out.Flush()
	found, tried := 0, 0
	for _, f := range append([]fault{{name: "(none)"}}, faults...) {
		if !strings.Contains(f.name, *only) {
			continue
		}
		n, err := try(dir, core, f)
		switch {
		case err != nil:
			return false, fmt.Errorf("%q: %w", f.name, err)
		case f.file == "" && n > 0:
			return false, fmt.Errorf("lockstep finds a difference without a fault, after %d operations", n)
		case f.file == "":
			continue
		case n == 0:
			fmt.Fprintf(out, "%s\t%s\tNOT FOUND in %d\n", f.name, f.file, *ops)
		default:
			found++
			fmt.Fprintf(out, "%s\t%s\t%d\n", f.name, f.file, n)
		}
		tried++
		out.Flush()
	}
	fmt.Fprintf(out, "%d of %d faults found\n", found, tried)
	return found == tried, nil
}

// copyCore copies the Go files of the root module that compat/ builds on.
func copyCore(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if rel != "." && (nested == nil || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".mod" && ext != ".sum" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
}

// writeModfile writes this module's go.mod with the core replaced by the copy.
func writeModfile(dir, core string) error {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		return err
	}
	const here = "replace quorate.example/raft => ../\n"
	if strings.Count(string(mod), here) != 1 {
		return fmt.Errorf("go.mod has no line %q", here)
	}
	changed := strings.Replace(string(mod), here, "replace quorate.example/raft => "+core+"\n", 1)
	if err := os.WriteFile(filepath.Join(dir, "faults.mod"), []byte(changed), 0o644); err != nil {
		return err
	}
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "faults.sum"), sum, 0o644)
}

// try puts f into the copy, runs lockstep, and takes f out again. It returns the number of
// operations until a difference was found, or 0.
func try(dir, core string, f fault) (n int, err error) {
	if f.file != "" {
		path := filepath.Join(core, f.file)
		was, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		if c := strings.Count(string(was), f.find); c != 1 {
			return 0, fmt.Errorf("%s has what it replaces %d times, not once", f.file, c)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(was), f.find, f.put, 1)), 0o644); err != nil {
			return 0, err
		}
		defer os.WriteFile(path, was, 0o644)
	}
	bin := filepath.Join(dir, "lockstep")
	build := exec.Command("go", "build", "-modfile="+filepath.Join(dir, "faults.mod"), "-o", bin, "./cmd/lockstep")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building: %w\n%s", err, out)
	}
	cmd := exec.Command(bin, "-workers", "1", "-shrink", "0", "-ops", strconv.Itoa(*ops), "-seed", strconv.FormatUint(*seed, 10))
	out, err := cmd.Output()
	if err == nil {
		return 0, nil
	}
	m := regexp.MustCompile(`(?m)^(\d+) operations`).FindSubmatch(out)
	if m == nil || !strings.Contains(string(out), "DIFFERENCE") {
		return 0, fmt.Errorf("lockstep: %w\n%s", err, out)
	}
	return strconv.Atoi(string(m[1]))
}
