package rafttest

import (
	"math/bits"
	"slices"
	"time"

	"quorate.example/raft"
)

// worldState is a state of the whole world.
type worldState struct {
	ghost   ghostID
	left    budget
	members []localID // by ID, from 1 on
	net     []uint32  // messages in flight, in rising order, each as often as it is there
}

// search is what is known of the states found so far. A state that waits to be looked at is a few numbers
// in a queue; of one that was, only its hash and its way are kept.
type search struct {
	seen  stateSet
	from  []uint32 // the state that each was first reached from
	by    []uint64 // and the action
	stats ExploreStats
	start time.Time
	ends  stateSet // states of the members in ends
}

// stateSet is a set of 128-bit hashes, with open addressing.
type stateSet struct {
	slots []stateHash
	n     int
}

type stateHash struct{ hi, lo uint64 }

// add reports whether h was new.
func (s *stateSet) add(h stateHash) bool {
	if 3*s.n >= 2*len(s.slots) {
		old := s.slots
		s.slots = make([]stateHash, max(1<<12, 2*len(old)))
		for _, h := range old {
			if h != (stateHash{}) {
				*s.find(h) = h
			}
		}
	}
	slot := s.find(h)
	if *slot == h {
		return false
	}
	*slot = h
	s.n++
	return true
}

// find returns the place of h, or the empty one where it belongs.
func (s *stateSet) find(h stateHash) *stateHash {
	mask := uint64(len(s.slots) - 1)
	for i := h.lo & mask; ; i = (i + 1) & mask {
		if slot := &s.slots[i]; *slot == h || *slot == (stateHash{}) {
			return slot
		}
	}
}

func hashState(words []uint32) stateHash {
	h := stateHash{hi: uint64(len(words)), lo: 0x6a09e667f3bcc908}
	for _, w := range words {
		h.hi = hashMix(h.hi, uint64(w))
		h.lo = bits.RotateLeft64((h.lo^uint64(w))*0x9e3779b97f4a7c15, 29) ^ h.lo>>32
	}
	h.lo = mix(h.lo ^ h.hi>>7)
	return h
}

// encode appends s to words.
func (s *worldState) encode(words []uint32) []uint32 {
	left := s.left.pack()
	words = append(words, uint32(s.ghost), uint32(left), uint32(left>>32), uint32(len(s.net)))
	for _, id := range s.members {
		words = append(words, uint32(id))
	}
	return append(words, s.net...)
}

// decode reads a state of n members from the start of words and returns the rest. It keeps no part of words.
func (s *worldState) decode(words []uint32, n int) []uint32 {
	s.ghost = ghostID(words[0])
	s.left = unpackBudget(uint64(words[1]) | uint64(words[2])<<32)
	end := 4 + n + int(words[3])
	s.members = s.members[:0]
	for _, id := range words[4 : 4+n] {
		s.members = append(s.members, localID(id))
	}
	s.net = append(s.net[:0], words[4+n:end]...)
	return words[end:]
}

func (s *worldState) copyOf(from *worldState) {
	s.ghost, s.left = from.ghost, from.left
	s.members = append(s.members[:0], from.members...)
	s.net = append(s.net[:0], from.net...)
}

func (s *worldState) post(message uint32) {
	at, _ := slices.BinarySearch(s.net, message)
	s.net = slices.Insert(s.net, at, message)
}

func (s *worldState) take(message uint32) {
	if at, found := slices.BinarySearch(s.net, message); found {
		s.net = slices.Delete(s.net, at, at+1)
	}
}

// first returns the state that everything begins in.
func (e *explorer) first() (worldState, *Violation) {
	var s worldState
	s.left = e.x.fullBudget()
	g := ghost{committed: e.logs.extend(emptyLog, &firstEntry)}
	g.marks = []commitMark{{term: 1, index: 1}}
	s.ghost = e.ghostOf(&g)
	for id := uint64(1); id <= uint64(e.members); id++ {
		l, v := e.begin(id)
		if v != nil {
			return s, v
		}
		s.members = append(s.members, l)
	}
	return s, nil
}

// apply makes s the state after a, which must be possible. It reports false if nothing comes of a.
func (e *explorer) apply(s *worldState, a action) (happened bool, v *Violation) {
	who := &s.members[a.member-1]
	from := *who
	t := e.step(from, a)
	if t.idle(from) {
		return false, nil
	}
	if !s.left.spend(a) {
		return false, nil
	}
	if a.kind == actDeliver {
		s.take(a.arg)
	}
	for _, m := range t.sent {
		s.post(m)
	}
	*who = t.next
	return true, e.observe(s, a, from, t)
}

