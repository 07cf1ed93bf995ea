// Package expiry ends leases that nobody renews.
//
// Clocks stay out of the replicated state: the leader alone watches the time, and proposes to end a
// lease whose TTL has passed since it saw the last renewal applied. The proposal names that renewal and
// the leader's term, so that all members agree whether it still holds, and a new leader gives every
// lease its whole TTL again.
package expiry

import (
	"context"
	"sync"
	"time"

	"quorate.example/raft/examples/kv/internal/member"
	"quorate.example/raft/examples/kv/internal/store"
)

// Member is what an expirer needs of the member it works for.
type Member interface {
	Status(ctx context.Context) (member.Status, error)
	Propose(ctx context.Context, c store.Command) (store.Result, error)
}

const (
	interval = 200 * time.Millisecond
	// patience is how long one round may take; what it does not reach, the next one does.
	patience    = 5 * time.Second
	maxAtATime  = 64
	stateLeader = "StateLeader"
)

// Run ends leases while the member leads, until ctx ends.
func Run(ctx context.Context, m Member, s *store.Store) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var w Watch
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			round(ctx, m, s, &w, now)
		}
	}
}

// round ends what is due at the moment.
func round(parent context.Context, m Member, s *store.Store, w *Watch, now time.Time) {
	leases := s.Leases()
	if len(leases) == 0 {
		*w = Watch{}
		return
	}
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	st, err := m.Status(ctx)
	if err != nil || st.State != stateLeader {
		*w = Watch{}
		return
	}
	var running sync.WaitGroup
	for _, c := range w.Due(now, st.Term, leases) {
		running.Go(func() {
			// Whatever comes of it, the lease is still due in the next round if it is still there.
			_, _ = m.Propose(ctx, c)
		})
	}
	running.Wait()
}

// Watch is what one leader knows of the ages of leases.
type Watch struct {
	term uint64
	seen map[uint64]sighting
}

// sighting is when a renewal was first seen.
type sighting struct {
	generation uint64
	at         time.Time
}

// Due returns the commands that end the leases whose TTL has passed at now, some at a time. What was
// seen in another term does not count.
func (w *Watch) Due(now time.Time, term uint64, leases []store.Lease) []store.Command {
	old := w.seen
	if term != w.term {
		old = nil
	}
	w.term, w.seen = term, make(map[uint64]sighting, len(leases))
	var out []store.Command
	for _, x := range leases {
		seen, ok := old[x.ID]
		if !ok || seen.generation != x.Generation {
			seen = sighting{generation: x.Generation, at: now}
		}
		w.seen[x.ID] = seen
		if now.Sub(seen.at) >= x.TTL && len(out) < maxAtATime {
			out = append(out, store.Command{
				Op: store.OpLeaseExpire, Lease: x.ID, Generation: x.Generation, Term: term,
			})
		}
	}
	return out
}
