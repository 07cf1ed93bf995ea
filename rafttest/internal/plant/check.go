package plant

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Checker tells in milliseconds whether a build with edits would succeed.
type Checker struct {
	root    string
	exports map[string]string   // of each package that the module needs, by import path
	files   map[string][]string // of each package of the module, by its directory
}

// NewChecker lists, and if need be builds, the packages of the module at root.
func NewChecker(root string) (*Checker, error) {
	list := exec.Command("go", "list", "-export", "-deps", "-f",
		"{{.ImportPath}}\t{{.Export}}\t{{.Dir}}\t{{range .GoFiles}}{{.}} {{end}}", "./...")
	list.Dir = root
	var problems bytes.Buffer
	list.Stderr = &problems
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, FirstLine(problems.Bytes()))
	}
	c := &Checker{root: root, exports: map[string]string{}, files: map[string][]string{}}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("go list: cannot read %q", line)
		}
		c.exports[fields[0]], c.files[fields[2]] = fields[1], strings.Fields(fields[3])
	}
	return c, nil
}

// Check applies the edits to what is in the packages that they are in, and checks their types. A package that
// imports one of them is not looked at.
func (c *Checker) Check(edits ...Edit) error {
	texts, err := sources(c.root, edits)
	if err != nil {
		return err
	}
	checked := map[string]bool{}
	for path := range texts {
		if dir := filepath.Dir(path); !checked[dir] {
			checked[dir] = true
			if err := c.check(dir, texts); err != nil {
				return err
			}
		}
	}
	return nil
}

// check checks the package in dir, with texts instead of what its files hold.
func (c *Checker) check(dir string, texts map[string]string) error {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range c.files[dir] {
		path := filepath.Join(dir, name)
		var src any // read from the file unless there is another text for it
		if text, edited := texts[path]; edited {
			src = text
		}
		file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return fmt.Errorf("no package of the module in %s", dir)
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", c.export)}
	_, err := conf.Check(dir, fset, files, nil)
	return err
}

// export opens what the compiler wrote for other packages about this one.
func (c *Checker) export(path string) (io.ReadCloser, error) {
	if c.exports[path] == "" {
		return nil, errors.New("not a package of the build: " + path)
	}
	return os.Open(c.exports[path])
}
