// Package bench measures a cluster from outside, over HTTP, as its clients see it: throughput and the
// whole distribution of latencies, from a closed loop (so many clients, each waits for its answer) or
// an open one (so many requests a second, whether answers come or not).
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Options says what to measure.
type Options struct {
	// Endpoints are HTTP addresses of members that run already. If there are none, a cluster of
	// Members processes of Binary is started for each round, in Dir, and ended again.
	Endpoints []string
	Binary    string
	Members   int
	Dir       string
	// Flags are added to the command line of each member.
	Flags []string
	// Other is another kv program, which is measured in turns with Binary.
	Other string
	// Pebble asks for rounds of Pebble alone: synced batches of the same size, on the same disk. If a cluster is
	// started here, it also asks for rounds with as many instances as the cluster has members, each of which
	// gets every batch.
	Pebble bool

	Load
	// Rounds is how often each of them is measured.
	Rounds int
	// Progress gets a line for each round.
	Progress io.Writer
}

// Load is what the clients do.
type Load struct {
	// Clients is the number of concurrent requests. Rate is the number of requests a second of an open
	// loop, 0 for a closed one.
	Clients int     `json:"clients"`
	Rate    float64 `json:"rate,omitempty"`
	// Connections is how many connections to a member the clients share, as requests in frames; 0: plain HTTP,
	// with a connection for each request under way. A member that offers no frames is asked over HTTP.
	Connections int `json:"connections"`
	// Size is the length of a value in bytes, Keys the number of keys, ReadShare the share of reads
	// from 0 to 1. Stale reads ask the member alone.
	Size      int     `json:"size"`
	Keys      int     `json:"keys"`
	ReadShare float64 `json:"read_share"`
	Stale     bool    `json:"stale,omitempty"`
	// Spread sends requests to all members in turn, not only to the leader.
	Spread bool `json:"spread,omitempty"`
	// Warmup is not measured, For is.
	Warmup time.Duration `json:"-"`
	For    time.Duration `json:"-"`
}

// Check returns what is wrong with the options.
func (o Options) Check() error {
	switch {
	case o.Clients < 1:
		return errors.New("want at least one client")
	case o.Connections < 0:
		return errors.New("the number of connections is negative")
	case o.Rate < 0:
		return errors.New("the rate is negative")
	case o.Size < 0 || o.Keys < 1:
		return errors.New("want a size of at least 0 and at least one key")
	case o.ReadShare < 0 || o.ReadShare > 1:
		return errors.New("the share of reads goes from 0 to 1")
	case o.For <= 0 || o.Warmup < 0 || o.Rounds < 1:
		return errors.New("want at least one round of some length")
	case len(o.Endpoints) == 0 && o.Members < 1:
		return errors.New("want at least one member")
	case len(o.Endpoints) > 0 && o.Other != "":
		return errors.New("another program can only be compared with a cluster that is started here")
	}
	return nil
}

// The names of what is measured.
const (
	nameCluster = "kv"
	nameOther   = "other kv"
	namePebble  = "pebble"
)

// target is something that is measured in turns with others.
type target struct {
	name  string
	round func(ctx context.Context) (Sample, error)
}

// Run measures. All targets have their turn in each round, in an order that alternates, so that a slow
// minute of the machine is nobody's disadvantage.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	targets := o.targets()
	report := &Report{Load: o.Load, Seconds: o.For.Seconds()}
	for _, t := range targets {
		report.Results = append(report.Results, &Result{Name: t.name})
	}
	for round := range o.Rounds {
		order := make([]int, len(targets))
		for i := range order {
			order[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			sample, err := targets[i].round(ctx)
			if err != nil {
				return nil, fmt.Errorf("round %d of %s: %w", round+1, targets[i].name, err)
			}
			report.Results[i].add(sample)
			fmt.Fprintf(o.Progress, "round %d, %s: %s\n", round+1, targets[i].name, sample)
		}
	}
	report.finish()
	return report, nil
}

// pebble is Pebble alone, with so many copies.
func (o Options) pebble(name string, copies int) target {
	return target{name, func(ctx context.Context) (Sample, error) {
		return pebbleRound(ctx, o.Load, o.Dir, copies)
	}}
}

func (o Options) targets() []target {
	var out []target
	if len(o.Endpoints) > 0 {
		out = append(out, target{nameCluster, func(ctx context.Context) (Sample, error) {
			return drive(ctx, o.Load, o.Endpoints)
		}})
	} else {
		out = append(out, target{nameCluster, o.ownCluster(o.Binary)})
	}
	if o.Other != "" {
		out = append(out, target{nameOther, o.ownCluster(o.Other)})
	}
	if o.Pebble {
		out = append(out, o.pebble(namePebble, 1))
		if n := o.Members; len(o.Endpoints) == 0 && n > 1 {
			out = append(out, o.pebble(fmt.Sprintf("%s x %d", namePebble, n), n))
		}
	}
	return out
}
