package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	toxics "github.com/Shopify/toxiproxy/v2/client"

	"quorate.example/raft/examples/kv/internal/local"
)

// fault is a fault in force. heal takes it back; what says in words what it is.
type fault struct {
	what string
	heal func(context.Context) error
}

// inject brings a fault about on some member.
func (c *cluster) inject(ctx context.Context, st step, victim *slot) (fault, error) {
	switch st.kind {
	case Partition, OneWay, Pair:
		return c.injectCut(st, victim)
	case Delay:
		late := 20 + st.random.Int64N(150)
		return c.injectToxic(victim, fmt.Sprintf("%d ms delay", late), "latency",
			toxics.Attributes{"latency": late, "jitter": late / 2})
	case Throttle:
		rate := 4 + st.random.Int64N(60) // kilobytes a second
		return c.injectToxic(victim, fmt.Sprintf("%d kB/s", rate), "bandwidth", toxics.Attributes{"rate": rate})
	case Reset:
		return c.injectResets(ctx, victim)
	case Kill:
		over := victim.expectEnd()
		victim.now().Kill()
		return fault{"SIGKILL", func(ctx context.Context) error {
			over()
			return errors.Join(c.launch(victim), c.waitReady(ctx, victim))
		}}, nil
	case Pause:
		err := victim.now().Signal(signalStop)
		return fault{"SIGSTOP", func(context.Context) error { return victim.now().Signal(signalContinue) }}, err
	case DiskFull:
		return c.injectFullDisk(victim)
	case Corrupt:
		return c.injectDamage(ctx, victim, st.random)
	}
	return fault{}, fmt.Errorf("there is no fault %q", st.kind)
}

// link is one direction between two slots.
type link struct{ from, to int }

// injectCut loses everything on some links.
func (c *cluster) injectCut(st step, victim *slot) (fault, error) {
	links, what := cutLinks(st, victim.index, len(c.slots))
	for i, l := range links {
		if err := c.cut(l); err != nil {
			return fault{}, errors.Join(err, c.mend(links[:i]))
		}
	}
	return fault{what, func(context.Context) error { return c.mend(links) }}, nil
}

// cutLinks decides which links a partition takes away from a victim.
func cutLinks(st step, victim, n int) (links []link, what string) {
	others := make([]int, 0, n)
	for j := range n {
		if j != victim {
			others = append(others, j)
		}
	}
	st.random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	switch st.kind {
	case OneWay:
		deaf := st.random.IntN(2) == 0
		for _, j := range others {
			if deaf {
				links = append(links, link{j, victim})
			} else {
				links = append(links, link{victim, j})
			}
		}
		if deaf {
			return links, "it hears nobody"
		}
		return links, "nobody hears it"
	case Pair:
		j := others[0]
		return []link{{victim, j}, {j, victim}}, fmt.Sprintf("no link to slot %d", j+1)
	}
	// The victim is alone, or in a group with some others that is still a minority.
	size := 1 + st.random.IntN((n-1)/2)
	group, rest := append([]int{victim}, others[:size-1]...), others[size-1:]
	for _, a := range group {
		for _, b := range rest {
			links = append(links, link{a, b}, link{b, a})
		}
	}
	return links, fmt.Sprintf("%d of %d members cut off", size, n)
}

const (
	cutUp   = "cut-up"
	cutDown = "cut-down"
)

// cut loses what goes over a link. Where packets cannot be lost, the proxies swallow it: both what the
// sender says on its own connection and what it answers on the receiver's.
func (c *cluster) cut(l link) error {
	if cutter := c.net.cutter(); cutter != nil {
		return cutter.cut(l.from, l.to)
	}
	silence := toxics.Attributes{"timeout": 0}
	return errors.Join(
		c.slots[l.from].proxies.add(l.to, cutUp, "timeout", upstream, silence),
		c.slots[l.to].proxies.add(l.from, cutDown, "timeout", downstream, silence))
}

