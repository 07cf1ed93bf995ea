package member

import (
	"context"
	"encoding/binary"

	"quorate.example/raft"
)

// read is one caller of Barrier. done is closed when its read may go on.
type read struct {
	ctx  context.Context
	done chan struct{}
}

// round is one question to the leader, on behalf of all reads that had gathered: how far must the
// state be?
type round struct {
	number  uint64
	index   uint64
	age     int // ticks
	waiting []*read
}

// rounds keeps one question on its way at a time. Reads that come later must not use its answer, as it
// may be older than they are; they gather for the next one.
type rounds struct {
	origin    uint64
	number    uint64
	patience  int // ticks until a question is taken for lost
	next      []*read
	asked     *round
	confirmed []*round
}

func (r *rounds) add(x *read) { r.next = append(r.next, x) }

// issue asks the leader if somebody waits and no question is on its way.
func (r *rounds) issue(node *raft.RawNode, leader uint64) {
	if r.asked != nil || len(r.next) == 0 || leader == raft.None {
		return
	}
	r.number++
	r.asked = &round{number: r.number, waiting: r.next}
	r.next = nil
	node.ReadIndex(r.context(r.number))
}

// context names a question in the whole cluster, and for all times.
func (r *rounds) context(number uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.origin), number)
}

// confirm takes the leader's answer.
func (r *rounds) confirm(state raft.ReadState) {
	if r.asked == nil || string(state.RequestCtx) != string(r.context(r.asked.number)) {
		return // the answer to a question that was asked again since
	}
	r.asked.index = state.Index
	r.confirmed = append(r.confirmed, r.asked)
	r.asked = nil
}

// release lets those reads go on whose index is applied.
func (r *rounds) release(applied uint64) {
	kept := r.confirmed[:0]
	for _, c := range r.confirmed {
		if c.index > applied {
			kept = append(kept, c)
			continue
		}
		for _, x := range c.waiting {
			close(x.done)
		}
	}
	clear(r.confirmed[len(kept):])
	r.confirmed = kept
}

// tick takes a question for lost that has been on its way too long.
func (r *rounds) tick() {
	if r.asked == nil {
		return
	}
	if r.asked.age++; r.asked.age >= r.patience {
		r.again()
	}
}

// again puts the reads of the question on its way back, for a new question. Those whose callers are
// gone are dropped.
func (r *rounds) again() {
	if r.asked != nil {
		r.next = append(r.asked.waiting, r.next...)
		r.asked = nil
	}
	kept := r.next[:0]
	for _, x := range r.next {
		if x.ctx.Err() == nil {
			kept = append(kept, x)
		}
	}
	clear(r.next[len(kept):])
	r.next = kept
}
