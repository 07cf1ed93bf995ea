package rafttest

import (
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Trace is what a timeline is drawn from: what happened, in order. A nil Trace
// takes nothing.
type Trace struct {
	Members    int          `json:"members"` // the highest ID
	TickMicros int64        `json:"tick"`
	Events     []TraceEvent `json:"events"`
}

// TraceEvent is one thing that happened.
type TraceEvent struct {
	Micros int64     `json:"t"`
	Kind   TraceKind `json:"k"`
	Member uint64    `json:"m,omitempty"` // where; the recipient of a message
	From   uint64    `json:"f,omitempty"` // the sender of a message
	Sent   int64     `json:"s,omitempty"` // when a message was sent; the end of a cut
	Type   string    `json:"y,omitempty"` // of a message, or the role
	Term   uint64    `json:"r,omitempty"`
	Commit uint64    `json:"c,omitempty"`
	Text   string    `json:"x,omitempty"`
}

// TraceKind says what a TraceEvent is about.
type TraceKind string

const (
	traceSend      TraceKind = "send"
	traceDeliver   TraceKind = "deliver"
	traceDrop      TraceKind = "drop"
	traceRole      TraceKind = "role"
	traceCommit    TraceKind = "commit"
	traceLife      TraceKind = "life"
	traceCut       TraceKind = "cut"
	traceNote      TraceKind = "note"
	traceCall      TraceKind = "call"
	traceAnswer    TraceKind = "answer"
	traceViolation TraceKind = "violation"
)

func (t *Trace) put(e TraceEvent) {
	t.Members = max(t.Members, int(e.Member), int(e.From))
	t.Events = append(t.Events, e)
}

func (t *Trace) add(w *world, kind TraceKind, m *Member, _ *pb.Message, sent int64, text string) {
	if t == nil {
		return
	}
	e := TraceEvent{Micros: w.now, Kind: kind, Sent: sent, Text: text}
	if m != nil {
		e.Member = m.id
	}
	t.put(e)
}

func (t *Trace) note(w *world, m *Member, text string) { t.add(w, traceNote, m, nil, 0, text) }

// life notes that a process starts, ends, pauses or wakes.
func (t *Trace) life(w *world, m *Member, what string) { t.add(w, traceLife, m, nil, 0, what) }

// message notes that m was sent, delivered or lost. Deliveries and losses are
// what a timeline draws; sendings are only counted there.
func (t *Trace) message(w *world, kind TraceKind, m *pb.Message, sent int64) {
	if t == nil || kind == traceSend {
		return
	}
	t.put(TraceEvent{
		Micros: w.now, Kind: kind, Member: m.To, From: m.From, Sent: sent,
		Type: m.Type.String(), Term: m.Term, Text: raft.DescribeMessage(*m, describeData),
	})
}

// lost notes a message that nobody took.
func (t *Trace) lost(w *world, k *packet) {
	if t == nil {
		return
	}
	var m pb.Message
	if m.Unmarshal(k.data) == nil {
		t.message(w, traceDrop, &m, k.sent)
	}
}

func (t *Trace) role(w *world, m *Member, st *raft.BasicStatus) {
	if t == nil {
		return
	}
	t.put(TraceEvent{
		Micros: w.now, Kind: traceRole, Member: m.id, Type: st.RaftState.String(),
		Term: st.Term, Commit: st.Commit,
	})
}

func (t *Trace) commit(w *world, m *Member) {
	if t == nil {
		return
	}
	t.put(TraceEvent{
		Micros: w.now, Kind: traceCommit, Member: m.id, Term: m.seen.Term, Commit: m.seen.Commit,
	})
}

func (t *Trace) cut(w *world, links [][2]uint64, length int64) {
	if t == nil {
		return
	}
	t.put(TraceEvent{
		Micros: w.now, Kind: traceCut, Sent: w.now + length, Text: fmt.Sprintf("no way from-to %v", links),
	})
}

func (t *Trace) call(w *world, m *Member, call *clientCall) {
	if t == nil {
		return
	}
	t.add(w, traceCall, m, nil, 0, fmt.Sprintf("client %d calls %s", call.client, describeCall(call.input)))
}

func (t *Trace) answer(w *world, call *clientCall) {
	if t == nil {
		return
	}
	outcome := [...]string{"open", "answered", "refused", "given up"}[call.state]
	t.add(w, traceAnswer, w.members[call.member], nil, 0,
		fmt.Sprintf("client %d: %s %s %v", call.client, describeCall(call.input), outcome, call.output))
}

// describeData writes an entry's data as the call in it.
func describeData(data []byte) string {
	if number, call, err := decodeCall(data); err == nil {
		return fmt.Sprintf("#%d %s", number, describeCall(call))
	}
	return fmt.Sprintf("%q", data)
}

func confText(cs *pb.ConfState) string { return raft.DescribeConfState(*cs) }

func changeText(cc pb.ConfChangeI) string {
	v2 := cc.AsV2()
	if v2.LeaveJoint() {
		return "leave joint"
	}
	return fmt.Sprintf("%s (%s)", pb.ConfChangesToString(v2.Changes), v2.Transition)
}
