package rafttest

import "sort"

// Profile says what goes wrong in a run and how often. Rates are how many
// actions of a kind a run has on average; chances are probabilities between 0
// and 1; times are in microseconds of virtual time, unless in ticks.
type Profile struct {
	Name string

	Ticks      int     // how long faults go on, in ticks of TickMicros
	Operations float64 // client calls
	ReadChance float64 // part of the calls that read

	// Network.
	DelayMicros     int64 // typical time a message takes
	DropChance      float64
	DuplicateChance float64
	SlowChance      float64 // a message takes up to SlowMicros longer
	SlowMicros      int64
	Partitions      float64 // cuts of all kinds
	SlowLinks       float64 // a link is slow for a while

	// Disks.
	WriteMicros, SyncMicros int64 // typical times
	StallChance             float64
	SlowApplyChance         float64 // applying takes up to 30 ticks, where the host allows it
	WriteFailures           float64 // a write fails and ends the process
	LyingSyncs              float64 // chance that a sync only says so
	Compactions             float64 // snapshots of the own state machine

	// Clocks.
	Drift  float64 // largest deviation of a clock's speed
	Pauses float64 // a process stops and wakes up later
	// CatchUp gives a member that wakes all ticks it missed before anything else.
	// Without it there is one, as with a Go ticker.
	CatchUp bool

	// Members.
	Crashes     float64
	ConfChanges float64
	Transfers   float64 // and campaigns and forgotten leaders

	// LeaseReads turns ReadOnlyLeaseBased on.
	LeaseReads bool
	// Breaks lists the oracles that are to fire now and then, because the profile
	// breaks on purpose what Raft needs of a disk or of clocks.
	Breaks []Oracle
}

// Allows reports whether the profile breaks what oracle stands for on purpose.
func (p *Profile) Allows(oracle Oracle) bool {
	for _, broken := range p.Breaks {
		if broken == oracle {
			return true
		}
	}
	return false
}

// TickMicros is the length of a true tick of virtual time, in microseconds.
const TickMicros = 10_000

// Calm has nothing going wrong: for measuring, and as a base for own profiles.
func Calm() Profile {
	return Profile{
		Name: "calm", Ticks: 300, Operations: 180, ReadChance: 0.3,
		DelayMicros: 800, SlowMicros: 16_000, WriteMicros: 150, SyncMicros: 700, Compactions: 2, CatchUp: true,
	}
}

// profiles makes the named profiles out of Calm.
var profiles = map[string]func(*Profile){
	"calm": func(*Profile) {},
	"network": func(p *Profile) {
		p.DropChance, p.DuplicateChance, p.SlowChance = 0.03, 0.03, 0.05
		p.Partitions, p.SlowLinks = 5, 3
		p.Transfers = 1
	},
	"disk": func(p *Profile) {
		p.StallChance, p.WriteFailures, p.Crashes, p.Compactions = 0.03, 2, 4, 5
	},
	"crash": func(p *Profile) {
		p.Crashes, p.Compactions, p.DropChance = 10, 4, 0.005
	},
	"clock": func(p *Profile) {
		p.Drift, p.Pauses, p.CatchUp = 0.3, 6, false
		p.Transfers = 1
	},
	"membership": func(p *Profile) {
		p.ConfChanges, p.Crashes, p.Partitions, p.Transfers, p.Compactions = 14, 1, 1, 2, 4
		p.SlowApplyChance = 0.005
	},
	// rejoin lets late messages of members that were removed meet those that came
	// back under the same ID.
	"rejoin": func(p *Profile) {
		p.ConfChanges, p.Compactions, p.SlowApplyChance = 40, 4, 0.01
		p.SlowChance, p.SlowMicros, p.DuplicateChance = 0.15, 400_000, 0.05
	},
	"chaos": func(p *Profile) {
		p.DropChance, p.DuplicateChance, p.SlowChance = 0.01, 0.02, 0.03
		p.Partitions, p.SlowLinks = 3, 1
		p.StallChance, p.WriteFailures, p.Compactions = 0.01, 1, 4
		p.Drift, p.Pauses, p.CatchUp = 0.1, 2, false
		p.Crashes, p.ConfChanges, p.Transfers = 4, 6, 1.5
		p.SlowApplyChance = 0.001
	},
	"lease": func(p *Profile) {
		leaseBase(p)
		p.CatchUp, p.Drift = true, 0.04
	},
	"lease-broken": func(p *Profile) {
		leaseBase(p)
		p.CatchUp, p.Drift, p.Pauses = false, 0.5, 12
		p.Breaks = []Oracle{OracleReadIndex, OracleLinearizable}
	},
	"lying-disk": func(p *Profile) {
		p.LyingSyncs, p.Crashes, p.Compactions = 0.3, 10, 4
		p.Breaks = []Oracle{OracleElection, OracleLogMatching, OracleCompleteness,
			OracleStateMachine, OracleCommit, OracleReadIndex, OracleLinearizable, OracleLiveness}
	},
}

// leaseBase has what tells a stale lease from a good one: cut-off and paused
// leaders, and many reads.
func leaseBase(p *Profile) {
	p.LeaseReads, p.ReadChance, p.Operations = true, 0.6, 220
	p.Partitions, p.Pauses, p.Crashes, p.Transfers = 4, 4, 1, 2
	p.ConfChanges, p.SlowChance = 2, 0.03
}

// Chaos has a little of everything. It is the default.
func Chaos() Profile { p, _ := ProfileNamed("chaos"); return p }

// ProfileNamed returns the profile of that name and reports whether there is
// one.
func ProfileNamed(name string) (Profile, bool) {
	shape, ok := profiles[name]
	if !ok {
		return Profile{}, false
	}
	p := Calm()
	shape(&p)
	p.Name = name
	return p, true
}

// ProfileNames lists the named profiles in alphabetical order.
func ProfileNames() []string {
	names := make([]string, 0, len(profiles))
	for name := range profiles {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
