package drill

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The faults that a drill knows.
const (
	Partition Kind = "partition" // two groups of members, with nothing between them
	OneWay    Kind = "one-way"   // a member is heard by nobody, or hears nobody
	Pair      Kind = "pair"      // two members lose each other, and nobody else
	Delay     Kind = "delay"     // what a member sends and receives is late
	Throttle  Kind = "throttle"  // there is little bandwidth to and from a member
	Reset     Kind = "reset"     // a member's connections are reset again and again
	Kill      Kind = "kill"      // SIGKILL, and a restart
	Pause     Kind = "pause"     // SIGSTOP, and SIGCONT
	DiskFull  Kind = "disk-full" // there is no room left where a member writes
	Corrupt   Kind = "corrupt"   // a byte in the log of a stopped member changes
)

// Kinds returns all of them.
func Kinds() []Kind {
	return []Kind{Partition, OneWay, Pair, Delay, Throttle, Reset, Kill, Pause, DiskFull, Corrupt}
}

// ParseKinds reads a list of kinds with commas; "all" and "" are all of them.
func ParseKinds(list string) ([]Kind, error) {
	if list == "" || list == "all" {
		return Kinds(), nil
	}
	var out []Kind
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(Kinds(), Kind(name)) {
			return nil, fmt.Errorf("there is no fault %q, only %v", name, Kinds())
		}
		out = append(out, Kind(name))
	}
	return out, nil
}

// step is one fault of a plan.
type step struct {
	kind Kind
	// after is the calm before it, length how long it lasts.
	after, length time.Duration
	// leader says that it hits the leader, else it hits some other member.
	leader bool
	// random decides what else is left open, such as how strong it is.
	random *rand.Rand
}

// planner deals out faults. The same seed, kinds and time give the same faults.
type planner struct {
	random *rand.Rand
	kinds  []Kind
	deck   []Kind
	unit   time.Duration
}

const (
	shortest = time.Second
	longest  = 6 * time.Second
)

// newPlanner plans so that each kind has its turn, if the whole time allows it.
func newPlanner(seed uint64, kinds []Kind, total time.Duration) *planner {
	unit := total / time.Duration(3*len(kinds))
	return &planner{
		random: rand.New(rand.NewPCG(seed, seed)),
		kinds:  kinds,
		unit:   min(max(unit, shortest), longest),
	}
}

// next returns the next fault. No kind comes again before all others have had their turn.
func (p *planner) next() step {
	if len(p.deck) == 0 {
		p.deck = slices.Clone(p.kinds)
		p.random.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	kind := p.deck[0]
	p.deck = p.deck[1:]
	return step{
		kind:   kind,
		after:  p.part(0.2, 0.5),
		length: p.part(0.6, 1.2),
		leader: p.random.IntN(2) == 0,
		random: rand.New(rand.NewPCG(p.random.Uint64(), 1)),
	}
}

// part returns a share of the unit between low and high.
func (p *planner) part(low, high float64) time.Duration {
	return time.Duration((low + (high-low)*p.random.Float64()) * float64(p.unit))
}
