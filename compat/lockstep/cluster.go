package lockstep

import (
	"cmp"
	"fmt"
	"slices"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// maxMembers bounds the IDs: 1 to maxMembers.
const maxMembers = 7

// cluster is the members of one library and the network between them.
type cluster struct {
	c     *Case
	hosts []*host.Host // member i+1
	links [maxMembers + 1][maxMembers + 1][]host.Packet
	old   []host.Packet // delivered or dropped, for replays; a ring
	oldAt int
	group [maxMembers + 1]uint8 // the side of a partition that a member is on
	draws uint64                // the salt of the present operation
}

const oldPackets = 64

func newCluster(c *Case, mk host.Maker) *cluster {
	cl := &cluster{c: c}
	var conf pb.ConfState
	for id := uint64(1); id <= uint64(c.Voters+c.Learners); id++ {
		if id <= uint64(c.Voters) {
			conf.Voters = append(conf.Voters, id)
		} else {
			conf.Learners = append(conf.Learners, id)
		}
	}
	for i, o := range c.Options {
		o.Draw = func() uint64 { return scramble(cl.draws + o.ID) }
		disk := host.NewDisk(0, 0, pb.ConfState{})
		if i < c.Voters+c.Learners && !c.Bootstrap {
			disk = host.NewDisk(3, 1, conf)
		}
		cl.hosts = append(cl.hosts, &host.Host{Opt: o, Disk: disk, Make: mk})
	}
	return cl
}

// start brings all members up.
func (cl *cluster) start(out *Outcome) {
	var ids []uint64
	for id := 1; id <= cl.c.Voters; id++ {
		ids = append(ids, uint64(id))
	}
	for i, h := range cl.hosts {
		out.fail(h.Start(false))
		if cl.c.Bootstrap && i < cl.c.Voters {
			out.fail(h.Raw.Bootstrap(ids))
		}
		cl.after(h)
		cl.collect(h, out)
	}
}

func (cl *cluster) host(id uint64) *host.Host { return cl.hosts[id-1] }

// after does what a host does after each input.
func (cl *cluster) after(h *host.Host) {
	if !cl.c.Lazy && h.Up() {
		h.Drain()
	}
}

// collect moves what a member gave out into the network and the outcome.
func (cl *cluster) collect(h *host.Host, out *Outcome) {
	out.Readies = append(out.Readies, h.Seen...)
	out.Sent = append(out.Sent, h.Out...)
	for _, p := range h.Out {
		if p.To >= 1 && p.To <= maxMembers && p.From >= 1 && p.From <= maxMembers {
			link := &cl.links[p.From][p.To]
			*link = append(*link, p)
		}
	}
	h.Reset()
}

// busy returns the i-th of the links that carry something, modulo their number.
func (cl *cluster) busy(i uint32) (from, to uint64, ok bool) {
	n := uint32(0)
	for f := range cl.links {
		for t := range cl.links[f] {
			if len(cl.links[f][t]) > 0 {
				n++
			}
		}
	}
	if n == 0 {
		return 0, 0, false
	}
	i %= n
	for f := range cl.links {
		for t := range cl.links[f] {
			if len(cl.links[f][t]) == 0 {
				continue
			}
			if i == 0 {
				return uint64(f), uint64(t), true
			}
			i--
		}
	}
	return 0, 0, false
}

// take removes a packet from a link.
func (cl *cluster) take(from, to uint64, pos int) host.Packet {
	link := &cl.links[from][to]
	p := (*link)[pos]
	*link = append((*link)[:pos:pos], (*link)[pos+1:]...)
	if len(cl.old) < oldPackets {
		cl.old = append(cl.old, p)
	} else {
		cl.old[cl.oldAt%oldPackets] = p
	}
	cl.oldAt++
	return p
}

// do carries out an action.
func (cl *cluster) do(a *Action, out *Outcome) {
	cl.draws = a.Op.Salt
	switch a.Op.Kind {
	case Partition, Heal:
		cl.group = a.group
		return
	case Drop:
		cl.take(a.from, a.to, a.pos)
		return
	case Dup:
		link := &cl.links[a.from][a.to]
		*link = append(*link, (*link)[a.pos])
		return
	}
	var h *host.Host
	if a.member > 0 {
		h = cl.host(a.member)
	}
	switch a.Op.Kind {
	case Deliver:
		p := cl.take(a.from, a.to, a.pos)
		if a.lost {
			return
		}
		out.fail(h.Raw.Step(p.Raw))
	case Replay:
		out.fail(h.Raw.Step(cl.old[a.pos].Raw))
	case Crash:
		h.Crash()
		return
	case Restart:
		cl.restart(h, a, out)
	default:
		cl.input(h, a, out)
	}
	cl.after(h)
	cl.collect(h, out)
	if h.Up() {
		st := h.Raw.Status()
		out.Status = &st
	}
}

func (cl *cluster) restart(h *host.Host, a *Action, out *Outcome) {
	draw := h.Opt.Draw
	h.Opt = a.options
	h.Opt.Draw = draw
	out.fail(h.Start(a.yes))
}

// input hands in what a host may hand in.
func (cl *cluster) input(h *host.Host, a *Action, out *Outcome) {
	switch a.Op.Kind {
	case Tick:
		for i := 0; i < a.count; i++ {
			if i > 0 {
				cl.after(h)
			}
			h.Raw.Tick()
		}
	case TickQuiesced:
		h.Raw.TickQuiesced()
	case Campaign:
		out.fail(h.Raw.Campaign())
	case Propose:
		out.fail(h.Raw.Propose(a.data))
	case ProposeBatch, StepLocal, StepStranger:
		out.fail(h.Raw.Step(a.raw))
	case ProposeConf:
		out.fail(h.Raw.ProposeConfChange(a.change))
	case ReadIndex:
		h.Raw.ReadIndex(a.data)
	case Transfer:
		h.Raw.TransferLeader(a.to)
	case ForgetLeader:
		out.fail(h.Raw.ForgetLeader())
	case ReportSnapshot:
		h.Raw.ReportSnapshot(a.to, a.yes)
	case ReportUnreachable:
		h.Raw.ReportUnreachable(a.to)
	case Snapshot:
		h.Snapshot()
	case Compact:
		h.Disk.Compact(a.index)
	case NoSnapshot:
		h.Disk.NoSnap = a.yes
	case Pump:
		h.Pump()
	case Drain:
		h.Drain()
	case Thread:
		cl.thread(h, a, out)
	default:
		panic(fmt.Sprintf("lockstep: no such input: %v", a.Op.Kind))
	}
}

// thread lets a storage thread do one piece of work. In default mode it does all it has, since the
// libraries may cut the same work into pieces differently.
func (cl *cluster) thread(h *host.Host, a *Action, out *Outcome) {
	for {
		done, err := h.Thread(a.pos)
		out.fail(err)
		if !done || !cl.c.Default {
			return
		}
		cl.after(h)
	}
}

// Outcome is what a host saw of one operation.
type Outcome struct {
	Errs    []string
	Panic   string
	Readies []host.Ready
	Sent    []host.Packet
	Status  *host.Status // of the member that the operation was for
}

func (o *Outcome) reset() { *o = Outcome{Errs: o.Errs[:0], Readies: o.Readies[:0], Sent: o.Sent[:0]} }

func (o *Outcome) fail(err error) {
	if err != nil {
		o.Errs = append(o.Errs, err.Error())
	}
}

// Text is the outcome in full.
func (o *Outcome) Text(b []byte) []byte {
	for _, e := range o.Errs {
		b = append(append(append(b, "error "...), e...), '\n')
	}
	if o.Panic != "" {
		b = append(append(append(b, "panic "...), o.Panic...), '\n')
	}
	for i := range o.Readies {
		b = host.AppendReady(b, &o.Readies[i])
	}
	for i := range o.Sent {
		b = append(host.AppendPacket(append(b, "sent "...), &o.Sent[i]), '\n')
	}
	if o.Status != nil {
		b = host.AppendStatus(b, o.Status)
	}
	return b
}

// Summary is the outcome without how it is cut into Readys: what each peer is sent, in order; what
// is stored and applied; the final state.
func (o *Outcome) Summary() []byte {
	sum := Outcome{Errs: o.Errs, Panic: o.Panic, Status: o.Status}
	var all host.Ready
	for i := range o.Readies {
		rd := &o.Readies[i]
		if rd.Soft != nil {
			all.Soft = rd.Soft
		}
		if rd.Hard != (pb.HardState{}) {
			all.Hard = rd.Hard
		}
		if rd.Snapshot.Metadata.Index > 0 {
			all.Snapshot = rd.Snapshot
		}
		all.ReadStates = append(all.ReadStates, rd.ReadStates...)
		all.Entries = append(all.Entries, rd.Entries...)
		all.Committed = append(all.Committed, rd.Committed...)
	}
	sum.Sent = append(sum.Sent, o.Sent...)
	for i := range o.Readies {
		for _, p := range o.Readies[i].Messages {
			if p.Type == pb.MsgStorageAppend {
				for _, r := range host.Decode(p.Raw).Responses {
					sum.Sent = append(sum.Sent, host.Encode(r)) // will be, when the write is done
				}
			}
		}
	}
	slices.SortStableFunc(sum.Sent, func(a, b host.Packet) int { return cmp.Compare(a.To, b.To) })
	return host.AppendReady(sum.Text(nil), &all)
}
