package lockstep

import (
	"fmt"
	"math"
	"strings"

	"quorate.example/raft/compat/host"
)

// Case is one pair of clusters and how they are treated.
type Case struct {
	Seed      uint64
	Members   int // IDs 1 to Members have a host
	Voters    int // the first of them are voters at the start
	Learners  int // those after them learners; the rest are blank and may be added
	Lazy      bool
	Bootstrap bool // start by Bootstrap, else from a snapshot
	Toggle    bool // switches change at a restart
	Length    int
	Weights   [numKinds]int
	Options   []host.Options
	Default   bool
	calm      bool // few members have a quota, check their quorum or read from a lease
}

// weights of the operations; a case scales each at random.
var weights = [numKinds]int{
	Deliver: 900, Drop: 25, Dup: 12, Replay: 8, Partition: 8, Heal: 10,
	Tick: 110, TickQuiesced: 6, Campaign: 14, Propose: 80, ProposeBatch: 12, ProposeConf: 24,
	ReadIndex: 36, Transfer: 10, ForgetLeader: 4, ReportSnapshot: 12, ReportUnreachable: 6,
	Snapshot: 30, Compact: 40, NoSnapshot: 2, Crash: 6, Restart: 12,
	Pump: 160, Drain: 60, Thread: 260, StepLocal: 1, StepStranger: 1,
}

// NewCase makes the case of a seed. Default mode is for hosts that drain after each input.
func NewCase(seed uint64, defaultMode bool) *Case {
	r := &rng{s: seed}
	c := &Case{Seed: seed, Default: defaultMode}
	c.Members = pick(r, 1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7)
	c.Voters = c.Members
	if c.Members > 1 && r.chance(2, 5) {
		c.Voters = 1 + r.n(c.Members)
		if rest := c.Members - c.Voters; rest > 0 {
			c.Learners = r.n(rest + 1)
		}
	}
	c.Lazy = !defaultMode && r.chance(1, 2)
	c.Bootstrap = c.Learners == 0 && r.chance(1, 3)
	c.Toggle = r.chance(1, 4)
	c.Length = 200 + r.n(900)
	async := r.chance(1, 2)
	for k, w := range weights {
		c.Weights[k] = w * pick(r, 0, 1, 1, 1, 2, 4) // some kinds not at all, some often
	}
	c.Weights[Deliver] = weights[Deliver]
	c.Weights[Tick] = max(c.Weights[Tick], weights[Tick]/2)
	c.Weights[Restart] = max(c.Weights[Restart], weights[Restart])
	c.Weights[Heal] = max(c.Weights[Heal], weights[Heal])
	if !c.Lazy {
		c.Weights[Pump], c.Weights[Drain] = 0, 0
	} else {
		c.Weights[Pump] = max(c.Weights[Pump], weights[Pump])
	}
	c.Weights[Thread] = max(c.Weights[Thread], weights[Thread])
	if !async && !c.Toggle {
		c.Weights[Thread] = 0
	}
	if defaultMode {
		c.tame(r)
	}
	base := c.options(r, async)
	base.QuietVotes = c.calm && !r.chance(1, 12)
	mixed := r.chance(1, 5)
	for id := 1; id <= c.Members; id++ {
		o := base
		if mixed {
			o = c.options(r, async)
			o.ElectionTick, o.HeartbeatTick = base.ElectionTick, base.HeartbeatTick
			o.QuietVotes = base.QuietVotes
		}
		o.ID = uint64(id)
		c.Options = append(c.Options, o)
	}
	return c
}

// tame makes rare what differs on purpose, so that a case seldom ends early for it.
func (c *Case) tame(r *rng) {
	c.Weights[Campaign] = pick(r, 0, 0, 0, weights[Campaign]/2)
	c.Weights[Transfer] /= 2
	c.Weights[ProposeConf] /= 2
	c.Weights[ReadIndex] = (c.Weights[ReadIndex] + 1) / 2
	if c.Voters <= 2 {
		c.Weights[ReadIndex] = pick(r, 0, c.Weights[ReadIndex]/12)
	}
	c.calm = true
}

