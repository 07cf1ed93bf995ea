package rafttest

import (
	"fmt"
	"strings"

	pb "quorate.example/raft/raftpb"
)

var firstEntry = pb.Entry{Term: 1}

// Replay runs one schedule: actions as in ExploreResult.Schedule, separated by commas. It is an error if one
// of them is none, or is not possible when it is due. Messages have the numbers in which they were sent.
func (x Exploration) Replay(schedule string) (*ExploreResult, error) {
	e := newExplorer(x.withDefaults())
	s, v := e.first()
	if v != nil {
		return e.result(v, nil), nil
	}
	t := e.newTelling(s)
	for _, text := range strings.Split(schedule, ",") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		a, err := parseAction(text)
		if err == nil {
			a, err = e.resolve(t, a)
		}
		if err != nil {
			return nil, err
		}
		if v = t.tell(a); v != nil {
			break
		}
		if !t.happened {
			return nil, fmt.Errorf("rafttest: nothing comes of %q after %d actions", strings.TrimSpace(text), len(t.schedule)-1)
		}
	}
	if v == nil {
		v = e.goOn(&t.s)
	}
	if v != nil {
		v.Event = len(t.schedule)
	}
	stats := e.counted()
	stats.States, stats.Transitions, stats.Depth = len(t.schedule)+1, len(t.schedule), len(t.schedule)
	return &ExploreResult{Name: x.Name, ExploreStats: stats, Violation: v,
		Schedule: strings.Join(t.schedule, ", "), Lines: t.lines}, nil
}

// resolve gives a parsed action its message, or the number of its proposal, and checks it.
func (e *explorer) resolve(t *telling, a action) (action, error) {
	switch a.kind {
	case actDeliver, actDuplicate:
		n := int(a.arg)
		if n == 0 || n > len(t.sent) || t.gone[n-1] {
			return a, fmt.Errorf("rafttest: message m%d is not in flight after %d actions", n, len(t.schedule))
		}
		a.arg = t.sent[n-1]
		a.member = uint8(e.flights[a.arg].to)
	case actPropose, actRead, actConfChange:
		a.arg = uint32(e.x.budget()[a.kind] - int(t.s.left[a.kind]) + 1)
	}
	if a.member == 0 || int(a.member) > e.members {
		return a, fmt.Errorf("rafttest: there is no member %d", a.member)
	}
	for _, possible := range e.actions(&t.s, nil) {
		possible.crashAt = a.crashAt
		if possible == a {
			return a, nil
		}
	}
	return a, fmt.Errorf("rafttest: %q is not possible after %d actions", a.text(int(a.arg)), len(t.schedule))
}

// telling puts a schedule into words.
type telling struct {
	e        *explorer
	s        worldState
	sent     []uint32 // messages, in the order of sending
	gone     []bool
	schedule []string
	lines    []string
	happened bool
}

func (e *explorer) newTelling(s worldState) *telling {
	t := &telling{e: e, s: s}
	t.sent = append(t.sent, s.net...)
	t.gone = make([]bool, len(s.net))
	return t
}

// describe puts a schedule into words that begins where everything does.
func (e *explorer) describe(way []action) (schedule string, lines []string) {
	s, _ := e.first()
	t := e.newTelling(s)
	for _, a := range way {
		t.tell(a)
	}
	return strings.Join(t.schedule, ", "), t.lines
}

// tell does a and describes it.
func (t *telling) tell(a action) (v *Violation) {
	message, what := 0, ""
	if a.kind == actDeliver || a.kind == actDuplicate {
		message = t.number(a.arg)
		what = ": " + t.e.flights[a.arg].describe()
		if a.kind == actDeliver && message > 0 {
			t.gone[message-1] = true
		}
	}
	if a.kind == actConfChange {
		what = ": " + changeText(t.e.x.ConfChanges[a.arg-1])
	}
	text := a.text(message)
	from := t.s.members[a.member-1]
	step := *t.e.step(from, a)
	t.happened, v = t.e.apply(&t.s, a)
	t.schedule = append(t.schedule, text)
	t.lines = append(t.lines, fmt.Sprintf("%2d. %s%s", len(t.schedule), text, what))
	if t.happened {
		t.tellAfter(a, step.sent)
	}
	return v
}

// tellAfter says what came of it.
func (t *telling) tellAfter(a action, sent []uint32) {
	l := &t.e.locals[t.s.members[a.member-1]]
	t.lines = append(t.lines, fmt.Sprintf("      member %d: %s, term %d, vote %d, commit %d, applied %d, log to %d/t%d (on disk %d/t%d)",
		a.member, strings.TrimPrefix(l.role.String(), "State"), l.term, l.vote, l.commit, t.e.logs.last(l.applied),
		t.e.logs.last(l.log), t.e.logs.lastTerm(l.log), t.e.logs.last(l.safe.log), t.e.logs.lastTerm(l.safe.log)))
	for _, m := range sent {
		t.sent, t.gone = append(t.sent, m), append(t.gone, false)
		t.lines = append(t.lines, fmt.Sprintf("      sends m%d: %s", len(t.sent), t.e.flights[m].describe()))
	}
}

// number returns the number of a message that is in flight; of equal ones, the first.
func (t *telling) number(message uint32) int {
	for i, m := range t.sent {
		if m == message && !t.gone[i] {
			return i + 1
		}
	}
	return 0
}
