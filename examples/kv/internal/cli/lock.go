package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"time"

	"quorate.example/raft/examples/kv/internal/api"
	"quorate.example/raft/examples/kv/internal/client"
)

// errLockLost says that the lease ended while the command ran.
var errLockLost = errors.New("the lock was lost, the command was ended")

const (
	// lockWait is how long one request waits for a lock.
	lockWait = 10 * time.Second
	// grace is how long a command may take to end when it is told to.
	grace = 5 * time.Second
)

func runLock(ctx context.Context, x *call) error {
	if x.o.list {
		return x.locks(ctx)
	}
	if len(x.args) != 1 || len(x.rest) == 0 {
		return usage("want NAME -- COMMAND [ARG...]")
	}
	lease, err := x.grant(ctx, x.o.ttl.String())
	if err != nil {
		return err
	}
	defer x.release(lease)
	// From here on the lease is renewed, while waiting as well; without renewals held ends.
	held, lost := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		x.renew(held, lease, lost)
	}()
	defer func() { lost(nil); <-renewed }()
	lock, err := x.acquire(held, lease)
	if err != nil {
		if cause := context.Cause(held); errors.Is(cause, errLockLost) {
			return cause
		}
		return err
	}
	err = x.holding(held, lock)
	if cause := context.Cause(held); errors.Is(cause, errLockLost) {
		return cause
	}
	return err
}

// release ends the lease, and with it the lock, even when the command was interrupted.
func (x *call) release(lease api.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), x.timeout)
	defer cancel()
	path := "/leases/" + number(lease.ID)
	var problem *client.StatusError
	err := x.ask(ctx, http.MethodDelete, path, nil, nil, nil, true)
	if err != nil && !(errors.As(err, &problem) && problem.Code == http.StatusNotFound) {
		fmt.Fprintf(x.Err, "kv lock: lease %d not revoked, it ends by itself: %v\n", lease.ID, err)
	}
}

// renew renews the lease until ctx ends, or calls lost when there is no lease any more or may be none.
func (x *call) renew(ctx context.Context, lease api.Lease, lost context.CancelCauseFunc) {
	path := "/leases/" + number(lease.ID) + "/keepalive"
	safe := time.Now().Add(x.o.ttl)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(x.o.ttl / 3):
		}
		began := time.Now()
		attempt, cancel := context.WithDeadline(ctx, safe)
		err := x.ask(attempt, http.MethodPost, path, nil, nil, nil, true)
		cancel()
		var problem *client.StatusError
		switch {
		case err == nil:
			safe = began.Add(x.o.ttl)
		case ctx.Err() != nil:
			return
		case errors.As(err, &problem) && problem.Code == http.StatusNotFound, !time.Now().Before(safe):
			lost(errLockLost)
			return
		}
	}
}

// acquire waits for the lock, in requests of a bounded length.
func (x *call) acquire(ctx context.Context, lease api.Lease) (api.Lock, error) {
	query := url.Values{"lease": {number(lease.ID)}}
	end := time.Now().Add(x.o.wait)
	for {
		wait := lockWait
		if x.o.wait > 0 {
			wait = max(min(wait, time.Until(end)), 100*time.Millisecond)
		}
		var lock api.Lock
		err := x.askFor(ctx, wait, http.MethodPost, "/locks/"+x.args[0], query, nil, &lock, true)
		var problem *client.StatusError
		waits := errors.As(err, &problem) && problem.Code == http.StatusConflict ||
			errors.Is(err, client.ErrUnavailable)
		if !waits || x.o.wait > 0 && !time.Now().Before(end) {
			return lock, err
		}
	}
}

// holding runs the command.
func (x *call) holding(ctx context.Context, lock api.Lock) error {
	cmd := exec.CommandContext(ctx, x.rest[0], x.rest[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.In, x.Out, x.Err
	cmd.Env = append(os.Environ(),
		"KV_LOCK_NAME="+lock.Name, "KV_LOCK_REVISION="+number(lock.Revision), "KV_LEASE="+number(lock.Lease))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	return cmd.Run()
}

func (x *call) locks(ctx context.Context) error {
	var out struct {
		Locks []api.Lock `json:"locks"`
	}
	if err := x.ask(ctx, http.MethodGet, "/locks", nil, nil, &out, true); err != nil {
		return err
	}
	return x.show(out, func() error {
		var rows [][]string
		for _, l := range out.Locks {
			rows = append(rows, []string{l.Name, number(l.Lease), number(l.Revision)})
		}
		return x.table("LOCK LEASE REVISION", rows)
	})
}
