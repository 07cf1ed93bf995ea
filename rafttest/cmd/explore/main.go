// Explore explores all schedules of small worlds, on the real code, until there
// are no more or one violates an oracle. docs/explorer.md tells what a world is.
//
//	explore                          every world at the size that CI has time for
//	explore -long                    the same worlds, larger
//	explore -world reads,joint       these worlds only
//	explore -world joint -replay S   one schedule, as a violation prints it
//	explore -faults                  does it bite?
//
// It exits with 1 if an oracle found a violation.
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
	"slices"
	"strings"
)

func main() {
	debug.SetGCPercent(200) // most of the memory has no pointers in it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "explore:", err)
		os.Exit(1)
	}
}

// options is the command line.
type options struct {
	worlds    []world
	long      bool
	maxStates int
	replay    string
	quiet     bool
	faults    bool
	only      string
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	all := worlds()
	fs := flag.NewFlagSet("explore", flag.ContinueOnError)
	names := fs.String("world", "", "explore only these: "+strings.Join(worldNames(all), ","))
	fs.BoolVar(&o.long, "long", false, "explore the larger ones: minutes, and some gigabytes of memory")
	fs.IntVar(&o.maxStates, "max", 10_000_000, "end a world after so many states")
	fs.StringVar(&o.replay, "replay", "", "run this schedule in one world, and say what happens")
	fs.BoolVar(&o.quiet, "quiet", false, "no progress line")
	fs.BoolVar(&o.faults, "faults", false, "show that planted faults are found")
	fs.StringVar(&o.only, "only", "", "with -faults: those whose name contains this")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if *names == "" {
		o.worlds = all
	}
	for _, name := range strings.Split(*names, ",") {
		at := slices.IndexFunc(all, func(w world) bool { return w.name == name })
		switch {
		case at >= 0:
			o.worlds = append(o.worlds, all[at])
		case name != "":
			return nil, fmt.Errorf("there is no world %q; allowed: %s", name, strings.Join(worldNames(all), ", "))
		}
	}
	if o.replay != "" && len(o.worlds) != 1 {
		return nil, errors.New("-replay needs one -world")
	}
	return o, nil
}

func worldNames(all []world) (names []string) {
	for _, w := range all {
		names = append(names, w.name)
	}
	return names
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args)
	switch {
	case err != nil:
		return err
	case o.faults:
		return tryFaults(ctx, o.only, out)
	case o.replay != "":
		return o.replayOne(out)
	}
	return o.exploreAll(ctx, out)
}
