package rafttest

import (
	"fmt"
	"strconv"
	"strings"
)

// Shrunk is a failing run made small.
type Shrunk struct {
	Simulation         // what fails, with Keep and Without filled in
	Result     *Result // of it
	Actions    []Action
	Before     int // actions of the run that was shrunk
	Runs       int // how many runs it took
}

// Shrink looks for a smaller schedule under which s fails in the same oracle:
// it leaves out noise of whole kinds and then actions, in ever smaller blocks, in
// at most runs runs. It returns nil if s does not fail.
func (s Simulation) Shrink(runs int) *Shrunk {
	first := s.Run()
	if first.Violation == nil {
		return nil
	}
	sh := &Shrunk{Simulation: s, Result: first, Before: len(first.actions), Runs: 1}
	if s.Keep == nil {
		sh.Keep = make([]int, len(first.actions))
		for i := range sh.Keep {
			sh.Keep[i] = i
		}
	}
	sh.dropLater()
	for _, noise := range []Noise{NoiseDuplicate, NoiseDrop, NoiseDisk, NoiseClock, NoiseJitter} {
		with := sh.Without
		sh.try(sh.Keep, with|noise, runs)
	}
	for block := (len(sh.Keep) + 1) / 2; block >= 1; block /= 2 {
		for at := 0; at < len(sh.Keep) && sh.Runs < runs; {
			if !sh.try(without(sh.Keep, at, block), sh.Without, runs) {
				at += block
			}
		}
	}
	sh.Simulation.Trace = true
	if last := sh.Simulation.Run(); last.Violation != nil {
		sh.Result = last
	}
	for _, i := range sh.Keep {
		sh.Actions = append(sh.Actions, first.actions[i])
	}
	return sh
}

// dropLater leaves out the actions after the violation.
func (sh *Shrunk) dropLater() {
	var kept []int
	for _, i := range sh.Keep {
		if sh.Result.actions[i].Micros <= sh.Result.Violation.Micros {
			kept = append(kept, i)
		}
	}
	sh.try(kept, sh.Without, 1<<30)
}

// try runs a smaller schedule and takes it if it fails in the same oracle.
func (sh *Shrunk) try(keep []int, noise Noise, runs int) bool {
	if sh.Runs >= runs {
		return false
	}
	sh.Runs++
	s := sh.Simulation
	s.Keep, s.Without = keep, noise
	if s.Keep == nil {
		s.Keep = []int{}
	}
	res := s.Run()
	if res.Violation == nil || res.Violation.Oracle != sh.Result.Violation.Oracle {
		return false
	}
	sh.Simulation, sh.Result = s, res
	return true
}

func without(list []int, at, n int) []int {
	shorter := append([]int{}, list[:at]...)
	return append(shorter, list[min(at+n, len(list)):]...)
}

// Report says what failed, how to repeat it and what was left of the schedule.
func (sh *Shrunk) Report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", sh.Result.Violation.Error())
	fmt.Fprintf(&b, "seed %d, profile %s, %d members; %d of %d actions left after %d runs, %d events\n",
		sh.Seed, sh.Result.Profile, membersOrDefault(sh.Members), len(sh.Actions), sh.Before, sh.Runs, sh.Result.Events)
	fmt.Fprintf(&b, "repeat with: %s\n", sh.Command())
	for _, a := range sh.Actions {
		fmt.Fprintf(&b, "  %9.3f s  %s", float64(a.Micros)/1e6, a.Kind)
		if a.Length > 0 {
			fmt.Fprintf(&b, " for %.3f s", float64(a.Length)/1e6)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Command returns the command line that repeats the run, for simulations that
// raftsim can make: those without factories of their own.
func (s Simulation) Command() string {
	line := fmt.Sprintf("go run ./rafttest/cmd/raftsim -seed %d -profile %s -members %d",
		s.Seed, profileName(s.Profile), membersOrDefault(s.Members))
	if s.Keep != nil {
		line += " -keep " + FormatKeep(s.Keep)
	}
	if s.Without != 0 {
		line += " -without " + s.Without.String()
	}
	return line
}

func membersOrDefault(n int) int {
	if n == 0 {
		return 3
	}
	return n
}

func profileName(p Profile) string {
	if p.Name == "" {
		return Chaos().Name
	}
	return p.Name
}

// FormatKeep writes positions as in "0-4,9"; "none" if there are none.
func FormatKeep(keep []int) string {
	if len(keep) == 0 {
		return "none"
	}
	var parts []string
	for i := 0; i < len(keep); {
		j := i
		for j+1 < len(keep) && keep[j+1] == keep[j]+1 {
			j++
		}
		part := strconv.Itoa(keep[i])
		if j > i {
			part += "-" + strconv.Itoa(keep[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// ParseKeep reads what FormatKeep writes.
func ParseKeep(text string) ([]int, error) {
	keep := []int{}
	if text == "none" {
		return keep, nil
	}
	for _, part := range strings.Split(text, ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		if !isRange {
			hi = lo
		}
		from, err1 := strconv.Atoi(lo)
		to, err2 := strconv.Atoi(hi)
		if err1 != nil || err2 != nil || to < from {
			return nil, fmt.Errorf("%q is not a position or a range such as 3-9", part)
		}
		for i := from; i <= to; i++ {
			keep = append(keep, i)
		}
	}
	return keep, nil
}

// String lists the kinds in n, separated by commas.
func (n Noise) String() string {
	var names []string
	for bit := Noise(1); bit <= NoiseClock; bit <<= 1 {
		if n&bit != 0 {
			names = append(names, noiseNames[bit])
		}
	}
	return strings.Join(names, ",")
}

// ParseNoise reads what Noise.String writes.
func ParseNoise(text string) (Noise, error) {
	var n Noise
	if text == "" {
		return 0, nil
	}
next:
	for _, name := range strings.Split(text, ",") {
		for bit, known := range noiseNames {
			if known == name {
				n |= bit
				continue next
			}
		}
		return 0, fmt.Errorf("unknown kind of noise %q", name)
	}
	return n, nil
}