// actions appends what may happen in s to list.
func (e *explorer) actions(s *worldState, list []action) []action {
	list = e.deliveries(s, list)
	for i, id := range s.members {
		member, l := uint8(i+1), &e.locals[id]
		leads := l.role == raft.StateLeader
		add := func(kind actionKind, arg int) {
			if kind >= actWrite || s.left[kind] > 0 {
				list = e.withCrashes(s, id, list, action{kind: kind, member: member, arg: uint32(arg)})
			}
		}
		if !leads {
			add(actCampaign, 0)
		}
		if leads || e.followersTick() {
			add(actTick, 0)
		}
		if leads {
			add(actPropose, e.x.Proposals-int(s.left[actPropose])+1)
			add(actConfChange, len(e.x.ConfChanges)-int(s.left[actConfChange])+1)
		}
		add(actRead, e.x.Reads-int(s.left[actRead])+1)
		for to := 1; leads && to <= e.members; to++ {
			if to != i+1 {
				add(actTransfer, to)
			}
		}
		if len(l.appends) > 0 {
			add(actWrite, 0)
		}
		if len(l.applies) > 0 {
			add(actApply, 0)
		}
		if s.left[actCompact] > 0 && l.applied != l.disk.snap {
			list = append(list, action{kind: actCompact, member: member})
		}
		if s.left[actCrash] > 0 {
			list = append(list, action{kind: actCrash, member: member})
			if l.disk != l.safe {
				list = append(list, action{kind: actCrashKept, member: member})
			}
		}
	}
	return list
}

// followersTick reports whether a follower's clock matters. Without a lease on votes it only says when to
// campaign, and that is an action of its own.
func (e *explorer) followersTick() bool {
	cfg := e.config(1)
	return cfg.CheckQuorum || cfg.PreVote
}

// deliveries appends the deliveries of the messages in flight. One that nothing comes of is left out: the
// same is possible in the state in which the message stays in flight for ever.
func (e *explorer) deliveries(s *worldState, list []action) []action {
	for i, m := range s.net {
		if i > 0 && s.net[i-1] == m {
			continue
		}
		member := uint8(e.flights[m].to)
		id := s.members[member-1]
		a := action{kind: actDeliver, member: member, arg: m}
		if e.step(id, a).idle(id) {
			continue
		}
		list = e.withCrashes(s, id, list, a)
		if s.left[actDuplicate] > 0 {
			list = append(list, action{kind: actDuplicate, member: member, arg: m})
		}
	}
	return list
}

// withCrashes appends a, and a with the end of the process at each step that makes a difference.
func (e *explorer) withCrashes(s *worldState, from localID, list []action, a action) []action {
	list = append(list, a)
	if s.left[actCrash] == 0 || e.step(from, a).idle(from) {
		return list
	}
	for _, at := range e.crashPoints(from, a) {
		b := a
		b.crashAt = at
		list = append(list, b)
	}
	return list
}

// run explores breadth first, so that the way to each state, and to a violation, is a shortest one.
func (e *explorer) run() *ExploreResult {
	q := &e.search
	q.start = time.Now()
	s, v := e.first()
	if v != nil {
		return e.result(v, nil)
	}
	level, next := s.encode(nil), []uint32(nil)
	q.seen.add(hashState(level))
	q.from, q.by = []uint32{0}, []uint64{0}
	number := uint32(0)
	for len(level) > 0 {
		rest := level
		next = next[:0]
		for len(rest) > 0 {
			rest = s.decode(rest, e.members)
			var last action
			if next, last, v = e.expand(&s, number, next); v != nil {
				return e.result(v, append(e.way(number), last))
			}
			if e.x.MaxStates > 0 && q.seen.n >= e.x.MaxStates {
				return e.result(nil, nil)
			}
			number++
		}
		level, next = next, level
		if len(level) > 0 {
			q.stats.Depth++
		}
		e.progress()
	}
	q.stats.Complete = true
	return e.result(nil, nil)
}

// expand appends the states that s leads to and that are new to queue.
func (e *explorer) expand(s *worldState, number uint32, queue []uint32) ([]uint32, action, *Violation) {
	q := &e.search
	var room [64]action
	var after worldState
	end := true
	for _, a := range e.actions(s, room[:0]) {
		after.copyOf(s)
		happened, v := e.apply(&after, a)
		if !happened {
			continue
		}
		if v != nil {
			return queue, a, v
		}
		end = false
		q.stats.Transitions++
		before := len(queue)
		queue = after.encode(queue)
		if !q.seen.add(hashState(queue[before:])) {
			queue = queue[:before]
			continue
		}
		q.from, q.by = append(q.from, number), append(q.by, a.pack())
		if q.seen.n%(1<<16) == 0 {
			e.progress()
		}
	}
	if end {
		q.stats.Ends++
		return queue, action{}, e.goOn(s)
	}
	return queue, action{}, nil
}

// way returns the actions that lead to a state.
func (e *explorer) way(number uint32) []action {
	var actions []action
	for ; number != 0; number = e.search.from[number] {
		actions = append(actions, unpackAction(e.search.by[number]))
	}
	slices.Reverse(actions)
	return actions
}

func (e *explorer) counted() ExploreStats {
	stats := e.search.stats
	stats.States, stats.Members, stats.Steps = e.search.seen.n, len(e.locals), len(e.done)
	stats.Messages, stats.Took = len(e.flights), time.Since(e.search.start)
	return stats
}

func (e *explorer) progress() {
	if e.x.Progress != nil {
		e.x.Progress(e.counted())
	}
}

// result returns what was found, with the way to a violation in words.
func (e *explorer) result(v *Violation, way []action) *ExploreResult {
	res := &ExploreResult{Name: e.x.Name, ExploreStats: e.counted(), Violation: v}
	if v == nil {
		return res
	}
	if n := len(way); n > 0 && way[n-1] == (action{}) {
		way = way[:n-1] // it is the end of the way that is wrong
	}
	v.Event = len(way)
	res.Schedule, res.Lines = e.describe(way)
	return res
}
