package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"quorate.example/raft/examples/kv/internal/demo"
)

const (
	minMembers = 3
	maxMembers = 9
)

// errDemo makes the exit status 1; what is wrong has been printed by then.
var errDemo = errors.New("the demo failed")

func demoCommand(ctx context.Context, args []string) error {
	o := demo.Options{Out: os.Stdout, Terminal: isTerminal(os.Stdout)}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.Dir, "dir", "", "`directory` to replicate (default: this repository's checkout, without .git)")
	flags.IntVar(&o.Members, "n", minMembers, "`number` of members, 3 to 9")
	flags.IntVar(&o.Writers, "writers", 32, "`number` of clients that write at the same time")
	if err := parse(flags, args); err != nil {
		return err
	}
	if o.Members < minMembers || o.Members > maxMembers || o.Writers < 1 {
		fmt.Fprintf(flags.Output(), "kv demo: want %d to %d members and at least one writer\n", minMembers, maxMembers)
		return errUsage
	}
	summary, err := runDemo(ctx, o)
	if err != nil {
		fmt.Println("FAILED:", err)
		return errDemo
	}
	fmt.Println(summary)
	return nil
}

func runDemo(ctx context.Context, o demo.Options) (string, error) {
	var err error
	if o.Dir == "" {
		if o.Dir, err = checkout(); err != nil {
			return "", err
		}
		o.Skip = []string{".git"}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return "", err
	}
	if o.Binary, err = os.Executable(); err != nil {
		return "", err
	}
	return demo.Run(ctx, o)
}

var rootModule = regexp.MustCompile(`(?m)^module quorate\.example/raft$`)

// checkout returns the repository's directory: the nearest one above the working directory that
// holds the root module.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && rootModule.Match(data) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the repository's checkout: say which directory with -dir")
		}
		dir = parent
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
