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

// sources returns the text of each file that the edits change, by its path. It is an error if the place of
// an edit has changed.
func sources(root string, edits []Edit) (map[string]string, error) {
	texts := map[string]string{}
	for _, e := range edits {
		path := filepath.Join(root, filepath.FromSlash(e.File))
		if _, read := texts[path]; !read {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			texts[path] = string(data)
		}
		if n := strings.Count(texts[path], e.Old); n != 1 {
			return nil, fmt.Errorf("no longer applies: %q is in %s %d times", e.Old, e.File, n)
		}
		texts[path] = strings.Replace(texts[path], e.Old, e.New, 1)
	}
	return texts, nil
}

// Overlay writes the faulty files and the overlay that puts them in place into dir, and returns the path of
// the overlay. It is an error if the place of an edit has changed.
func Overlay(root, dir string, edits ...Edit) (string, error) {
	texts, err := sources(root, edits)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, fmt.Sprintf("faulty%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
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

// Build builds the command in the directory pkg of the module with the overlay, and returns the path of the
// binary, which is in dir.
func Build(ctx context.Context, root, dir, overlay, pkg string) (string, error) {
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
