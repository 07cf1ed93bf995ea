// Package drill torments a cluster of real processes with faults of the network, of processes and of
// disks, while clients write, read and compare-and-swap, and checks afterwards that everything they
// saw fits together and that nothing that was acknowledged is missing.
package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options says what to do.
type Options struct {
	// Binary is the kv program, which is started once for each member and once for its proxies.
	Binary  string
	Members int
	Clients int
	// Rate is the number of requests a second of all clients together.
	Rate int
	For  time.Duration
	// Seed decides which faults come when, and what clients do.
	Seed  uint64
	Kinds []Kind
	// Dir is where members' data, logs and evidence go. It must be empty or not exist. It is removed
	// at the end, unless Keep is set or there is evidence in it.
	Dir  string
	Keep bool
	// Loopback forbids network namespaces.
	Loopback bool
	// Out receives a line for each fault.
	Out io.Writer
}

// violationError is a broken promise of the cluster, as opposed to something the drill cannot do.
type violationError struct{ what string }

// Error implements error.
func (e *violationError) Error() string { return e.what }

func violation(format string, args ...any) error {
	return &violationError{fmt.Sprintf(format, args...)}
}

// ErrViolation is wrapped by the error of Run when the cluster broke a promise.
var ErrViolation = errors.New("violation")

// Run runs a drill. It cleans up after itself in any case. A broken promise is an error that wraps
// ErrViolation, and then the report is there, too.
func Run(ctx context.Context, o Options) (*Report, error) {
	begin := time.Now()
	if err := prepareDir(&o); err != nil {
		return nil, err
	}
	d := &drill{Options: o, report: newReport(o)}
	err := d.run(ctx)
	d.report.Took = time.Since(begin)
	var broken *violationError
	switch {
	case errors.As(err, &broken):
		d.report.Violation = err.Error()
		d.say("VIOLATION: %v", err)
		d.say("evidence is in %s", o.Dir)
		return d.report, fmt.Errorf("%w: %w", ErrViolation, err)
	case ctx.Err() != nil:
		return nil, errors.Join(errors.New("interrupted"), os.RemoveAll(o.Dir))
	case err != nil:
		d.say("the logs are in %s", o.Dir)
		return nil, err
	}
	if !o.Keep {
		err = errors.Join(err, os.RemoveAll(o.Dir))
	}
	return d.report, err
}

