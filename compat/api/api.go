// Package api compares the exported API of this library with that of go.etcd.io/raft v3.6.0.
package api

import (
	"fmt"
	"go/types"
	"os"
	"sort"
	"strings"

	"golang.org/x/exp/apidiff"
	"golang.org/x/tools/go/packages"
)

const (
	theirModule = "go.etcd.io/raft/v3"
	ourModule   = "quorate.example/raft"
)

// Packages are the packages that both have, as paths below the module's; the root is the empty path.
var Packages = []string{"", "/confchange", "/quorum", "/raftpb", "/rafttest", "/tracker"}

// Change is a difference in the exported API.
type Change struct {
	Package    string // below the module, "raft" for the root
	Text       string
	Compatible bool
}

// Compare returns the differences, those that break a user first, then by package. Run from dir, which
// must lie in a module that requires both.
func Compare(dir string) ([]Change, error) {
	loaded, err := load(dir)
	if err != nil {
		return nil, err
	}
	m := &mapper{loaded: loaded, done: map[string]*types.Package{}}
	var changes []Change
	for _, p := range Packages {
		ours, err := m.Import(ourModule + p)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(p, "/")
		if name == "" {
			name = "raft"
		}
		for _, c := range apidiff.Changes(loaded[theirModule+p].Types, ours).Changes {
			if !excepted(c.Message) {
				changes = append(changes, Change{Package: name, Text: c.Message, Compatible: c.Compatible})
			}
		}
	}
	sort.SliceStable(changes, func(i, j int) bool {
		a, b := changes[i], changes[j]
		if a.Compatible != b.Compatible {
			return !a.Compatible
		}
		return a.Package+a.Text < b.Package+b.Text
	})
	return changes, nil
}

// excepted reports whether a change is in generated plumbing: the XXX_ methods name a type of the
// protobuf runtime that the generator chose, and nobody calls them by hand.
func excepted(text string) bool { return strings.Contains(text, "XXX_") }

// load loads both modules with their dependencies, so that what both import is the same.
func load(dir string) (map[string]*packages.Package, error) {
	cfg := &packages.Config{
		Dir: dir,
		Mode: packages.NeedName | packages.NeedTypes | packages.NeedSyntax | packages.NeedImports |
			packages.NeedDeps | packages.NeedTypesInfo | packages.NeedFiles,
	}
	var paths []string
	for _, p := range Packages {
		paths = append(paths, theirModule+p, ourModule+p)
	}
	roots, err := packages.Load(cfg, paths...)
	if err != nil {
		return nil, err
	}
	loaded := map[string]*packages.Package{}
	var first error
	packages.Visit(roots, nil, func(p *packages.Package) {
		loaded[p.PkgPath] = p
		if len(p.Errors) > 0 && first == nil {
			first = fmt.Errorf("%s: %v", p.PkgPath, p.Errors[0])
		}
	})
	return loaded, first
}

// mapper checks packages of our module again, under the paths of theirs: types of different paths
// are different types, and only that may not count.
type mapper struct {
	loaded map[string]*packages.Package
	done   map[string]*types.Package
}

// Import implements types.Importer.
func (m *mapper) Import(path string) (*types.Package, error) {
	p := m.loaded[path]
	switch {
	case path == "unsafe":
		return types.Unsafe, nil
	case p == nil:
		return nil, fmt.Errorf("package %s was not loaded", path)
	case path != ourModule && !strings.HasPrefix(path, ourModule+"/"):
		return p.Types, nil
	case m.done[path] != nil:
		return m.done[path], nil
	}
	cfg := types.Config{Importer: m}
	pkg, err := cfg.Check(theirModule+strings.TrimPrefix(path, ourModule), p.Fset, p.Syntax, nil)
	m.done[path] = pkg
	return pkg, err
}

// The list of additions stands between these lines of docs/compatibility.md.
const (
	begin = "<!-- additions: go run ./cmd/apilist, in compat/ -->\n"
	end   = "<!-- end of additions -->\n"
)

// List returns the additions as Markdown.
func List(changes []Change) string {
	var b strings.Builder
	last := ""
	for _, c := range changes {
		if !c.Compatible {
			continue
		}
		if c.Package != last {
			fmt.Fprintf(&b, "\n%s\n\n", c.Package)
			last = c.Package
		}
		fmt.Fprintf(&b, "- `%s`\n", strings.TrimSuffix(c.Text, ": added"))
	}
	return b.String() + "\n"
}

// Insert returns the page with list between the markers.
func Insert(page, list string) (string, error) {
	i, j := strings.Index(page, begin), strings.Index(page, end)
	if i < 0 || j < i {
		return "", fmt.Errorf("the lines %q and %q are missing", begin, end)
	}
	return page[:i+len(begin)] + list + page[j:], nil
}

// Update writes list between the markers of a file and reports whether that changed it. With check it
// only reports.
func Update(file, list string, check bool) (changed bool, err error) {
	old, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	page, err := Insert(string(old), list)
	if err != nil || page == string(old) {
		return false, err
	}
	if check {
		return true, nil
	}
	return true, os.WriteFile(file, []byte(page), 0o644)
}
