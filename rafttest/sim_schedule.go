package rafttest

import "sort"

// ActionKind says what an Action does.
type ActionKind uint8

// The kinds of actions.
const (
	ActCall       ActionKind = iota // a client calls a member
	ActCrash                        // a process ends
	ActTrap                         // a process ends when it next comes to some step
	ActCut                          // links are cut for a while
	ActSlow                         // a link is slow for a while
	ActPause                        // a process does nothing for a while
	ActFailWrite                    // the next write of a disk fails
	ActCompact                      // a member saves its state machine and shortens its log
	ActConfChange                   // the leader is asked for a configuration change
	ActTransfer                     // leadership is to move, somehow
)

var actionNames = [...]string{
	"call", "crash", "trap", "cut", "slow", "pause", "fail-write", "compact", "conf-change", "transfer",
}

// String returns the kind's name.
func (k ActionKind) String() string { return actionNames[k] }

// Action is one thing that the schedule does to the world.
type Action struct {
	Kind   ActionKind
	Micros int64  // when
	Length int64  // microseconds until it is undone, for those that are
	Pick   uint64 // decides whom it hits and how
}

// drawSchedule makes the schedule of a run out of its seed. Each rate varies
// from run to run between nothing and twice the profile's, so that runs differ in
// what is wrong with them and not only in when.
func drawSchedule(p *Profile, seed uint64) []Action {
	src := newSource(seed, streamSchedule, 0, 0)
	end := int64(p.Ticks) * TickMicros
	var actions []Action
	add := func(kind ActionKind, rate float64, minTicks, maxTicks int64) {
		for n := drawCount(src, rate); n > 0; n-- {
			actions = append(actions, Action{
				Kind:   kind,
				Micros: src.between(0, end),
				Length: src.between(minTicks*TickMicros, maxTicks*TickMicros),
				Pick:   src.Uint64(),
			})
		}
	}
	add(ActCrash, p.Crashes/2, 1, 60)
	add(ActTrap, p.Crashes/2, 1, 60)
	add(ActCut, p.Partitions, 2, 60)
	add(ActSlow, p.SlowLinks, 5, 60)
	add(ActPause, p.Pauses, 2, 40)
	add(ActFailWrite, p.WriteFailures, 1, 30)
	add(ActCompact, p.Compactions, 0, 0)
	add(ActConfChange, p.ConfChanges, 0, 0)
	add(ActTransfer, p.Transfers, 0, 0)
	for n := int(p.Operations); n > 0; n-- {
		actions = append(actions, Action{
			Kind: ActCall, Micros: src.between(0, end), Pick: src.Uint64(),
		})
	}
	sort.SliceStable(actions, func(i, j int) bool { return actions[i].Micros < actions[j].Micros })
	return actions
}

// drawCount returns a number between 0 and twice rate, rate on average.
func drawCount(src *source, rate float64) int {
	if rate <= 0 {
		return 0
	}
	x := rate * 2 * float64(src.Uint64()>>11) / (1 << 53)
	n := int(x)
	if src.chance(x - float64(n)) {
		n++
	}
	return n
}