func prepareDir(o *Options) (err error) {
	if o.Dir == "" {
		o.Dir, err = os.MkdirTemp("", "kv-drill-")
		return err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(o.Dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", o.Dir)
	}
	return err
}

// drill is one run.
type drill struct {
	Options
	begin   time.Time
	report  *Report
	net     network
	cluster *cluster
	clients *clients
	history *history
	cancel  context.CancelCauseFunc

	saying   sync.Mutex
	checking sync.WaitGroup
	busy     chan struct{} // one check at a time: clients need the processor, too
}

func (d *drill) say(format string, args ...any) {
	d.saying.Lock()
	defer d.saying.Unlock()
	fmt.Fprintf(d.Out, format+"\n", args...)
}

func (d *drill) run(parent context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	d.cancel, d.begin, d.busy = cancel, time.Now(), make(chan struct{}, 1)
	sweep(d.say)
	if err := d.makeNetwork(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.net.close()) }()
	d.cluster = newCluster(d.Options, d.net, func(err error) { cancel(violation("%v", err)) })
	defer func() { err = errors.Join(err, d.end(err)) }()
	err = d.torment(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && parent.Err() == nil {
		err = cause // what made everything else fail
	}
	return err
}

// end ends the processes and takes the file systems away, after it has saved what is on them if
// something went wrong.
func (d *drill) end(err error) error {
	d.cluster.close()
	var failures []error
	for _, s := range d.cluster.slots {
		if s.mounted && (err != nil || d.Keep) {
			failures = append(failures, os.CopyFS(s.dir+"-data", os.DirFS(s.dir)))
		}
		failures = append(failures, s.unmount())
	}
	return errors.Join(failures...)
}

func (d *drill) makeNetwork() error {
	why := "it was asked for"
	if !d.Loopback {
		net, err := newNamespaces(d.Members)
		if err == nil {
			d.net = net
			d.say("network: %s", net.describe())
			return nil
		}
		why = err.Error()
	}
	net, err := newLoopback(d.Members, why)
	if err != nil {
		return err
	}
	d.net = net
	d.say("network: %s", net.describe())
	return nil
}

// torment is the drill itself.
func (d *drill) torment(ctx context.Context) error {
	if !mayPause {
		d.leaveOut(Pause, "this system has no SIGSTOP")
	}
	if err := d.makeSlots(); err != nil {
		return err
	}
	if len(d.Kinds) == 0 {
		return errors.New("no fault is left")
	}
	if err := d.cluster.start(ctx); err != nil {
		return err
	}
	d.say("%d members run, %d clients, %d requests/s, seed %d, data in %s",
		d.Members, d.Clients, d.Rate, d.Seed, d.Dir)
	d.startClients(ctx)
	watch := d.watchLeader(ctx)
	err := d.faults(ctx)
	d.clients.finish()
	d.report.Leaderless = watch()
	d.checking.Wait()
	d.report.count(d.clients)
	if err != nil {
		return err
	}
	return d.verify(ctx)
}

// makeSlots makes the members' places, with small file systems if disks are to be filled.
func (d *drill) makeSlots() error {
	if err := d.cluster.makeSlots(); err != nil {
		return err
	}
	for _, s := range d.cluster.slots {
		if !slices.Contains(d.Kinds, DiskFull) {
			return nil
		}
		if err := s.mount(); err != nil {
			d.leaveOut(DiskFull, err.Error())
		}
	}
	return nil
}

func (d *drill) leaveOut(kind Kind, why string) {
	if i := slices.Index(d.Kinds, kind); i >= 0 {
		d.Kinds = slices.Delete(slices.Clone(d.Kinds), i, i+1)
		d.say("without %s: %s", kind, why)
	}
}

func (d *drill) startClients(ctx context.Context) {
	d.history = newHistory(d.checkRetired)
	d.clients = &clients{
		api: newAPI(d.Clients), history: d.history,
		pause: time.Second * time.Duration(d.Clients) / time.Duration(d.Rate),
	}
	for _, s := range d.cluster.slots {
		d.clients.addresses = append(d.clients.addresses, s.now().HTTP)
	}
	d.clients.start(ctx, d.Clients, d.Seed)
}

// faults brings about one fault after another until the time is over, and returns when the last is
// healed.
func (d *drill) faults(ctx context.Context) error {
	plan := newPlanner(d.Seed, d.Kinds, d.For)
	for {
		st := plan.next()
		if time.Since(d.begin)+st.after+st.length/2 > d.For {
			return d.healed(ctx)
		}
		if err := sleep(ctx, st.after); err != nil {
			return err
		}
		if err := d.fault(ctx, st); err != nil {
			return fmt.Errorf("%s: %w", st.kind, err)
		}
		if err := d.healed(ctx); err != nil {
			return fmt.Errorf("after %s: %w", st.kind, err)
		}
	}
}

// fault lets one fault pass.
func (d *drill) fault(ctx context.Context, st step) error {
	victim := d.choose(ctx, st)
	at, role := time.Since(d.begin), "follower"
	if victim == d.cluster.leader(ctx) {
		role = "leader"
	}
	name := victim.String()
	f, err := d.cluster.inject(ctx, st, victim)
	if errors.Is(err, errNothingWritten) {
		d.say("%6.1fs %-9s left out: %v", at.Seconds(), st.kind, err)
		return nil
	}
	if err != nil {
		return err
	}
	waited := sleep(ctx, st.length)
	// It is healed in any case, so that everything can be taken down.
	healing := time.Now()
	if err := f.heal(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	d.report.fault(st.kind)
	d.say("%6.1fs %-9s %s (%s): %s, for %.1f s, healed in %.1f s", at.Seconds(), st.kind, name, role, f.what,
		st.length.Seconds(), time.Since(healing).Seconds())
	return waited
}

// choose returns the victim of a fault.
func (d *drill) choose(ctx context.Context, st step) *slot {
	leader := d.cluster.leader(ctx)
	if st.leader && leader != nil {
		return leader
	}
	i := st.random.IntN(len(d.cluster.slots))
	if d.cluster.slots[i] == leader {
		i = (i + 1) % len(d.cluster.slots)
	}
	return d.cluster.slots[i]
}

// healed returns when writes are acknowledged again: with all faults gone there is no excuse.
func (d *drill) healed(ctx context.Context) error {
	since := time.Now()
	for d.clients.lastAcknowledged().Before(since) {
		if time.Since(since) > recoverLimit {
			return violation("no write was acknowledged in %v without a fault", recoverLimit)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// watchLeader looks all the time who leads. The returned function ends it, and returns the times
// without a leader that a majority agrees on.
func (d *drill) watchLeader(ctx context.Context) func() gaps {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan gaps, 1)
	go func() {
		var g gaps
		last := time.Now()
		for sleep(ctx, 20*time.Millisecond) == nil {
			if d.cluster.agreed(ctx) == 0 {
				continue
			}
			now := time.Now()
			g.add(now.Sub(last))
			last = now
		}
		result <- g
	}()
	return func() gaps {
		cancel()
		return <-result
	}
}
