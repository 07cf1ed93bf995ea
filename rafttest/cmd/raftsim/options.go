package main

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"time"

	"quorate.example/raft/rafttest"
)

// options is the command line.
type options struct {
	seeds    uint64
	from     uint64
	oneSeed  bool
	seed     uint64
	duration time.Duration
	members  int
	profiles []rafttest.Profile
	keep     []int
	without  rafttest.Noise
	timeline string
	workers  int
	shrink   int
	quiet    bool
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("raftsim", flag.ContinueOnError)
	fs.Uint64Var(&o.seeds, "seeds", 1000, "how many seeds to run")
	fs.Uint64Var(&o.from, "from", 1, "the first of them")
	seed := fs.Int64("seed", -1, "run this seed only, and say what it did")
	fs.DurationVar(&o.duration, "for", 0, "run for this long instead of a number of seeds")
	fs.IntVar(&o.members, "members", 3, "members to start with; 0 varies from 1 to 5")
	profile := fs.String("profile", "chaos",
		"what goes wrong: all, or some of "+strings.Join(rafttest.ProfileNames(), ","))
	keep := fs.String("keep", "", "the actions of the schedule that happen, such as 0-4,9")
	without := fs.String("without", "", "noise to leave out: drop,duplicate,jitter,disk,clock")
	fs.StringVar(&o.timeline, "timeline", "", "write a timeline of the run to this HTML file")
	fs.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "runs at the same time")
	fs.IntVar(&o.shrink, "shrink", 400, "runs to spend on shrinking a failure")
	fs.BoolVar(&o.quiet, "quiet", false, "no progress line")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", fs.Arg(0))
	}
	if *seed >= 0 {
		o.oneSeed, o.seed = true, uint64(*seed)
	}
	return o, o.resolve(*profile, *keep, *without)
}

func (o *options) resolve(profile, keep, without string) error {
	if o.members < 0 || o.members > 9 {
		return fmt.Errorf("-members is %d; allowed: 0 to 9", o.members)
	}
	names := strings.Split(profile, ",")
	if profile == "all" {
		names = rafttest.ProfileNames()
	}
	for _, name := range names {
		p, ok := rafttest.ProfileNamed(name)
		if !ok {
			return fmt.Errorf("unknown profile %q; there are %s", name,
				strings.Join(rafttest.ProfileNames(), ", "))
		}
		o.profiles = append(o.profiles, p)
	}
	var err error
	if keep != "" {
		if o.keep, err = rafttest.ParseKeep(keep); err != nil {
			return err
		}
	}
	o.without, err = rafttest.ParseNoise(without)
	return err
}

// simulation returns the run of a seed. Seeds take turns with the profiles.
func (o *options) simulation(seed uint64) rafttest.Simulation {
	members := o.members
	if members == 0 {
		members = 1 + int(seed/uint64(len(o.profiles))%5)
	}
	return rafttest.Simulation{
		Seed:    seed,
		Members: members,
		Profile: o.profiles[seed%uint64(len(o.profiles))],
		Keep:    o.keep,
		Without: o.without,
	}
}
