package rafttest

import (
	"strconv"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// network carries the encoded messages between members.
type network struct {
	w       *world
	links   [maxMembers + 1][maxMembers + 1]link // from, to
	packets []packet
	free    []uint32
	steady  bool // no jitter
}

// link is one direction between two members.
type link struct {
	src  source
	cuts int // how many faults cut it now
	slow int // how many faults slow it now
}

// packet is a message on its way.
type packet struct {
	data     []byte
	from, to uint64
	epoch    uint32 // the recipient's when it was sent
	copies   uint8  // arrivals still to come
	snapshot bool
	sent     int64
}

func (n *network) init(w *world) {
	n.w = w
	for from := 1; from <= maxMembers; from++ {
		for to := 1; to <= maxMembers; to++ {
			n.links[from][to].src = *newSource(w.sim.Seed, streamLink, uint64(from), uint64(to))
		}
	}
}

// send puts m on its way. The oracles have seen it.
func (n *network) send(from *Member, m *pb.Message) {
	if m.To == 0 || m.To > maxMembers {
		n.w.fail(OracleMessage, from, "%s to %d, which nobody is", m.Type, m.To)
		return
	}
	l := &n.links[from.id][m.To]
	to := n.w.members[m.To]
	p := &n.w.profile
	lost := l.cuts > 0 || !n.w.healed && l.src.chance(p.DropChance)
	if to == nil || lost {
		n.lose(from, m, l)
		return
	}
	slot := n.slot()
	k := &n.packets[slot]
	data, err := appendMessage(k.data[:0], m)
	if err != nil {
		n.w.fail(OracleMessage, from, "%s cannot be encoded: %v", m.Type, err)
		return
	}
	*k = packet{
		data: data, from: from.id, to: m.To, epoch: to.epoch, copies: 1,
		snapshot: m.Type == pb.MsgSnap, sent: n.w.now,
	}
	n.launch(l, slot, m.To)
	if !n.w.healed && l.src.chance(p.DuplicateChance) {
		k.copies++
		n.launch(l, slot, m.To)
	}
}

func (n *network) launch(l *link, slot uint32, to uint64) {
	at := n.w.now + n.delay(l)
	if n.packets[slot].snapshot {
		at += n.w.profile.DelayMicros * 2
	}
	n.w.queue.push(event{at: at, kind: eventDeliver, arg: slot, who: uint16(to)})
}

// delay draws how long a message takes: most take about the typical time, some
// several times as long.
func (n *network) delay(l *link) int64 {
	typical := n.w.profile.DelayMicros
	if n.steady {
		return typical
	}
	d := l.src.between(typical/2, typical*3/2)
	if !n.w.healed && l.src.chance(n.w.profile.SlowChance) {
		d += l.src.between(typical, n.w.profile.SlowMicros)
	}
	if l.slow > 0 {
		d += typical * 8
	}
	return d
}

// appendMessage appends the encoding of m to buf.
func appendMessage(buf []byte, m *pb.Message) ([]byte, error) {
	size := m.Size()
	if cap(buf) < size {
		buf = make([]byte, size, size+size/2)
	}
	buf = buf[:size]
	_, err := m.MarshalToSizedBuffer(buf)
	return buf, err
}

func (n *network) slot() uint32 {
	if last := len(n.free) - 1; last >= 0 {
		slot := n.free[last]
		n.free = n.free[:last]
		return slot
	}
	n.packets = append(n.packets, packet{})
	return uint32(len(n.packets) - 1)
}

// lose drops a message. A transport often notices; then it tells its member.
func (n *network) lose(from *Member, m *pb.Message, l *link) {
	n.w.stats.Dropped++
	n.w.trace.message(n.w, traceDrop, m, n.w.now)
	to := m.To
	noticed := l.src.below(4) != 0
	if m.Type == pb.MsgSnap {
		n.w.after(TickMicros, from, func() { from.reportSnapshot(to, raft.SnapshotFailure) })
	} else if noticed && l.src.below(4) == 0 {
		n.w.after(TickMicros, from, func() { from.reportUnreachable(to) })
	}
}

// arrive hands a message over, if there is still somebody to take it.
func (n *network) arrive(slot uint32) {
	k := &n.packets[slot]
	l := &n.links[k.from][k.to]
	to, from := n.w.members[k.to], n.w.members[k.from]
	if l.cuts > 0 || to.epoch != k.epoch || !to.running() {
		n.w.stats.Dropped++
		n.w.trace.lost(n.w, k)
		if k.snapshot && k.copies == 1 {
			id := k.to
			n.w.after(TickMicros, from, func() { from.reportSnapshot(id, raft.SnapshotFailure) })
		}
		n.done(slot)
		return
	}
	if to.state == statePaused {
		to.backlog = append(to.backlog, event{kind: eventDeliver, arg: slot})
		return
	}
	n.handOver(slot, to)
}

// handOver lets the member take the message.
func (n *network) handOver(slot uint32, to *Member) {
	k := &n.packets[slot]
	n.w.stats.Delivered++
	n.w.count(to, eventDeliver, hashBytes(k.from, k.data))
	var m pb.Message
	if err := m.Unmarshal(k.data); err != nil {
		n.w.fail(OracleMessage, to, "message from %d cannot be decoded: %v", k.from, err)
		return
	}
	n.w.trace.message(n.w, traceDeliver, &m, k.sent)
	if k.snapshot {
		from, id := n.w.members[k.from], k.to
		n.w.after(n.w.profile.DelayMicros, from, func() {
			from.reportSnapshot(id, raft.SnapshotFinish)
		})
	}
	n.done(slot)
	to.step(m)
}

// done gives one arrival of a packet up.
func (n *network) done(slot uint32) {
	k := &n.packets[slot]
	k.copies--
	if k.copies == 0 {
		n.free = append(n.free, slot)
	}
}

// cut takes links away for a while, in one of several shapes.
func (n *network) cut(src *source, length int64) {
	ids := n.w.liveIDs()
	if len(ids) < 2 {
		return
	}
	a := ids[src.below(uint64(len(ids)))]
	if leader := n.w.leader(); leader != nil && src.below(3) == 0 {
		a = leader.id
	}
	b := a
	for b == a {
		b = ids[src.below(uint64(len(ids)))]
	}
	shape := src.below(6)
	side := src.Uint64() // a bit per member: which half it is in
	var cut [][2]uint64
	for _, x := range ids {
		for _, y := range ids {
			if x != y && isCut(shape, x, y, a, b, side) {
				cut = append(cut, [2]uint64{x, y})
			}
		}
	}
	n.w.trace.cut(n.w, cut, length)
	n.change(cut, 1)
	n.w.after(length, nil, func() {
		if !n.w.healed {
			n.change(cut, -1)
		}
	})
}

// isCut reports whether a cut of that shape takes the link from x to y away.
func isCut(shape, x, y, a, b, side uint64) bool {
	switch shape {
	case 0, 1: // a is alone
		return x == a || y == a
	case 2: // a hears nobody
		return y == a
	case 3: // nobody hears a
		return x == a
	case 4: // only a and b cannot talk
		return x == a && y == b || x == b && y == a
	default: // two halves
		return side>>x&1 != side>>y&1
	}
}

func (n *network) change(cut [][2]uint64, by int) {
	for _, pair := range cut {
		n.links[pair[0]][pair[1]].cuts += by
	}
}

// slowDown makes all links of one member slow for a while.
func (n *network) slowDown(src *source, length int64) {
	m := n.w.pickLive(src)
	if m == nil {
		return
	}
	n.w.trace.note(n.w, m, "links are slow")
	n.addSlow(m.id, 1)
	n.w.after(length, nil, func() {
		if !n.w.healed {
			n.addSlow(m.id, -1)
		}
	})
}

func (n *network) addSlow(id uint64, by int) {
	for other := 1; other <= maxMembers; other++ {
		n.links[id][other].slow += by
		n.links[other][id].slow += by
	}
}

// heal opens all links.
func (n *network) heal() {
	for from := range n.links {
		for to := range n.links[from] {
			n.links[from][to].cuts, n.links[from][to].slow = 0, 0
		}
	}
}

// liveIDs returns the members whose process runs, in order.
func (w *world) liveIDs() []uint64 {
	var ids []uint64
	for _, m := range w.members {
		if m != nil && m.running() {
			ids = append(ids, m.id)
		}
	}
	return ids
}

func idText(id uint64) string { return strconv.FormatUint(id, 10) }
