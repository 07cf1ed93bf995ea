package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"quorate.example/raft/examples/kv/internal/drill"
)

// errDrill makes the exit status 1; what is wrong has been printed by then.
var errDrill = errors.New("the drill failed")

func drillCommand(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "proxy" {
		return drillProxy(ctx, args[1:])
	}
	o := drill.Options{Out: os.Stderr}
	var faults, format string
	flags := flag.NewFlagSet("drill", flag.ContinueOnError)
	flags.DurationVar(&o.For, "for", time.Minute, "`time` during which there are faults")
	flags.IntVar(&o.Members, "members", 3, "`number` of members, 3 or 5")
	flags.IntVar(&o.Clients, "clients", 8, "`number` of clients")
	flags.IntVar(&o.Rate, "rate", 300, "`requests` a second of all clients together")
	flags.Uint64Var(&o.Seed, "seed", 0, "`number` that decides which faults come when (0: a random one)")
	flags.StringVar(&faults, "faults", "all", fmt.Sprintf("`kinds` of faults, with commas, of %v", drill.Kinds()))
	flags.StringVar(&o.Dir, "dir", "", "empty `directory` for data, logs and evidence (default: a temporary one)")
	flags.BoolVar(&o.Keep, "keep", false, "keep that directory even if all is well")
	flags.BoolVar(&o.Loopback, "loopback", false, "no network namespaces even if they are possible")
	flags.StringVar(&format, "o", "table", "`format` of the report: table or json")
	if err := parse(flags, args); err != nil {
		return err
	}
	var err error
	o.Kinds, err = drill.ParseKinds(faults)
	switch {
	case o.Members != 3 && o.Members != 5:
		err = errors.New("-members: want 3 or 5")
	case o.Clients < 1 || o.Rate < 1 || o.For <= 0:
		err = errors.New("want at least one client, one request a second and some time")
	case format != "table" && format != "json":
		err = fmt.Errorf("-o %s: want table or json", format)
	}
	if err != nil {
		fmt.Fprintln(flags.Output(), "kv drill:", err)
		return errUsage
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1 << 32)
	}
	return runDrill(ctx, o, format)
}

func runDrill(ctx context.Context, o drill.Options, format string) error {
	var err error
	if o.Binary, err = os.Executable(); err != nil {
		return err
	}
	report, err := drill.Run(ctx, o)
	if report != nil {
		write := report.WriteTable
		if format == "json" {
			write = report.WriteJSON
		}
		err = errors.Join(err, write(os.Stdout))
	}
	if err != nil {
		fmt.Println("FAILED:", err)
		return errDrill
	}
	if format == "table" {
		fmt.Println("OK: everything that clients saw fits together, and nothing that was acknowledged is missing")
	}
	return nil
}

// drillProxy is what the drill starts for each member.
func drillProxy(ctx context.Context, args []string) error {
	var listen string
	flags := flag.NewFlagSet("drill proxy", flag.ContinueOnError)
	flags.StringVar(&listen, "listen", "", "`address` for the drill")
	if err := parse(flags, args); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- drill.ServeProxies(listen) }()
	select {
	case err := <-ended:
		return err
	case <-untilStdinEnds(ctx).Done():
		return nil
	}
}
