package host

import (
	"fmt"

	pb "quorate.example/raft/raftpb"
)

// Phases of a Ready in a host of the synchronous kind.
const (
	idle = iota
	taken
	persisted
	sent
	applied
)

// Host is the event loop round one member, cut into steps so that a test can put input between them.
type Host struct {
	Opt  Options
	Disk *Disk
	Make Maker
	Raw  Raw // nil while crashed

	// OnApply, if set, is told each entry that is applied for the first time since the last start.
	OnApply func(e pb.Entry)

	// Out collects what went out and Seen the Readys that were taken since Reset.
	Out  []Packet
	Seen []Ready

	phase     int
	ready     Ready
	appends   []Packet // work for the append thread
	applies   []Packet // work for the apply thread
	appendAck []Packet // answers of the append thread to this member
	applyAck  []Packet // answers of the apply thread to this member
}

// Reset forgets what was collected.
func (h *Host) Reset() { h.Out, h.Seen = h.Out[:0], h.Seen[:0] }

// Up reports whether the member runs.
func (h *Host) Up() bool { return h.Raw != nil }

// Start starts the member on its disk. If durable, the state machine kept what it applied.
func (h *Host) Start(durable bool) error {
	o := h.Opt
	o.Applied = h.Disk.rewind(durable)
	raw, err := h.Make(o, h.Disk)
	if err != nil {
		return err
	}
	h.Raw = raw
	return nil
}

// Crash ends the member at once. What was not synced is lost, and so is what the threads had not
// done.
func (h *Host) Crash() {
	h.Disk.crash()
	h.Raw = nil
	h.phase = idle
	h.ready = Ready{}
	h.appends, h.applies, h.appendAck, h.applyAck = nil, nil, nil, nil
}

// Pending reports whether a Ready is being worked off.
func (h *Host) Pending() bool { return h.phase != idle }

// Pump does the next phase of a Ready, and reports whether there was one. In asynchronous mode it
// takes a Ready, if there is one, and hands its work to the threads.
func (h *Host) Pump() bool {
	switch h.phase {
	case idle:
		return h.take()
	case taken:
		h.Disk.write(h.ready.Hard, h.ready.Entries, &h.ready.Snapshot, h.ready.MustSync)
		h.phase = persisted
	case persisted:
		h.Out = append(h.Out, h.ready.Messages...)
		h.phase = sent
	case sent:
		for _, e := range h.ready.Committed {
			h.apply(e)
		}
		h.phase = applied
	case applied:
		h.phase = idle
		h.ready = Ready{}
		h.Raw.Advance()
	}
	return true
}

func (h *Host) take() bool {
	if !h.Raw.HasReady() {
		return false
	}
	rd := h.Raw.Ready()
	h.Seen = append(h.Seen, rd)
	if !h.Opt.Async {
		h.ready, h.phase = rd, taken
		return true
	}
	for _, m := range rd.Messages {
		switch m.Type {
		case pb.MsgStorageAppend:
			h.appends = append(h.appends, m)
		case pb.MsgStorageApply:
			h.applies = append(h.applies, m)
		default:
			h.Out = append(h.Out, m)
		}
	}
	return true
}

// Drain works off all there is, up to the point where only the threads can go on.
func (h *Host) Drain() {
	for i := 0; h.Pump(); i++ {
		if i > 20000 {
			panic(fmt.Sprintf("host: member %d never runs out of Readys", h.Opt.ID))
		}
	}
}

// Snapshot makes a snapshot of what the member knows to be applied: before that it may still look at
// the entries, so they must not be compacted.
func (h *Host) Snapshot() { h.Disk.CreateSnapshot(h.Raw.Basic().Applied) }

func (h *Host) apply(e pb.Entry) {
	conf := h.Disk.top().conf
	if e.Type != pb.EntryNormal && !Refused(e) {
		conf = h.Raw.ApplyConfChange(e)
	}
	h.Disk.apply(e, conf)
	if h.OnApply != nil {
		h.OnApply(e)
	}
}

// Refused reports whether the hosts, all alike, treat this configuration change as a no-op.
func Refused(e pb.Entry) bool {
	ctx := []byte(nil)
	switch e.Type {
	case pb.EntryConfChange:
		var cc pb.ConfChange
		if cc.Unmarshal(e.Data) == nil {
			ctx = cc.Context
		}
	case pb.EntryConfChangeV2:
		var cc pb.ConfChangeV2
		if cc.Unmarshal(e.Data) == nil {
			ctx = cc.Context
		}
	}
	return string(ctx) == "refuse"
}

// Threads says which of the threads have something to do: work of the append thread and of the apply
// thread, then their answers to this member.
func (h *Host) Threads() [4]int {
	return [4]int{len(h.appends), len(h.applies), len(h.appendAck), len(h.applyAck)}
}

// Thread does the next piece of work of thread i, numbered as in Threads, and reports whether there
// was one.
func (h *Host) Thread(i int) (done bool, err error) {
	queues := [4]*[]Packet{&h.appends, &h.applies, &h.appendAck, &h.applyAck}
	q := queues[i]
	if len(*q) == 0 {
		return false, nil
	}
	m := (*q)[0]
	*q = (*q)[1:]
	switch i {
	case 0:
		h.appendWork(m)
	case 1:
		h.applyWork(m)
	default:
		err = h.Raw.Step(m.Raw)
	}
	return true, err
}

func (h *Host) appendWork(p Packet) {
	m := Decode(p.Raw)
	h.Disk.write(pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}, m.Entries, m.Snapshot, true)
	for _, r := range m.Responses {
		if r.To == h.Opt.ID {
			h.appendAck = append(h.appendAck, Encode(r))
		} else {
			h.Out = append(h.Out, Encode(r))
		}
	}
}

func (h *Host) applyWork(p Packet) {
	m := Decode(p.Raw)
	for _, e := range m.Entries {
		h.apply(e)
	}
	for _, r := range m.Responses {
		h.applyAck = append(h.applyAck, Encode(r))
	}
}

// Settle drains and lets the threads work until nothing is left to do. What a member refuses of its own
// threads' answers is of no use to it any more: its own acknowledgement after its removal.
func (h *Host) Settle() {
	for again := true; again; {
		h.Drain()
		again = false
		for i := range h.Threads() {
			for {
				done, _ := h.Thread(i)
				if !done {
					break
				}
				again = true
			}
		}
	}
}

// Decode reads a message that one of the libraries wrote.
func Decode(raw []byte) pb.Message {
	var m pb.Message
	if err := m.Unmarshal(raw); err != nil {
		panic(fmt.Sprintf("host: a library wrote %x: %v", raw, err))
	}
	return m
}

// Encode makes a packet of m.
func Encode(m pb.Message) Packet {
	raw, err := m.Marshal()
	if err != nil {
		panic(fmt.Sprintf("host: encoding %v: %v", m, err))
	}
	return Packet{Type: m.Type, From: m.From, To: m.To, Raw: raw}
}
