// Raftsim runs simulations of Raft groups, seed after seed, until one fails.
//
//	raftsim                               1,000 seeds of the profile chaos
//	raftsim -seeds 50000 -profile all     50,000 seeds across all profiles
//	raftsim -for 10m -members 5           as many as fit into ten minutes
//	raftsim -seed 42 -timeline out.html   one seed, with a timeline
//
// It exits with 1 if an oracle found a violation that the profile does not allow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
)

func main() {
	debug.SetGCPercent(400) // runs are short and leave little behind
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "raftsim:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.oneSeed {
		return runOne(o, out)
	}
	return runMany(ctx, o, out)
}
