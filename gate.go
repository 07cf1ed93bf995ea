package raft

import (
	"context"
	"sync/atomic"
)

// gate is a mutex that a caller whose context ends stops waiting for. Whoever finds it open goes
// through, also past those who wait, since waking somebody takes longer than most go in for; one who
// was passed too often closes it for newcomers.
type gate struct {
	held    atomic.Bool
	waiting atomic.Int32
	hungry  atomic.Int32  // of those who wait, how many were passed too often
	left    chan struct{} // has room for one: somebody went out while others waited
}

// maxPassed is how often one who waits is passed by newcomers.
const maxPassed = 2

// enter waits until the caller is alone inside, or until ctx or stop ends.
func (g *gate) enter(ctx context.Context, stop <-chan struct{}) error {
	if g.hungry.Load() == 0 && g.held.CompareAndSwap(false, true) {
		return nil
	}
	return g.wait(ctx, stop)
}

func (g *gate) wait(ctx context.Context, stop <-chan struct{}) error {
	// From here on, whoever goes out leaves a token; and whoever is hungry is not any more before that.
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	for passed := 0; ; passed++ {
		if (passed > 0 || g.hungry.Load() == 0) && g.held.CompareAndSwap(false, true) {
			return nil
		}
		if passed == maxPassed {
			g.hungry.Add(1)
			defer g.hungry.Add(-1)
		}
		select {
		case <-g.left:
		case <-ctx.Done():
			g.passOn() // the token may have been for this one
			return ctx.Err()
		case <-stop:
			return ErrStopped
		}
	}
}

// leave lets the next one in.
func (g *gate) leave() {
	g.held.Store(false)
	if g.waiting.Load() > 0 {
		g.passOn()
	}
}

func (g *gate) passOn() {
	select {
	case g.left <- struct{}{}:
	default:
	}
}
