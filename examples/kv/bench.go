package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"quorate.example/raft/examples/kv/internal/bench"
)

func benchCommand(ctx context.Context, args []string) error {
	o := bench.Options{Progress: os.Stderr}
	var endpoints, serveFlags, format string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&endpoints, "endpoints", "",
		"HTTP `addresses` of a running cluster, with commas (default: one is started for each round)")
	flags.IntVar(&o.Members, "members", 3, "`number` of members of a cluster that is started here")
	flags.StringVar(&o.Dir, "dir", "", "`directory` for its data (default: one for temporary files)")
	flags.StringVar(&o.Binary, "binary", "", "kv `program` to measure (default: this one)")
	flags.StringVar(&o.Other, "serve-binary", "", "another kv `program`, measured in turns with this one")
	flags.StringVar(&serveFlags, "serve-flags", "", "further `flags` of kv serve, with spaces between them")
	flags.BoolVar(&o.Pebble, "compare-pebble", false,
		"measure also, in turns, Pebble alone: as many goroutines that write synced batches of this size,\n"+
			"to one instance and to as many as there are members")
	flags.IntVar(&o.Clients, "clients", 64, "`number` of concurrent requests")
	flags.IntVar(&o.Connections, "connections", 1,
		"`number` of connections to a member that the clients share (0: plain HTTP, one for each client)")
	flags.Float64Var(&o.Rate, "rate", 0, "`requests` a second of an open loop (0: each client waits for its answer)")
	flags.IntVar(&o.Size, "size", 1024, "`bytes` of a value")
	flags.IntVar(&o.Keys, "keys", 10_000, "`number` of keys")
	flags.Float64Var(&o.ReadShare, "reads", 0, "`share` of reads, from 0 to 1")
	flags.BoolVar(&o.Stale, "stale", false, "reads need not be linearizable")
	flags.BoolVar(&o.Spread, "spread", false, "send to all members, not only to the leader")
	flags.DurationVar(&o.Warmup, "warmup", time.Second, "`time` before measuring begins in a round")
	flags.DurationVar(&o.For, "for", 5*time.Second, "measured `time` of a round")
	flags.IntVar(&o.Rounds, "rounds", 3, "`number` of rounds")
	flags.StringVar(&format, "o", "table", "`format` of the result: table or json")
	if err := parse(flags, args); err != nil {
		return err
	}
	if endpoints != "" {
		o.Endpoints = strings.Split(endpoints, ",")
	}
	o.Flags = strings.Fields(serveFlags)
	err := o.Check()
	if format != "table" && format != "json" {
		err = fmt.Errorf("-o %s: want table or json", format)
	}
	if err != nil {
		fmt.Fprintln(flags.Output(), "kv bench:", err)
		return errUsage
	}
	return runBench(ctx, o, format)
}

func runBench(ctx context.Context, o bench.Options, format string) error {
	if o.Binary == "" {
		var err error
		if o.Binary, err = os.Executable(); err != nil {
			return err
		}
	}
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if format == "json" {
		return report.WriteJSON(os.Stdout)
	}
	return report.WriteTable(os.Stdout)
}
