package rafttest

import (
	"fmt"
	"runtime/debug"
	"strings"

	pb "quorate.example/raft/raftpb"
)

// maxFirstMembers is how many members a group may start with. IDs go up to
// maxMembers, since members come and go.
const (
	maxFirstMembers = 9
	maxMembers      = 16
)

// healBound is how many ticks a group has to get well after the faults stop.
const healBound = 1200

// world is one run: everything there is, in one place.
type world struct {
	sim     Simulation
	profile Profile
	setup   setup

	now    int64 // microseconds
	queue  eventQueue
	timers []timer
	free   []uint32 // unused timers

	members [maxMembers + 1]*Member // by ID; position 0 is unused
	net     network
	clients clients
	op      operator
	oracle  oracle
	actions []Action
	healed  bool
	healEnd int64
	probe   probe

	stats     Stats
	hash      uint64
	violation *Violation
	trace     *Trace
}

type timer struct {
	do   func()
	who  *Member // nil, or the process it dies with
	life uint32
}

func newWorld(s Simulation) *world {
	w := &world{sim: s, profile: s.Profile}
	w.quiet(s.Without)
	w.actions = drawSchedule(&w.profile, s.Seed)
	w.setup = drawSetup(&w.profile, s)
	if s.Trace {
		w.trace = &Trace{Members: s.Members, TickMicros: TickMicros}
	}
	w.net.init(w)
	w.clients.init(w)
	w.op.w = w
	w.oracle.init(w)
	return w
}

// quiet switches noise off.
func (w *world) quiet(off Noise) {
	p := &w.profile
	if off&NoiseDrop != 0 {
		p.DropChance = 0
	}
	if off&NoiseDuplicate != 0 {
		p.DuplicateChance = 0
	}
	if off&NoiseJitter != 0 {
		p.SlowChance = 0
		w.net.steady = true
	}
	if off&NoiseDisk != 0 {
		p.StallChance = 0
	}
	if off&NoiseClock != 0 {
		p.Drift = 0
	}
}

// run plays both phases. A panic anywhere below is a finding like others.
func (w *world) run() {
	defer func() {
		if p := recover(); p != nil {
			w.fail(OraclePanic, nil, "%v at %s", p, panicPlace())
		}
	}()
	w.boot()
	end := int64(w.profile.Ticks) * TickMicros
	for w.violation == nil && w.now < end && len(w.queue.heap) > 0 {
		w.step()
	}
	w.heal()
	for w.violation == nil && !w.probe.done && len(w.queue.heap) > 0 {
		w.step()
	}
	w.clients.checkHistory()
}

// panicPlace returns the function below the innermost panic.
func panicPlace() string {
	lines := strings.Split(string(debug.Stack()), "\n")
	for i := len(lines) - 1; i > 0; i-- {
		if !strings.HasPrefix(lines[i], "panic(") {
			continue
		}
		for _, line := range lines[i+1:] {
			if !strings.HasPrefix(line, "\t") && !strings.Contains(line, "logger") &&
				!strings.Contains(line, "Logger") {
				return line
			}
		}
	}
	return "unknown place"
}

// boot starts the first members on disks that hold the same small snapshot.
func (w *world) boot() {
	var snap pb.Snapshot
	snap.Metadata.Index, snap.Metadata.Term = 1, 1
	for id := 1; id <= w.sim.Members; id++ {
		snap.Metadata.ConfState.Voters = append(snap.Metadata.ConfState.Voters, uint64(id))
	}
	snap.Data = encodeState(nil, w.sim.StateMachine(0))
	w.oracle.bootstrap(snap.Metadata)
	w.op.conf = snap.Metadata.ConfState
	for id := 1; id <= w.sim.Members; id++ {
		m := w.member(uint64(id))
		m.disk.bootstrap(snap)
		m.start()
	}
	for i, next := 0, 0; i < len(w.actions); i++ {
		if w.sim.Keep != nil {
			if next == len(w.sim.Keep) || w.sim.Keep[next] != i {
				continue
			}
			next++
		}
		w.queue.push(event{at: w.actions[i].Micros, kind: eventAction, arg: uint32(i)})
	}
}

// member returns the member of that ID and makes it if it was never there.
func (w *world) member(id uint64) *Member {
	if w.members[id] == nil {
		w.members[id] = newMember(w, id)
	}
	return w.members[id]
}

// step takes the next event.
func (w *world) step() {
	e := w.queue.pop()
	w.now = e.at
	switch e.kind {
	case eventDeliver:
		w.net.arrive(e.arg)
	case eventAction:
		w.act(int(e.arg))
	case eventTimer:
		w.fire(e.arg)
	default:
		m := w.members[e.who]
		if m.life == e.life {
			m.receive(e)
		}
	}
}

// after calls f in that many microseconds, unless m (which may be nil) has
// ended its present process by then.
func (w *world) after(micros int64, m *Member, f func()) {
	t := timer{do: f, who: m}
	if m != nil {
		t.life = m.life
	}
	slot := uint32(len(w.timers))
	if n := len(w.free); n > 0 {
		slot = w.free[n-1]
		w.free = w.free[:n-1]
		w.timers[slot] = t
	} else {
		w.timers = append(w.timers, t)
	}
	w.queue.push(event{at: w.now + micros, kind: eventTimer, arg: slot})
}

func (w *world) fire(slot uint32) {
	t := w.timers[slot]
	w.timers[slot] = timer{}
	w.free = append(w.free, slot)
	if t.who == nil {
		t.do()
		return
	}
	if t.who.life == t.life {
		t.who.orLater(t.do)
	}
}

// count notes an event in the hash of the run.
func (w *world) count(m *Member, kind eventKind, content uint64) {
	w.stats.Events++
	w.hash = hashMix(w.hash, uint64(w.now)<<8|uint64(kind))
	w.hash = hashMix(w.hash, content^m.id<<56)
}

// fail ends the run.
func (w *world) fail(oracle Oracle, m *Member, format string, args ...any) {
	if w.violation != nil {
		return
	}
	w.violation = &Violation{
		Oracle: oracle,
		Event:  w.stats.Events,
		Micros: w.now,
		Text:   fmt.Sprintf(format, args...),
	}
	if m != nil {
		w.violation.Member = m.id
	}
	w.trace.add(w, traceViolation, m, nil, 0, w.violation.Text)
}

func (w *world) result() *Result {
	w.stats.Committed = w.oracle.committed
	return &Result{
		Seed:      w.sim.Seed,
		Profile:   w.sim.Profile.Name,
		Violation: w.violation,
		Hash:      w.hash,
		Stats:     w.stats,
		Trace:     w.trace,
		actions:   w.actions,
	}
}