func (c *cluster) mend(links []link) error {
	var failures []error
	for _, l := range links {
		if cutter := c.net.cutter(); cutter != nil {
			failures = append(failures, cutter.mend(l.from, l.to))
			continue
		}
		failures = append(failures,
			c.slots[l.from].proxies.remove(l.to, cutUp), c.slots[l.to].proxies.remove(l.from, cutDown))
	}
	return errors.Join(failures...)
}

// injectToxic puts a toxic on all connections to and from a victim, in both directions.
func (c *cluster) injectToxic(victim *slot, what, kind string, a toxics.Attributes) (fault, error) {
	heal := func(context.Context) error { return c.removeToxic(victim, kind) }
	for _, s := range c.slots {
		if s == victim {
			continue
		}
		for _, direction := range []string{upstream, downstream} {
			name := kind + "-" + direction
			if err := errors.Join(
				victim.proxies.add(s.index, name, kind, direction, a),
				s.proxies.add(victim.index, name, kind, direction, a),
			); err != nil {
				return fault{}, err
			}
		}
	}
	return fault{what, heal}, nil
}

func (c *cluster) removeToxic(victim *slot, kind string) error {
	var failures []error
	for _, s := range c.slots {
		if s == victim {
			continue
		}
		for _, direction := range []string{upstream, downstream} {
			name := kind + "-" + direction
			failures = append(failures,
				victim.proxies.remove(s.index, name), s.proxies.remove(victim.index, name))
		}
	}
	return errors.Join(failures...)
}

// The rhythm of resets: long enough between two of them to connect and to send something.
const (
	resetEvery = 300 * time.Millisecond
	resetFor   = 30 * time.Millisecond
)

// injectResets resets all connections of a victim again and again.
func (c *cluster) injectResets(ctx context.Context, victim *slot) (fault, error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		for {
			f, err := c.injectToxic(victim, "", "reset_peer", toxics.Attributes{"timeout": 0})
			if err == nil {
				_ = sleep(ctx, resetFor) // the toxic goes in any case
				err = f.heal(ctx)
			}
			if err != nil {
				ended <- err
				return
			}
			if sleep(ctx, resetEvery) != nil {
				ended <- nil
				return
			}
		}
	}()
	return fault{"connections reset three times a second", func(context.Context) error {
		cancel()
		return <-ended
	}}, nil
}

// injectFullDisk fills a victim's file system. What the member makes of it is its own affair, as long
// as it is sound when there is room again; if it ended, it is started again.
func (c *cluster) injectFullDisk(victim *slot) (fault, error) {
	over := victim.expectEnd()
	if err := fill(victim.dir); err != nil {
		over()
		return fault{}, err
	}
	return fault{"no room on its disk", func(ctx context.Context) error {
		defer over()
		if err := empty(victim.dir); err != nil {
			return err
		}
		victim.now().Kill() // it may be alive, and about to end
		return errors.Join(c.launch(victim), c.waitReady(ctx, victim))
	}}, nil
}

// refuseLimit is how long a member may take to find out that its log is damaged.
const refuseLimit = 20 * time.Second

// injectDamage changes a byte of a stopped member's log. The member must refuse to start with it; then
// it is replaced. Starting as if nothing had happened would be a violation.
func (c *cluster) injectDamage(ctx context.Context, victim *slot, random *rand.Rand) (fault, error) {
	over := victim.expectEnd()
	m := victim.now()
	m.Kill()
	where, err := damage(m.Data, random)
	if err != nil {
		over()
		return fault{}, errors.Join(err, c.launch(victim), c.waitReady(ctx, victim))
	}
	if err := c.launch(victim); err != nil {
		return fault{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, refuseLimit)
	defer cancel()
	var st local.Status
	err = local.Until(ctx, func() bool {
		if !m.Running() {
			return true
		}
		st, _ = local.FetchStatus(ctx, c.api.http, m.HTTP)
		return st.ID != 0
	})
	if err != nil || m.Running() {
		return fault{}, violation("%s runs although its log is damaged (%s)", m, where)
	}
	what := fmt.Sprintf("%s changed; it refused to start: %s", where, lastLine(victim.log))
	return fault{what, func(ctx context.Context) error {
		defer over()
		return c.replace(ctx, victim)
	}}, nil
}
