// Package mixed runs one cluster whose members come from different libraries, and swaps them one by
// one from the old library to the new one and back while the cluster works, each on the storage that
// the other left. Everything runs in one goroutine from a seed.
package mixed

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// Plan says what to run.
type Plan struct {
	Seed                 uint64
	Members              int // voters at the start; one more member waits to be added
	PreVote, CheckQuorum bool
	Old, New             host.Maker
	Steps                int // between two swaps
}

// Report counts what happened, so that a test can see that enough did.
type Report struct {
	Acknowledged, Reads, Swaps, Elections, Snapshots, Changes, Transfers int
	Digest                                                               uint64 // of all that was applied, in order
}

// world is the cluster, its network and its clients.
type world struct {
	plan    Plan
	rnd     *rand.Rand
	hosts   []*host.Host
	net     []host.Packet
	lossy   bool
	report  Report
	history map[uint64]uint64 // applied entries: index to hash
	asked   map[string]uint64 // acknowledged when a read was asked for
	leaders map[uint64]uint64 // term to leader
	last    uint64            // the highest acknowledged index
	pending map[string]uint64 // payloads proposed and not yet seen applied: by which member
	err     error
}

func newWorld(p Plan) *world {
	w := &world{
		plan: p, rnd: rand.New(rand.NewPCG(p.Seed, 0)), history: map[uint64]uint64{},
		asked: map[string]uint64{}, leaders: map[uint64]uint64{}, pending: map[string]uint64{},
	}
	var conf pb.ConfState
	for id := uint64(1); id <= uint64(p.Members); id++ {
		conf.Voters = append(conf.Voters, id)
	}
	for id := uint64(1); id <= uint64(p.Members+1); id++ {
		h := &host.Host{Make: p.Old, Disk: host.NewDisk(0, 0, pb.ConfState{})}
		if id <= uint64(p.Members) {
			h.Disk = host.NewDisk(3, 1, conf)
		}
		h.Opt = host.Options{
			ID: id, ElectionTick: 10, HeartbeatTick: 1, MaxSizePerMsg: 2000, MaxInflightMsgs: 8,
			PreVote: p.PreVote, CheckQuorum: p.CheckQuorum, Async: w.rnd.IntN(2) == 0,
			MaxUncommittedEntriesSize: 1 << 20, Draw: w.rnd.Uint64,
		}
		h.OnApply = func(e pb.Entry) { w.applied(id, e) }
		w.hosts = append(w.hosts, h)
	}
	return w
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// applied checks that all members apply the same entries, and acknowledges those that were proposed
// at this member.
func (w *world) applied(id uint64, e pb.Entry) {
	sum := host.Hash(e.Data) ^ e.Term<<32 ^ uint64(e.Type)
	if was, ok := w.history[e.Index]; ok && was != sum {
		w.fail("member %d applied something else at %d than another did", id, e.Index)
	}
	w.history[e.Index] = sum
	if e.Type != pb.EntryNormal {
		w.report.Changes++
		return
	}
	if at, ok := w.pending[string(e.Data)]; ok && at == id {
		delete(w.pending, string(e.Data))
		w.report.Acknowledged++
		w.last = max(w.last, e.Index)
	}
}

func (w *world) start(h *host.Host) {
	if err := h.Start(w.rnd.IntN(2) == 0); err != nil {
		w.fail("member %d does not start: %w", h.Opt.ID, err)
	}
	w.settle(h)
}

// settle does what the host of a member does after an input.
func (w *world) settle(h *host.Host) {
	h.Drain()
	if h.Opt.Async && (!w.lossy || w.rnd.IntN(3) > 0) {
		h.Settle()
	}
	w.see(h)
	w.net = append(w.net, h.Out...)
	h.Reset()
}

// see checks what a host learnt.
func (w *world) see(h *host.Host) {
	for i := range h.Seen {
		rd := &h.Seen[i]
		if rd.Snapshot.Metadata.Index > 0 {
			w.report.Snapshots++
		}
		for _, r := range rd.ReadStates {
			asked, ok := w.asked[string(r.Ctx)]
			if !ok {
				w.fail("member %d answers a read that nobody asked for", h.Opt.ID)
			}
			if r.Index < asked {
				w.fail("a read of member %d at %d misses the acknowledged entry %d", h.Opt.ID, r.Index, asked)
			}
			w.report.Reads++
		}
	}
	b := h.Raw.Basic()
	if b.Soft.Role != host.Leader {
		return
	}
	if other, ok := w.leaders[b.Hard.Term]; !ok {
		w.leaders[b.Hard.Term] = b.ID
		w.report.Elections++
	} else if other != b.ID {
		w.fail("members %d and %d both lead in term %d", other, b.ID, b.Hard.Term)
	}
}

// deliver hands over one of the oldest packets, or loses it, or keeps it for a second time.
func (w *world) deliver() {
	if len(w.net) == 0 {
		return
	}
	i := w.rnd.IntN(min(len(w.net), 6))
	p := w.net[i]
	if !w.lossy || w.rnd.IntN(50) > 0 {
		w.net = slices.Delete(w.net, i, i+1)
	}
	h := w.hosts[p.To-1]
	lost := !h.Up() || w.lossy && w.rnd.IntN(25) == 0
	if !lost {
		// An error means that the message is of no use to the receiver.
		_ = h.Raw.Step(p.Raw)
		w.settle(h)
	}
	sender := w.hosts[p.From-1]
	if !sender.Up() {
		return
	}
	switch {
	case p.Type == pb.MsgSnap:
		sender.Raw.ReportSnapshot(p.To, lost)
	case lost:
		sender.Raw.ReportUnreachable(p.To)
	default:
		return
	}
	w.settle(sender)
}

func (w *world) tick() {
	if h := w.hosts[w.rnd.IntN(len(w.hosts))]; h.Up() {
		h.Raw.Tick()
		w.settle(h)
	}
}

// leader returns the running leader of the highest term, or nil.
func (w *world) leader() *host.Host {
	var best *host.Host
	term := uint64(0)
	for _, h := range w.hosts {
		if !h.Up() {
			continue
		}
		if b := h.Raw.Basic(); b.Soft.Role == host.Leader && b.Hard.Term > term {
			best, term = h, b.Hard.Term
		}
	}
	return best
}
