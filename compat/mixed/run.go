package mixed

import (
	"fmt"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// Run runs the plan: all members on the old library, swapped one by one to the new one, and back. It
// returns an error if an acknowledged entry is lost or changes its place, if a read misses one, or
// if the cluster has not one leader and one state in the end.
func Run(p Plan) (rep Report, err error) {
	w := newWorld(p)
	defer func() {
		if r := recover(); r != nil {
			rep, err = w.report, fmt.Errorf("panic: %v", r)
		}
	}()
	for _, h := range w.hosts {
		w.start(h)
	}
	w.lossy = true
	w.work(p.Steps)
	for _, to := range []host.Maker{p.New, p.Old} {
		for _, i := range w.rnd.Perm(len(w.hosts)) {
			w.swap(w.hosts[i], to)
			if w.err != nil {
				return w.report, w.err
			}
		}
		if err := w.converge(); err != nil {
			return w.report, err
		}
		w.lossy = true
	}
	return w.report, w.err
}

// swap stops a member, lets the others work, and starts it on the other library.
func (w *world) swap(h *host.Host, to host.Maker) {
	if w.rnd.IntN(2) == 0 {
		w.settle(h)
	}
	h.Crash()
	w.work(w.rnd.IntN(w.plan.Steps))
	h.Make = to
	w.start(h)
	w.report.Swaps++
	w.work(w.plan.Steps)
}

// work does n random things.
func (w *world) work(n int) {
	for i := 0; i < n && w.err == nil; i++ {
		switch x := w.rnd.IntN(1000); {
		case x < 640:
			w.deliver()
		case x < 840:
			w.tick()
		default:
			w.client(x)
		}
	}
}

// client does what applications and operators do.
func (w *world) client(x int) {
	h := w.hosts[w.rnd.IntN(len(w.hosts))]
	if l := w.leader(); l != nil && w.rnd.IntN(4) > 0 {
		h = l
	}
	if !h.Up() {
		return
	}
	switch {
	case x < 920:
		w.propose(h)
	case x < 960:
		ctx := fmt.Sprintf("read-%d", len(w.asked))
		w.asked[ctx] = w.last
		h.Raw.ReadIndex([]byte(ctx))
	case x < 968:
		w.change(h)
	case x < 974:
		h.Raw.TransferLeader(1 + w.rnd.Uint64N(uint64(len(w.hosts))))
		w.report.Transfers++
	case x < 978:
		w.restart(h)
		return
	default:
		h.Snapshot()
		h.Disk.Compact(h.Disk.Snap.Metadata.Index - min(h.Disk.Snap.Metadata.Index, w.rnd.Uint64N(4)))
	}
	w.settle(h)
}

func (w *world) propose(h *host.Host) {
	data := fmt.Sprintf("%d-%d-%0*d", w.plan.Seed, w.rnd.Uint64(), 1+w.rnd.IntN(200), 0)
	// A refused proposal has no effect; one that is lost under way stays pending.
	if h.Raw.Propose([]byte(data)) == nil {
		w.pending[data] = h.Opt.ID
	}
}

// restart crashes a member, if no other is down, and starts it again at once.
func (w *world) restart(h *host.Host) {
	h.Crash()
	h.Opt.Async = w.rnd.IntN(2) == 0
	w.start(h)
}

// change proposes to exchange a voter for the member outside, or to leave a joint configuration.
func (w *world) change(h *host.Host) {
	_, conf := h.Disk.Applied()
	if len(conf.Voters) == 0 {
		return
	}
	in := map[uint64]bool{}
	for _, id := range conf.Voters {
		in[id] = true
	}
	cc := pb.ConfChangeV2{}
	if len(conf.VotersOutgoing) == 0 {
		cc.Transition = pb.ConfChangeTransition(w.rnd.IntN(3))
		for id := uint64(1); id <= uint64(len(w.hosts)); id++ {
			if !in[id] {
				cc.Changes = append(cc.Changes, pb.ConfChangeSingle{Type: pb.ConfChangeAddNode, NodeID: id})
			}
		}
		if out := conf.Voters[w.rnd.IntN(len(conf.Voters))]; len(in) > w.plan.Members-1 {
			kind := pb.ConfChangeRemoveNode
			if w.rnd.IntN(2) == 0 {
				kind = pb.ConfChangeAddLearnerNode
			}
			cc.Changes = append(cc.Changes, pb.ConfChangeSingle{Type: kind, NodeID: out})
		}
	}
	_ = h.Raw.ProposeConfChange(cc) // refused while another one is under way
}

// converge runs the cluster without losses until it has one leader and one state.
func (w *world) converge() error {
	w.lossy = false
	for _, h := range w.hosts {
		w.settle(h)
	}
	for i := 0; i < 60000; i++ {
		if w.err != nil {
			return w.err
		}
		if w.rnd.IntN(6) == 0 {
			w.tick()
		} else {
			w.deliver()
		}
		if i%200 == 0 {
			if l := w.leader(); l != nil && i%1000 == 0 {
				w.propose(l)
				// v3.6.0 refuses a snapshot from before its own return to the configuration.
				l.Snapshot()
				w.settle(l)
			}
			if w.settled() {
				return nil
			}
		}
	}
	return fmt.Errorf("no common state after all is healed: %s", w.state())
}

// settled reports whether the members have one leader, a simple configuration, and applied the same
// entries, the acknowledged ones among them.
func (w *world) settled() bool {
	l := w.leader()
	if l == nil {
		return false
	}
	index, digest := l.Disk.Digest()
	_, conf := l.Disk.Applied()
	b := l.Raw.Basic()
	if index < w.last || index != b.Hard.Commit || index != l.Disk.Last() {
		return false
	}
	if len(conf.VotersOutgoing) > 0 {
		w.change(l)
		w.settle(l)
		return false
	}
	for _, id := range append(conf.Voters, conf.Learners...) {
		h := w.hosts[id-1]
		i, d := h.Disk.Digest()
		if i != index || d != digest || h.Raw.Basic().Soft.Lead != b.ID {
			return false
		}
	}
	w.report.Digest = digest
	return true
}

func (w *world) state() (s string) {
	if l := w.leader(); l != nil {
		s = string(host.AppendStatus(nil, ptr(l.Raw.Status())))
	}
	for _, h := range w.hosts {
		index, digest := h.Disk.Digest()
		_, conf := h.Disk.Applied()
		s += fmt.Sprintf("\n  %+v applied %d digest %x %v", h.Raw.Basic(), index, digest, conf)
	}
	return s
}

func ptr[T any](v T) *T { return &v }
