package lockstep

import (
	"fmt"
	"strings"
	"time"
)

// Result adds up what cases did.
type Result struct {
	Cases, Ops int
	ReadLeaks  int
	RefPanics  map[string]int
	Explained  map[string]int // cases that ended at a listed difference
	Passed     map[string]int // listed differences that did not end a case
	Kinds      [numKinds]int
	Sent       map[string]int // messages of the reference by type
	Failure    *Failure
	Classes    map[string]*Class // of the failures, if all are wanted
}

// Class is the failures that look alike.
type Class struct {
	Count int
	Seed  uint64 // of the shortest
	Ops   int
}

// Failure is a difference that nothing explains.
type Failure struct {
	Case  *Case
	Ops   []Op
	At    int    // the operation that showed it
	Diff  string // lines of the reference (-) and of this library (+)
	Trace string
}

func (f *Failure) String() string {
	return fmt.Sprintf("%sschedule (%d operations):\n%s\ndifference (- reference, + ours):\n%s",
		f.Case, len(f.Ops), f.Trace, f.Diff)
}

func NewResult() *Result {
	return &Result{RefPanics: map[string]int{}, Explained: map[string]int{}, Passed: map[string]int{}, Sent: map[string]int{}}
}

// Run runs the cases with seeds from first on until ops operations are done or one fails.
func Run(libs Libraries, first uint64, ops int) *Result {
	return run(libs, first, ops, NewResult())
}

// RunAll is Run that goes on after a failure and sorts them into classes.
func RunAll(libs Libraries, first uint64, ops int) *Result {
	res := NewResult()
	res.Classes = map[string]*Class{}
	return run(libs, first, ops, res)
}

func run(libs Libraries, first uint64, ops int, res *Result) *Result {
	for seed := first; res.Ops < ops && res.Failure == nil; seed++ {
		c := NewCase(seed, libs.Default)
		runCase(libs, c, c.Schedule(), res)
	}
	return res
}

func runCase(libs Libraries, c *Case, ops []Op, res *Result) {
	res.Cases++
	p := newPair(c, libs)
	end := p.start(libs)
	at := -1
	for i := range ops {
		if end.Over() {
			break
		}
		var a *Action
		if a, end = p.step(libs, ops[i]); a != nil {
			res.Ops++
			res.Kinds[a.Kind]++
			at = i
		}
		for _, id := range p.passed {
			res.Passed[id]++
		}
		for i := range p.refOut.Sent {
			res.Sent[p.refOut.Sent[i].Type.String()]++
		}
	}
	switch {
	case end.RefPanic != "":
		res.RefPanics[summary(end.RefPanic)]++
	case end.ReadLeak:
		res.ReadLeaks++
	case end.Explained != "":
		res.Explained[end.Explained]++
	case end.Diff != "" && res.Classes != nil:
		res.classify(c.Seed, at+1, end.Diff)
	case end.Diff != "":
		res.Failure = &Failure{Case: c, Ops: ops[:at+1], At: at, Diff: end.Diff}
	}
}

// classify counts a failure under the first lines that differ.
func (r *Result) classify(seed uint64, ops int, diff string) {
	name := ""
	for _, sign := range []string{"- ", "+ "} {
		for _, l := range strings.Split(diff, "\n") {
			if strings.HasPrefix(l, sign) {
				words := strings.Fields(summary(l))
				name += strings.Join(words[:min(len(words), 4)], " ") + "\n"
				break
			}
		}
	}
	k := r.Classes[name]
	if k == nil {
		k = &Class{Ops: ops, Seed: seed}
		r.Classes[name] = k
	}
	if k.Count++; ops < k.Ops {
		k.Ops, k.Seed = ops, seed
	}
}

// Add adds the counts of another result.
func (r *Result) Add(o *Result) {
	r.Cases += o.Cases
	r.Ops += o.Ops
	r.ReadLeaks += o.ReadLeaks
	for k, n := range o.RefPanics {
		r.RefPanics[k] += n
	}
	for k, n := range o.Explained {
		r.Explained[k] += n
	}
	for k, n := range o.Passed {
		r.Passed[k] += n
	}
	for k, n := range o.Sent {
		r.Sent[k] += n
	}
	for k, n := range o.Kinds {
		r.Kinds[k] += n
	}
	if r.Failure == nil {
		r.Failure = o.Failure
	}
}

// Counts lists what was done, for a log.
func (r *Result) Counts() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d operations in %d cases; %d ended at a read leak; reference panics %v; explained %v; passing %v\n",
		r.Ops, r.Cases, r.ReadLeaks, r.RefPanics, r.Explained, r.Passed)
	for k, n := range r.Kinds {
		fmt.Fprintf(&b, " %s=%d", Kind(k), n)
	}
	fmt.Fprintf(&b, "\n sent %v\n", r.Sent)
	return b.String()
}

// summary replaces numbers, so that like panics count together.
func summary(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r < '0' || r > '9':
			b.WriteRune(r)
		case i == 0 || s[i-1] < '0' || s[i-1] > '9':
			b.WriteByte('N')
		}
	}
	if b.Len() > 100 {
		return b.String()[:100]
	}
	return b.String()
}

// Shrink looks, for at most this long, for a shorter schedule that shows a difference too, and writes
// its trace.
func (f *Failure) Shrink(libs Libraries, budget time.Duration) {
	deadline := time.Now().Add(budget)
	fails := func(ops []Op) *Failure {
		res := NewResult()
		c := *f.Case
		runCase(libs, &c, ops, res)
		return res.Failure
	}
	best := f.Ops
	for size := len(best) / 2; size > 0 && time.Now().Before(deadline); {
		cut := false
		for at := 0; at+size <= len(best) && time.Now().Before(deadline); {
			shorter := append(append([]Op(nil), best[:at]...), best[at+size:]...)
			if g := fails(shorter); g != nil {
				best, f.Diff = g.Ops, g.Diff
				cut = true
			} else {
				at += size
			}
		}
		if !cut || size > len(best) {
			size /= 2
		}
	}
	f.Ops, f.At = best, len(best)-1
	f.Trace = trace(libs, f.Case, best)
}

// trace writes what the operations did.
func trace(libs Libraries, c *Case, ops []Op) string {
	var b strings.Builder
	copied := *c
	p := newPair(&copied, libs)
	end := p.start(libs)
	for i, o := range ops {
		if end.Over() {
			break
		}
		var a *Action
		if a, end = p.step(libs, o); a != nil {
			fmt.Fprintf(&b, "%4d  %s\n", i, a)
		}
	}
	return b.String()
}

// diff shows the lines that differ, with the line before the first one.
func diff(ref, our []byte) string {
	a, b := strings.Split(string(ref), "\n"), strings.Split(string(our), "\n")
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	same := 0
	for same < len(a) && same < len(b) && a[same] == b[same] {
		same++
	}
	var out strings.Builder
	for _, l := range a[max(0, same-8):same] {
		out.WriteString("  " + clip(l) + "\n")
	}
	for _, l := range a[same:] {
		out.WriteString("- " + clip(l) + "\n")
	}
	for _, l := range b[same:] {
		out.WriteString("+ " + clip(l) + "\n")
	}
	return out.String()
}

func clip(s string) string {
	if len(s) > 400 {
		return s[:400] + "..."
	}
	return s
}
