package cli

import (
	"context"
	"flag"
	"net/http"
	"strconv"
	"strings"
	"time"

	"quorate.example/raft/examples/kv/internal/api"
)

func leaseCommands() []command {
	return []command{
		{name: "lease grant", args: "TTL", short: "make a lease, such as of 30s", run: runGrant},
		{
			name: "lease keep", args: "ID", short: "renew a lease until interrupted",
			flags: func(f *flag.FlagSet, x *call) { f.BoolVar(&x.o.once, "once", false, "renew it once") },
			run:   runKeep,
		},
		{name: "lease revoke", args: "ID", short: "end a lease and delete its keys", run: runRevoke},
		{name: "lease list", short: "list all leases", run: runLeases},
		{name: "lease show", args: "ID", short: "print a lease and its keys", run: runLease},
		{
			name: "lock", args: "NAME -- COMMAND [ARG...]", short: "run a command while holding a lock",
			long: "The lock lives with a lease that is renewed while the command runs, so that it is free again -ttl after\n" +
				"this machine is gone. COMMAND finds KV_LOCK_NAME, KV_LOCK_REVISION (a number that grows with every holder)\n" +
				"and KV_LEASE in its environment, and is ended when the lock is lost. Without COMMAND, -list lists locks.",
			flags: func(f *flag.FlagSet, x *call) {
				f.DurationVar(&x.o.ttl, "ttl", 15*time.Second, "`time` after which the lock of a dead holder is free")
				f.DurationVar(&x.o.wait, "wait", 0, "give up waiting for the lock after this `time` (0: never)")
				f.BoolVar(&x.o.list, "list", false, "list the locks that are held")
			},
			run: runLock,
		},
	}
}

func (x *call) leasePath() (string, error) {
	words, err := x.words(1, 1)
	if err != nil {
		return "", err
	}
	id, err := strconv.ParseUint(words[0], 10, 64)
	if err != nil || id == 0 {
		return "", usage("ID: %q is no lease's ID", words[0])
	}
	return "/leases/" + number(id), nil
}

func runGrant(ctx context.Context, x *call) error {
	words, err := x.words(1, 1)
	if err != nil {
		return err
	}
	lease, err := x.grant(ctx, words[0])
	if err != nil {
		return err
	}
	return x.line(lease, "lease %d of %s", lease.ID, lease.TTL)
}

// grant makes a lease. It is never repeated: a lease that nobody knows of lives until its end.
func (x *call) grant(ctx context.Context, ttl string) (lease api.Lease, err error) {
	body := map[string]string{"ttl": ttl}
	return lease, x.ask(ctx, http.MethodPost, "/leases", nil, body, &lease, false)
}

func runKeep(ctx context.Context, x *call) error {
	path, err := x.leasePath()
	if err != nil {
		return err
	}
	for {
		var lease api.Lease
		if err := x.ask(ctx, http.MethodPost, path+"/keepalive", nil, nil, &lease, true); err != nil {
			if ctx.Err() != nil {
				return nil // it was told to stop
			}
			return err
		}
		if err := x.line(lease, "lease %d: renewed for %s", lease.ID, lease.TTL); err != nil || x.o.once {
			return err
		}
		ttl, err := time.ParseDuration(lease.TTL)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(ttl / 3):
		}
	}
}

func runRevoke(ctx context.Context, x *call) error {
	path, err := x.leasePath()
	if err != nil {
		return err
	}
	var out map[string]any
	if err := x.ask(ctx, http.MethodDelete, path, nil, nil, &out, true); err != nil {
		return err
	}
	return x.line(out, "revoked")
}

func runLeases(ctx context.Context, x *call) error {
	if _, err := x.words(0, 0); err != nil {
		return err
	}
	var out struct {
		Leases []api.Lease `json:"leases"`
	}
	if err := x.ask(ctx, http.MethodGet, "/leases", nil, nil, &out, true); err != nil {
		return err
	}
	return x.show(out, func() error {
		var rows [][]string
		for _, l := range out.Leases {
			rows = append(rows, []string{number(l.ID), l.TTL, number(l.Renewals)})
		}
		return x.table("LEASE TTL RENEWALS", rows)
	})
}

func runLease(ctx context.Context, x *call) error {
	path, err := x.leasePath()
	if err != nil {
		return err
	}
	var l api.Lease
	if err := x.ask(ctx, http.MethodGet, path, nil, nil, &l, true); err != nil {
		return err
	}
	return x.show(l, func() error {
		return x.table("LEASE TTL RENEWALS KEYS",
			[][]string{{number(l.ID), l.TTL, number(l.Renewals), strings.Join(l.Keys, " ")}})
	})
}