func (c *Case) options(r *rng, async bool) host.Options {
	o := host.Options{
		ElectionTick:                2 + r.n(10),
		HeartbeatTick:               1,
		Async:                       async,
		MaxSizePerMsg:               pick[uint64](r, 0, 1, 64, 400, 4096, 1<<20, math.MaxUint64),
		MaxCommittedSizePerReady:    pick[uint64](r, 0, 0, 1, 100, 2000, math.MaxUint64),
		MaxUncommittedEntriesSize:   pick[uint64](r, 0, 0, 0, 64, 1000, 1<<17),
		MaxInflightMsgs:             pick(r, 1, 2, 3, 4, 16, 256),
		CheckQuorum:                 r.chance(1, 2),
		PreVote:                     r.chance(1, 2),
		DisableProposalForwarding:   r.chance(1, 8),
		DisableConfChangeValidation: r.chance(1, 40),
		StepDownOnRemoval:           r.chance(1, 3),
	}
	if o.ElectionTick > 3 {
		o.HeartbeatTick = 1 + r.n(min(3, o.ElectionTick-1))
	}
	if o.MaxSizePerMsg == 0 && o.MaxCommittedSizePerReady == 0 {
		o.MaxCommittedSizePerReady = 500 // v3.6.0 panics when both are zero (B65)
	}
	if o.MaxSizePerMsg < 1<<20 {
		o.MaxInflightBytes = pick[uint64](r, 0, 0, o.MaxSizePerMsg, 2*o.MaxSizePerMsg+100, 1<<16)
		o.MaxInflightBytes = zeroOr(o.MaxInflightBytes, o.MaxSizePerMsg)
	}
	if c.calm && r.chance(3, 4) {
		o.MaxUncommittedEntriesSize = 0
	}
	if c.calm && r.chance(3, 4) {
		o.CheckQuorum = false
	}
	if c.calm && r.chance(1, 2) {
		o.DisableProposalForwarding, o.StepDownOnRemoval = true, false
	}
	o.LeaseReads = o.CheckQuorum && r.chance(1, 4) && (!c.calm || r.chance(1, 4))
	return o
}

// zeroOr returns v, or zero if it is below least.
func zeroOr(v, least uint64) uint64 {
	if v < least {
		return 0
	}
	return v
}

// manyReads reports whether a leader may have several reads waiting; see the package comment.
func (c *Case) manyReads() bool { return c.Voters <= 3 && c.Weights[ProposeConf] == 0 && !c.Bootstrap }

// Schedule returns the operations of the case: a first election, then what the weights say.
func (c *Case) Schedule() []Op {
	r := &rng{s: scramble(c.Seed ^ 0x5eed)}
	ops := make([]Op, 0, c.Length)
	add := func(k Kind) {
		ops = append(ops, Op{Kind: k, A: uint32(r.next()), B: uint32(r.next()), C: uint32(r.next()), Salt: r.next()})
	}
	if r.chance(3, 4) {
		add(Campaign)
		for i := 0; i < 4*c.Members; i++ {
			if c.Lazy {
				add(Drain)
			}
			add(Deliver)
			if c.Weights[Thread] > 0 {
				add(Thread)
			}
		}
	}
	total := 0
	for _, w := range c.Weights {
		total += w
	}
	for len(ops) < c.Length {
		x := r.n(total)
		for k, w := range c.Weights {
			if x -= w; x < 0 {
				add(Kind(k))
				break
			}
		}
	}
	return ops
}

func (c *Case) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "case %d: %d members, %d voters, %d learners, lazy=%t bootstrap=%t toggle=%t manyReads=%t\n",
		c.Seed, c.Members, c.Voters, c.Learners, c.Lazy, c.Bootstrap, c.Toggle, c.manyReads())
	last := ""
	for i := range c.Options {
		if d := describe(&c.Options[i]); d != last {
			fmt.Fprintf(&b, "  from member %d: %s\n", i+1, d)
			last = d
		}
	}
	return b.String()
}

func describe(o *host.Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ticks %d/%d size %d/%d/%d inflight %d/%d", o.ElectionTick, o.HeartbeatTick,
		o.MaxSizePerMsg, o.MaxCommittedSizePerReady, o.MaxUncommittedEntriesSize, o.MaxInflightMsgs, o.MaxInflightBytes)
	for _, f := range []struct {
		on   bool
		name string
	}{
		{o.Async, "async"}, {o.CheckQuorum, "CheckQuorum"}, {o.PreVote, "PreVote"}, {o.LeaseReads, "lease"},
		{o.DisableProposalForwarding, "no-forwarding"}, {o.DisableConfChangeValidation, "no-validation"},
		{o.StepDownOnRemoval, "step-down"},
	} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	return b.String()
}
