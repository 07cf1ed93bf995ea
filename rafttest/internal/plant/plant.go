// Package plant puts a deliberate fault into a build of this module, to show that
// the tools which look for faults bite. The checkout is not touched: the fault is
// an overlay for the go command.
package plant

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Edit is a mistake in a source file: Old, which must be there once, becomes New.
type Edit struct {
	File     string // slash-separated, below the module's directory
	Old, New string
}

// ModuleRoot returns the directory of the go.mod above the working directory.
func ModuleRoot() (string, error) {
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

// Overlay writes the faulty file and the overlay that puts it in place into dir,
// and returns the path of the overlay. It is an error if the place of the fault
// has changed.
func (e Edit) Overlay(root, dir string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(e.File))
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), e.Old); n != 1 {
		return "", fmt.Errorf("no longer applies: %q is in %s %d times", e.Old, e.File, n)
	}
	faulty := filepath.Join(dir, "faulty.go")
	if err := os.WriteFile(faulty, []byte(strings.Replace(string(text), e.Old, e.New, 1)), 0o600); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": {path: faulty}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

// Build builds the command in the directory pkg of the module with the fault in it,
// and returns the path of the binary, which is in dir.
func (e Edit) Build(ctx context.Context, root, dir, pkg string) (string, error) {
	overlay, err := e.Overlay(root, dir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, filepath.Base(pkg))
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", binary, pkg)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not build: %s", FirstLine(out))
	}
	return binary, nil
}

// FirstLine returns the first line of a tool's output that says something.
func FirstLine(out []byte) string {
	for _, line := range strings.Split(string(out), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return "nothing"
}
