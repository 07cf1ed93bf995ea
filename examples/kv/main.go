// Command kv is a replicated key-value server on top of the raft package, and the example to read for
// how a durable service is built with it. README.md says how to use it; internal/member/loop.go is
// the event loop.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"quorate.example/raft/examples/kv/internal/cli"
)

const usageHead = `usage:
  kv serve -id ID -data DIR -listen HOST:PORT -http HOST:PORT [-bootstrap ID=HOST:PORT,...]
        runs one member of a cluster
  kv demo [-dir PATH] [-n 3]
        replicates a directory through a cluster on this machine whose leader is killed half-way
  kv bench, kv drill
        measures a cluster; breaks one in all ways and checks what clients saw

for people, against any member of a running cluster:
`

const usageTail = `
kv COMMAND -h lists all flags of a command.

`

func usage() string { return usageHead + cli.Usage() + usageTail + cli.ExitCodes }

// errUsage ends the program with status 2 after it has said why.
var errUsage = errors.New("usage")

// exitCode is how a command for people ended; what is wrong has been printed by then.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errDemo), errors.Is(err, errDrill):
		os.Exit(1)
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "kv:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return serveCommand(ctx, args[1:])
		case "demo":
			return demoCommand(ctx, args[1:])
		case "bench":
			return benchCommand(ctx, args[1:])
		case "drill":
			return drillCommand(ctx, args[1:])
		case "help", "-h", "-help", "--help":
			fmt.Print(usage())
			return nil
		}
		if cli.Knows(args[0]) {
			return exitCode(cli.Run(ctx, args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		}
	}
	fmt.Fprint(os.Stderr, usage())
	return errUsage
}

// parse reads the flags of one command, which takes no other arguments.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(flags.Output(), "kv %s: unexpected argument %q\n", flags.Name(), flags.Arg(0))
		return errUsage
	}
	return nil
}
