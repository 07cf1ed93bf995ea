package host

import (
	"encoding/binary"

	"quorate.example/raft"
)

// read is one caller that waits for a barrier.
type read struct {
	gone   func() bool // reports whether the caller gave up
	settle func(error)
}

// readRound is one question to the leader, on behalf of all reads that had gathered: how far must the state be?
type readRound struct {
	number  uint64
	index   uint64
	age     int // ticks
	waiting []*read
}

// reads keeps one question on its way at a time. Reads that come later must not use its answer, as it may be
// older than they are; they gather for the next one.
type reads struct {
	name      uint64 // tells the questions of this life from others
	number    uint64
	patience  int // ticks until a question is taken for lost
	next      []*read
	asked     *readRound
	confirmed []*readRound
}

// askRead asks the leader if somebody waits and no question is on its way, and reports whether it did.
func (e *engine) askRead() bool {
	r := &e.reads
	if r.asked != nil || len(r.next) == 0 || e.node.BasicStatus().Lead == raft.None {
		return false
	}
	r.number++
	r.asked = &readRound{number: r.number, waiting: r.next}
	r.next = nil
	e.counters.readRounds.Add(1)
	e.node.ReadIndex(r.context(r.number))
	return true
}

func (r *reads) context(number uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, r.name), number)
}

// confirmRead takes the leader's answer.
func (e *engine) confirmRead(state *raft.ReadState) {
	r := &e.reads
	if r.asked == nil || string(state.RequestCtx) != string(r.context(r.asked.number)) {
		return // the answer to a question that was asked again since
	}
	r.asked.index = state.Index
	r.confirmed = append(r.confirmed, r.asked)
	r.asked = nil
	e.releaseReads()
}

// releaseReads lets those go on whose index is applied.
func (e *engine) releaseReads() {
	r := &e.reads
	kept := r.confirmed[:0]
	for _, round := range r.confirmed {
		if round.index > e.applies.applied {
			kept = append(kept, round)
			continue
		}
		e.counters.reads.Add(uint64(len(round.waiting)))
		for _, x := range round.waiting {
			x.settle(nil)
		}
	}
	clear(r.confirmed[len(kept):])
	r.confirmed = kept
}

// tick takes a question for lost that has been on its way too long, and forgets callers that gave up.
func (r *reads) tick() {
	if r.asked != nil {
		if r.asked.age++; r.asked.age >= r.patience {
			r.again()
		}
	}
	kept := r.next[:0]
	for _, x := range r.next {
		if !x.gone() {
			kept = append(kept, x)
		}
	}
	clear(r.next[len(kept):])
	r.next = kept
}

// again has the question on its way asked once more.
func (r *reads) again() {
	if r.asked != nil {
		r.next = append(r.asked.waiting, r.next...)
		r.asked = nil
	}
}

func (r *reads) abandon(err error) {
	r.again()
	for _, round := range r.confirmed {
		r.next = append(r.next, round.waiting...)
	}
	for _, x := range r.next {
		x.settle(err)
	}
	r.next, r.confirmed = nil, nil
}
