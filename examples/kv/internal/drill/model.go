package drill

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is a key's content. known says whether the revision is known: that of a write whose answer
// was lost is not, until somebody sees it.
type register struct {
	value    string
	revision uint64
	known    bool
}

// is reports whether the register may have this revision, and returns it with the revision filled in.
func (r register) is(revision uint64) (register, bool) {
	if r.known {
		return r, r.revision == revision
	}
	r.revision, r.known = revision, true
	return r, revision != 0
}

// model is the sequential key-value store for one key.
//
// A request without an answer has an endless interval. Taking effect is the only thing that it must be
// allowed to do where it is placed: if it never did, or did in vain, its place is after the end.
var model = porcupine.Model{
	Init: func() any { return register{known: true} },
	Step: func(state, in, out any) (bool, any) {
		return stepKey(state.(register), in.(input), out.(output))
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
	DescribeState: func(state any) string {
		r := state.(register)
		return fmt.Sprintf("%q @%d", r.value, r.revision)
	},
}

func stepKey(r register, in input, out output) (bool, any) {
	switch in.Verb {
	case verbGet:
		seen, ok := r.is(out.Revision)
		return ok && seen.value == out.Value, seen
	case verbPut:
		return true, written(in, out)
	default:
		_, ok := r.is(in.Expect)
		switch {
		case out.Unknown && !ok:
			return true, r // in vain
		case !out.Conflict:
			return ok, written(in, out)
		}
		// Something else was in the way, which the answer names.
		before, ok := r.is(out.Revision)
		return ok && out.Revision != in.Expect, before
	}
}

func written(in input, out output) register {
	return register{value: in.Value, revision: out.Revision, known: !out.Unknown}
}

func describe(in input, out output) string {
	result := fmt.Sprintf("@%d", out.Revision)
	switch {
	case out.Unknown:
		result = "?"
	case out.Conflict:
		result = fmt.Sprintf("conflict with @%d", out.Revision)
	}
	switch in.Verb {
	case verbGet:
		return fmt.Sprintf("get -> %q %s", out.Value, result)
	case verbPut:
		return fmt.Sprintf("put %q -> %s", in.Value, result)
	default:
		return fmt.Sprintf("cas @%d %q -> %s", in.Expect, in.Value, result)
	}
}

// checkLimit bounds the check of one key; keys are short, so it is never reached in practice.
const checkLimit = time.Minute

// checkKey returns whether some order explains what was seen of a key.
func checkKey(ops []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model, ops, checkLimit)
}
