package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/host"
)

// Propose replicates a command and returns what it did. What was certainly not made is proposed again while
// ctx allows it. The errors are ErrNoLeader, ErrUnknown and ErrStopped.
func (m *Member) Propose(ctx context.Context, c store.Command) (store.Result, error) {
	var out store.Result
	c.ID = store.RequestID{Origin: m.origin, Seq: m.nextSeq.Add(1)}
	data := c.Encode()
	err := m.persist(ctx, func(ctx context.Context) error {
		result, err := m.replica.Propose(ctx, data)
		var ok bool
		if out, ok = result.Value.(store.Result); err == nil && !ok {
			err = fmt.Errorf("entry %d was applied without a result", result.Index)
		}
		return err
	})
	return out, err
}

// Barrier returns when this member's state contains everything that was acknowledged, anywhere in
// the cluster, before the call: reading the state after it is linearizable.
func (m *Member) Barrier(ctx context.Context) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	err := m.replica.Read(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, host.ErrStopped):
		return ErrStopped
	}
	return ErrNoLeader
}

// retryAfter is the pause before something is tried again that another leader, or a moment, may cure.
const retryAfter = 5 * time.Millisecond

// persist calls try until it did something or may have done something.
func (m *Member) persist(ctx context.Context, try func(context.Context) error) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	for {
		err := try(ctx)
		var refused *ChangeError
		switch {
		case err == nil, errors.As(err, &refused):
			return err
		case errors.Is(err, host.ErrUnknown), errors.Is(err, ErrUnknown):
			return ErrUnknown
		case errors.Is(err, host.ErrStopped):
			return ErrStopped
		case errors.Is(err, host.ErrNotCaughtUp), errors.Is(err, host.ErrChangeRefused):
			return refuse("%s", plain(err))
		case !errors.Is(err, host.ErrDropped) && !errors.Is(err, host.ErrLost) && !errors.Is(err, host.ErrNotLeader) &&
			!errors.Is(err, host.ErrTransferFailed) && !errors.Is(err, errUndelivered):
			return err
		}
		if err := m.pause(ctx); err != nil {
			return err
		}
	}
}

// pause waits for a leader, and a moment.
func (m *Member) pause(ctx context.Context) error {
	if _, err := m.replica.AwaitLeader(ctx); err != nil {
		if errors.Is(err, host.ErrStopped) {
			return ErrStopped
		}
		return ErrNoLeader
	}
	select {
	case <-time.After(retryAfter):
		return nil
	case <-ctx.Done():
		return ErrNoLeader
	case <-m.stopped:
		return ErrStopped
	}
}
