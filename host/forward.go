package host

import (
	"encoding/binary"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// FrameMagic is how the entry of a forwarded proposal begins; see the package comment.
const FrameMagic = "\xf7qF\x01"

const frameBytes = len(FrameMagic) + 3*8

// frame names a forwarded proposal. Its entry may only be appended in its term; the zero frame is that of an
// escaped proposal.
type frame struct {
	term   uint64
	origin uint64 // one life of one member
	seq    uint64
}

func (f frame) put(data []byte) []byte {
	out := make([]byte, 0, frameBytes+len(data))
	out = append(out, FrameMagic...)
	for _, n := range [...]uint64{f.term, f.origin, f.seq} {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	return append(out, data...)
}

// cutFrame splits what an entry holds. The frame is zero if there is none.
func cutFrame(data []byte) (f frame, rest []byte) {
	if len(data) < frameBytes || string(data[:len(FrameMagic)]) != FrameMagic {
		return f, data
	}
	head := data[len(FrameMagic):]
	f.term = binary.LittleEndian.Uint64(head)
	f.origin = binary.LittleEndian.Uint64(head[8:])
	f.seq = binary.LittleEndian.Uint64(head[16:])
	return f, data[frameBytes:]
}

// escape puts data into a frame if it could be taken for one.
func escape(data []byte) []byte {
	if len(data) >= frameBytes && string(data[:len(FrameMagic)]) == FrameMagic {
		return frame{}.put(data)
	}
	return data
}

// seqWindow is how far the names of one member's forwarded proposals may be apart while a leader can still
// tell whether it has one.
const seqWindow = 1 << 14

// forwarded is both ends of forwarding: what this member asked others to append, and what it appended for
// others in this term.
//
// The message may be lost or doubled on its way, so it is sent again until it is decided, and the leader keeps
// which ones it has. It need not remember them beyond its term, since they may not be appended in another one;
// and in that case the member that waits learns that they are lost.
type forwarded struct {
	origin  uint64
	seq     uint64
	pending map[uint64]*proposal
	order   []*proposal // of pending, and some that are decided

	term uint64 // the term that seen is for
	seen map[uint64]*seqSet
}

func (f *forwarded) init(origin uint64) {
	f.origin = origin
	f.pending = map[uint64]*proposal{}
}

// forward sends what waits to the leader.
func (e *engine) forward(st *raft.BasicStatus) {
	f, p := &e.forwarded, &e.proposals
	for len(p.waiting) > 0 {
		if f.full() {
			e.dropWaiting(dropped(DropQueueFull, nil))
			return
		}
		batch, entries := p.claim()
		for i, x := range batch {
			f.seq++
			x.term, x.seq = st.Term, f.seq
			x.data = frame{term: st.Term, origin: f.origin, seq: f.seq}.put(x.data)
			entries[i].Data = x.data
			f.pending[x.seq] = x
		}
		f.order = append(f.order, batch...)
		e.forwardEntries(entries)
	}
}

// full reports whether the oldest one that is not decided is too old for a leader to remember the newest.
func (f *forwarded) full() bool {
	f.trim()
	return len(f.order) > 0 && f.seq-f.order[0].seq >= seqWindow/2
}

// trim forgets those at the front that are decided.
func (f *forwarded) trim() {
	for len(f.order) > 0 && f.pending[f.order[0].seq] == nil {
		f.order[0] = nil
		f.order = f.order[1:]
	}
}

func (e *engine) forwardEntries(entries []pb.Entry) {
	if len(entries) == 0 {
		return
	}
	// Package raft passes it on. If it cannot now, it is sent again.
	_ = e.node.Step(pb.Message{Type: pb.MsgProp, From: e.cfg.ID, Entries: entries})
}

// tick sends again what is not decided: the message may have been lost.
func (f *forwarded) tick(e *engine) {
	if len(f.pending) == 0 || e.ticks%uint64(max(e.cfg.ElectionTicks/2, 1)) != 0 {
		return
	}
	f.trim()
	st := e.node.BasicStatus()
	if st.Lead == raft.None || st.RaftState == raft.StateLeader {
		return
	}
	var entries []pb.Entry
	bytes := 0
	for _, x := range f.order {
		if x.term == st.Term && f.pending[x.seq] != nil && bytes < batchBytes {
			entries = append(entries, pb.Entry{Data: x.data})
			bytes += len(x.data)
		}
	}
	e.forwardEntries(entries)
}

// resolve answers the proposal of this member that entry holds, and those of earlier terms that cannot come
// any more.
func (f *forwarded) resolve(e *engine, entry *pb.Entry, result any) {
	if len(f.pending) == 0 {
		return
	}
	if name, _ := cutFrame(entry.Data); name.origin == f.origin && entry.Type == pb.EntryNormal {
		if x := f.pending[name.seq]; x != nil {
			delete(f.pending, name.seq)
			e.counters.applied.Add(1)
			x.settle(Result{Index: entry.Index, Term: entry.Term, Value: result}, nil)
		}
	}
	for f.trim(); len(f.order) > 0 && f.order[0].term < entry.Term; f.trim() {
		x := f.order[0]
		delete(f.pending, x.seq)
		e.counters.lost.Add(1)
		x.settle(Result{}, ErrLost)
	}
}

// giveUp ends all that wait.
func (f *forwarded) giveUp(e *engine, err error) {
	for _, x := range f.order {
		if f.pending[x.seq] != nil {
			delete(f.pending, x.seq)
			e.counters.unknown.Add(1)
			x.settle(Result{}, err)
		}
	}
	f.order = nil
}

// admitForwarded returns those of another member's proposals that this leader may append: of this term, and
// not appended yet. A member that does not lead passes them on.
func (e *engine) admitForwarded(entries []pb.Entry) []pb.Entry {
	st := e.node.BasicStatus()
	if st.RaftState != raft.StateLeader {
		return entries
	}
	f := &e.forwarded
	if f.term != st.Term {
		f.term, f.seen = st.Term, map[uint64]*seqSet{}
	}
	kept := make([]pb.Entry, 0, len(entries))
	for i := range entries {
		name, _ := cutFrame(entries[i].Data)
		if name.origin == 0 || entries[i].Type != pb.EntryNormal {
			kept = append(kept, entries[i])
			continue
		}
		if name.term != st.Term || st.LeadTransferee != raft.None {
			continue
		}
		set := f.seen[name.origin]
		if set == nil {
			set = &seqSet{bits: make([]uint64, seqWindow/64)}
			f.seen[name.origin] = set
		}
		if set.add(name.seq) {
			kept = append(kept, entries[i])
		}
	}
	return kept
}

// forgetForwarded notes that proposals of others, which were admitted, were not appended.
func (e *engine) forgetForwarded(m *pb.Message) {
	for i := range m.Entries {
		name, _ := cutFrame(m.Entries[i].Data)
		if set := e.forwarded.seen[name.origin]; set != nil && m.Type == pb.MsgProp {
			*set.word(name.seq) &^= 1 << (name.seq % 64)
		}
	}
}

// seqSet remembers which of the newest numbers it has seen.
type seqSet struct {
	newest uint64
	bits   []uint64 // of the numbers above newest-seqWindow, by number modulo seqWindow
}

// add reports whether n is new. Numbers that are too old to be told count as seen.
func (s *seqSet) add(n uint64) bool {
	if n+seqWindow <= s.newest {
		return false
	}
	for ; s.newest < n; s.newest++ {
		if n-s.newest > seqWindow {
			clear(s.bits)
			s.newest = n - seqWindow
		}
		*s.word(s.newest + 1) &^= 1 << ((s.newest + 1) % 64)
	}
	word, bit := s.word(n), uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

func (s *seqSet) word(n uint64) *uint64 { return &s.bits[n%seqWindow/64] }
