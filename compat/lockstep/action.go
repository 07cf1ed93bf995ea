package lockstep

import (
	"fmt"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// Action is an operation after its numbers were given a meaning.
type Action struct {
	Op
	member   uint64 // whose host acts; 0 if none
	from, to uint64
	pos      int
	count    int
	index    uint64
	yes      bool
	lost     bool // a delivery that does not arrive
	data     []byte
	raw      []byte
	change   pb.ConfChangeI
	options  host.Options
	group    [maxMembers + 1]uint8
	text     string
}

func (a *Action) String() string {
	s := a.Kind.String()
	if a.member > 0 {
		s = fmt.Sprintf("%d: %s", a.member, s)
	}
	return s + a.text
}

// resolve says what o means in the state of the reference; ok is false if nothing.
func (p *pair) resolve(o Op) (a *Action, ok bool) {
	a = &Action{Op: o}
	switch o.Kind {
	case Deliver, Drop, Dup:
		ok = p.resolvePacket(a)
	case Replay:
		ok = p.resolveReplay(a)
	case Partition:
		for id := range a.group {
			a.group[id] = uint8(o.A >> id & 1)
		}
		a.text = fmt.Sprintf(" %v", a.group[1:p.c.Members+1])
		ok = true
	case Heal:
		ok = true
	case Restart:
		ok = p.resolveRestart(a)
	case Crash:
		a.member, ok = p.someUp(o.A)
	default:
		ok = p.resolveInput(a)
	}
	return a, ok
}

// someUp returns the i-th of the members that run, modulo their number.
func (p *pair) someUp(i uint32) (uint64, bool) {
	var up []uint64
	for id := uint64(1); id <= uint64(p.c.Members); id++ {
		if p.ref.host(id).Up() {
			up = append(up, id)
		}
	}
	if len(up) == 0 {
		return 0, false
	}
	return up[int(i%uint32(len(up)))], true
}

// leader returns the running leader with the highest term, or else some running member.
func (p *pair) leader(i uint32) (uint64, bool) {
	best, term := uint64(0), uint64(0)
	for id := uint64(1); id <= uint64(p.c.Members); id++ {
		if w := &p.watch[id]; p.ref.host(id).Up() && w.role == host.Leader && w.term > term {
			best, term = id, w.term
		}
	}
	if best == 0 {
		return p.someUp(i)
	}
	return best, true
}

func (p *pair) resolvePacket(a *Action) (ok bool) {
	a.from, a.to, ok = p.ref.busy(a.A)
	if !ok {
		return false
	}
	link := p.ref.links[a.from][a.to]
	if a.B%8 == 0 {
		a.pos = int(a.C % uint32(len(link)))
	}
	pkt := &link[a.pos]
	a.text = fmt.Sprintf(" %d->%d[%d] %s", a.from, a.to, a.pos, p.describe(pkt))
	switch a.Kind {
	case Dup:
		return pkt.Type != pb.MsgReadIndex
	case Deliver:
		if a.to > uint64(p.c.Members) || !p.ref.host(a.to).Up() ||
			p.ref.group[a.from] != p.ref.group[a.to] || !p.mayRead(a.to, pkt) {
			a.lost = true
			a.text += " (lost)"
			return true
		}
		a.member = a.to
	}
	return true
}

func (p *pair) resolveReplay(a *Action) bool {
	if len(p.ref.old) == 0 {
		return false
	}
	a.pos = int(a.A % uint32(len(p.ref.old)))
	pkt := &p.ref.old[a.pos]
	if pkt.To > uint64(p.c.Members) || !p.ref.host(pkt.To).Up() || pkt.Type == pb.MsgReadIndex {
		return false
	}
	a.member = pkt.To
	a.text = fmt.Sprintf(" %d->%d %s", pkt.From, pkt.To, p.describe(pkt))
	return true
}

func (p *pair) resolveRestart(a *Action) bool {
	var down []uint64
	for id := uint64(1); id <= uint64(p.c.Members); id++ {
		if !p.ref.host(id).Up() {
			down = append(down, id)
		}
	}
	if len(down) == 0 {
		return false
	}
	a.member = down[int(a.A%uint32(len(down)))]
	a.yes = a.B%2 == 0
	a.options = p.ref.host(a.member).Opt
	if p.c.Toggle {
		a.options.PreVote = a.C&1 != 0
		a.options.CheckQuorum = a.C&2 != 0 || a.options.LeaseReads
		a.options.Async = a.C&4 != 0
		a.options.StepDownOnRemoval = a.C&8 != 0
	}
	a.text = fmt.Sprintf(" durable=%t %s", a.yes, describe(&a.options))
	return true
}

func (p *pair) resolveInput(a *Action) (ok bool) {
	switch a.Kind {
	case Propose, ProposeBatch, ProposeConf, ReadIndex, Transfer, ReportSnapshot, ReportUnreachable:
		if a.A%5 > 0 {
			a.member, ok = p.leader(a.A / 5)
		} else {
			a.member, ok = p.someUp(a.A / 5)
		}
	default:
		a.member, ok = p.someUp(a.A)
	}
	if !ok {
		return false
	}
	h := p.ref.host(a.member)
	switch a.Kind {
	case Tick:
		a.count = 1
		switch a.B % 24 {
		case 0:
			a.count = h.Opt.ElectionTick
		case 1:
			a.count = 1 + int(a.C)%h.Opt.ElectionTick
		}
		a.text = fmt.Sprintf(" %d times", a.count)
	case Propose:
		a.data = payload(a.B, a.C)
		a.text = fmt.Sprintf(" %d bytes", len(a.data))
	case ProposeBatch:
		a.raw, a.text = batch(a)
	case ProposeConf:
		a.change = p.change(a)
		a.text = fmt.Sprintf(" %+v", a.change)
	case ReadIndex:
		a.data = fmt.Appendf(nil, "r%x", a.Salt)
		a.text = " " + string(a.data)
		return p.admitRead(a.member, string(a.data))
	case Transfer, ReportUnreachable, ReportSnapshot:
		a.to = 1 + uint64(a.B)%uint64(p.c.Members)
		a.yes = a.C%2 == 0
		if waits := p.watch[a.member].snapshots; a.Kind == ReportSnapshot && len(waits) > 0 && a.B%8 > 0 {
			a.to = waits[int(a.B/8)%len(waits)]
		}
		a.text = fmt.Sprintf(" %d failed=%t", a.to, a.yes)
	case Compact:
		snap := h.Disk.Snap.Metadata.Index
		a.index = snap - min(snap, uint64(a.B%3))
		a.text = fmt.Sprintf(" to %d", a.index)
	case NoSnapshot:
		a.yes = a.B%2 == 0
		a.text = fmt.Sprintf(" %t", a.yes)
	case Thread:
		return p.resolveThread(a, h)
	case StepLocal, StepStranger:
		a.raw = strange(a)
	case Drain, Pump:
		a.text = fmt.Sprintf(" pending=%t", h.Pending())
	}
	return true
}

// resolveThread picks a thread with something to do, on the chosen member or the next one that has.
func (p *pair) resolveThread(a *Action, h *host.Host) bool {
	for range p.c.Members {
		work := p.ref.host(a.member).Threads()
		for i := range work {
			if pos := (int(a.B%4) + i) % 4; work[pos] > 0 && p.ref.host(a.member).Up() {
				a.pos = pos
				a.text = []string{" append work", " apply work", " append done", " apply done"}[pos]
				return true
			}
		}
		a.member = a.member%uint64(p.c.Members) + 1
	}
	return false
}

func (p *pair) describe(pkt *host.Packet) string {
	m := host.Decode(pkt.Raw)
	s := fmt.Sprintf("%s term=%d log=%d/%d commit=%d", m.Type, m.Term, m.LogTerm, m.Index, m.Commit)
	if m.Reject {
		s += fmt.Sprintf(" reject hint=%d", m.RejectHint)
	}
	if n := len(m.Entries); n > 0 {
		s += fmt.Sprintf(" entries=%d..%d", m.Entries[0].Index, m.Entries[n-1].Index)
	}
	if m.Snapshot != nil {
		s += fmt.Sprintf(" snapshot=%d/%d", m.Snapshot.Metadata.Index, m.Snapshot.Metadata.Term)
	}
	return s
}
