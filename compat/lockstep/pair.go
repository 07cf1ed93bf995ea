package lockstep

import (
	"bytes"
	"fmt"
	"slices"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// pair is the two clusters of a case.
type pair struct {
	c        *Case
	ref, our *cluster
	refOut   Outcome
	ourOut   Outcome
	refText  []byte
	ourText  []byte
	watch    [maxMembers + 1]watch
	leaked   bool
	changed  bool     // a configuration change was applied in the last operation
	passed   []string // the IDs of differences that did not end the case, in the last operation
}

// watch is what the harness keeps of a member of the reference.
type watch struct {
	role, term uint64
	settled    bool     // leader: an entry of its term is committed, for all that its disk tells
	reads      []string // leader: contexts that it has not answered
	early      bool     // leader: reads came before the first commit of the term
	leak       bool     // an earlier leadership ended while reads waited for that commit

	basic       host.Basic        // as it was after the last operation
	members     []uint64          // of the configuration that it applied last
	removed     []uint64          // who was removed in the present operation
	last        uint64            // of the log, as far as it was handed out
	gone        map[uint64]uint64 // leader: removed members, and its last index then
	inherited   bool              // leader: started with entries that were not applied
	droppedConf bool              // leader: a proposal was dropped
	timeoutNow  bool              // leader: TimeoutNow was sent
	snapshots   []uint64          // leader: who waits for a snapshot
	refusals    map[uint64]int    // leader: of appends, by member, since its last acknowledgement
}

// End is why a case ended before its schedule did.
type End struct {
	RefPanic  string // the reference panicked with this
	ReadLeak  bool   // a read of an earlier leadership is about to be answered by the reference
	Explained string // the ID of a listed difference
	Diff      string // an unexplained difference
}

// Over reports whether e ends a case.
func (e *End) Over() bool { return *e != End{} }

func newPair(c *Case, libs Libraries) *pair {
	c.Default = libs.Default
	for i := range c.Options {
		c.Options[i].Mirror = !libs.Default // the reference has no such switch
	}
	p := &pair{c: c, ref: newCluster(c, libs.Reference), our: newCluster(c, libs.Ours)}
	for _, h := range p.ref.hosts {
		p.watch[h.Opt.ID].reconfigure(h.Disk)
		h.OnApply = func(e pb.Entry) {
			if e.Type != pb.EntryNormal {
				p.watch[h.Opt.ID].reconfigure(h.Disk)
				p.changed = true
			}
		}
	}
	return p
}

// Libraries says what to compare.
type Libraries struct {
	Reference, Ours host.Maker
	Default         bool // ours in its default mode, else with Mirror36
	Explainers      []Explainer
}

// start brings both clusters up.
func (p *pair) start(libs Libraries) End {
	a := &Action{text: "start"}
	return p.both(libs, a, func(cl *cluster, out *Outcome) { cl.start(out) })
}

// step carries out one operation on both. The action is nil if the operation means nothing now.
func (p *pair) step(libs Libraries, o Op) (*Action, End) {
	a, ok := p.resolve(o)
	if !ok {
		return nil, End{}
	}
	return a, p.both(libs, a, func(cl *cluster, out *Outcome) { cl.do(a, out) })
}

func (p *pair) both(libs Libraries, a *Action, f func(*cluster, *Outcome)) End {
	scene := p.scene(a)
	p.changed = false
	guard(p.ref, &p.refOut, f)
	if p.refOut.Panic != "" {
		return End{RefPanic: p.refOut.Panic}
	}
	guard(p.our, &p.ourOut, f)
	p.refText = p.refOut.Text(p.refText[:0])
	p.ourText = p.ourOut.Text(p.ourText[:0])
	p.passed = p.passed[:0]
	lead := p.watch[a.member]
	p.follow(a)
	p.watch[a.member].hear(&scene.Input)
	if p.leaked {
		return End{ReadLeak: true}
	}
	if bytes.Equal(p.refText, p.ourText) {
		return End{}
	}
	if !p.c.Default || p.ourOut.Panic != "" {
		return End{Diff: diff(p.refText, p.ourText)}
	}
	lead.gone, lead.refusals = p.watch[a.member].gone, p.watch[a.member].refusals
	scene.Lead, scene.Changed = &lead, p.changed
	_, scene.After = p.conf(max(a.member, 1))
	return p.explain(libs, scene)
}

// scene notes what is known before an operation.
func (p *pair) scene(a *Action) *Scene {
	s := &Scene{Action: a, Case: p.c, Before: p.watch[a.member].basic, Ref: &p.refOut, Our: &p.ourOut}
	switch a.Kind {
	case Deliver:
		if a.member > 0 {
			s.Input = host.Decode(p.ref.links[a.from][a.to][a.pos].Raw)
		}
	case Replay:
		s.Input = host.Decode(p.ref.old[a.pos].Raw)
	}
	return s
}

// explain looks for what the difference of the last operation comes from.
func (p *pair) explain(libs Libraries, s *Scene) End {
	our := p.ourOut
	s.Our = &our
	for _, e := range libs.Explainers {
		if e.Undo != nil && e.Undo(s.Ref, s.Our) {
			p.passed = append(p.passed, e.ID)
		}
	}
	refSum, ourSum := s.Ref.Summary(), s.Our.Summary()
	if bytes.Equal(refSum, ourSum) {
		return End{}
	}
	for _, e := range libs.Explainers {
		if e.Explains != nil && e.Explains(s) {
			return End{Explained: e.ID}
		}
	}
	return End{Diff: diff(refSum, ourSum)}
}

// guard calls f and turns a panic into part of the outcome.
func guard(cl *cluster, out *Outcome, f func(*cluster, *Outcome)) {
	out.reset()
	defer func() {
		if r := recover(); r != nil {
			out.Panic = fmt.Sprint(r)
		}
	}()
	f(cl, out)
}

// follow keeps watch over the member that acted.
func (p *pair) follow(a *Action) {
	if a.member == 0 {
		return
	}
	w := &p.watch[a.member]
	st := p.refOut.Status
	if st == nil { // crashed
		*w = watch{}
		w.reconfigure(p.ref.host(a.member).Disk)
		return
	}
	if w.role != st.Soft.Role || w.term != st.Hard.Term {
		w.leak = w.leak || w.early && !w.settled
		*w = watch{leak: w.leak, last: w.last, members: w.members, removed: w.removed, inherited: st.Applied < p.ref.host(a.member).Disk.Last()}
		p.leaked = p.leaked || w.leak && st.Soft.Role == host.Leader
	}
	w.role, w.term = st.Soft.Role, st.Hard.Term
	p.followLeader(w, st)
	if t, err := p.ref.host(a.member).Disk.Term(st.Hard.Commit); err == nil && t == w.term {
		w.settled = true
	}
	if len(w.reads) == 0 {
		return
	}
	for i := range p.refOut.Readies {
		for _, ctx := range answered(&p.refOut.Readies[i]) {
			w.reads = slices.DeleteFunc(w.reads, func(s string) bool { return s == ctx })
		}
	}
}

// followLeader keeps what explains differences of leaders.
func (p *pair) followLeader(w *watch, st *host.Status) {
	for i := range p.refOut.Readies {
		if ents := p.refOut.Readies[i].Entries; len(ents) > 0 {
			w.last = ents[len(ents)-1].Index
		}
	}
	w.basic = st.Basic
	w.snapshots = w.snapshots[:0]
	for i := range st.Visits {
		if st.Visits[i].Pending > 0 {
			w.snapshots = append(w.snapshots, st.Visits[i].ID)
		}
	}
	removed := w.removed
	w.removed = nil
	if st.Soft.Role != host.Leader {
		return
	}
	w.timeoutNow = w.timeoutNow || count(&p.refOut, pb.MsgTimeoutNow) > 0
	w.droppedConf = w.droppedConf || slices.Contains(p.refOut.Errs, "raft proposal dropped")
	for _, id := range removed {
		if w.gone == nil {
			w.gone = map[uint64]uint64{}
		}
		w.gone[id] = w.last
	}
}

// hear counts the refusals of appends.
func (w *watch) hear(m *pb.Message) {
	switch {
	case m.Type != pb.MsgAppResp || w.role != host.Leader:
	case !m.Reject:
		delete(w.refusals, m.From)
	default:
		if w.refusals == nil {
			w.refusals = map[uint64]int{}
		}
		w.refusals[m.From]++
	}
}

// reconfigure notes whom a configuration change that was just applied removed.
func (w *watch) reconfigure(d *host.Disk) {
	_, conf := d.Applied()
	now := slices.Concat(conf.Voters, conf.Learners, conf.VotersOutgoing, conf.LearnersNext)
	for _, id := range w.members {
		if !slices.Contains(now, id) {
			w.removed = append(w.removed, id)
		}
	}
	w.members = now
}

// answered returns the contexts of the reads that rd answers, here or to others.
func answered(rd *host.Ready) (ctxs []string) {
	for _, r := range rd.ReadStates {
		ctxs = append(ctxs, string(r.Ctx))
	}
	for i := range rd.Messages {
		if rd.Messages[i].Type == pb.MsgReadIndexResp {
			ctxs = append(ctxs, readCtx(&rd.Messages[i]))
		}
	}
	return ctxs
}

func readCtx(pkt *host.Packet) string {
	if m := host.Decode(pkt.Raw); len(m.Entries) > 0 {
		return string(m.Entries[0].Data)
	}
	return ""
}

// mayRead reports whether the packet may be delivered, by the rule for reads in the package comment.
func (p *pair) mayRead(to uint64, pkt *host.Packet) bool {
	return pkt.Type != pb.MsgReadIndex || p.admitRead(to, readCtx(pkt))
}

// admitRead reports whether a read may reach the member, and counts it if so.
func (p *pair) admitRead(id uint64, ctx string) bool {
	w := &p.watch[id]
	if w.role != host.Leader {
		return true
	}
	if len(w.reads) > 0 && !p.c.manyReads() {
		return false
	}
	w.reads = append(w.reads, ctx)
	w.early = w.early || !w.settled
	return true
}
