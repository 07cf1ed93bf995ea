package floor

import (
	"encoding/binary"
	"slices"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// peer is what the leader knows of a member.
type peer struct {
	id     uint64
	match  uint64 // acknowledged
	next   uint64 // to be sent
	commit uint64 // the commit index sent
	read   uint64 // number of the newest read acknowledged
}

// RawNode is a member of a group.
type RawNode struct {
	config  raft.Config
	storage *Storage
	leader  bool
	lead    uint64
	self    int // slot of this member in peers
	peers   []peer
	scratch []uint64

	tail     []pb.Entry // entries after base, append-only; what left is never written again
	base     uint64
	last     uint64
	handed   uint64 // entries up to here were in a Ready
	saved    uint64
	commit   uint64
	given    uint64 // committed entries up to here were in a Ready
	hard     pb.HardState
	soft     raft.SoftState
	inReady  []pb.Message // block that messages are cut from
	answer   pb.Message   // the acknowledgement that is due; newer ones take its place
	elapsed  int
	beat     bool   // heartbeats are due
	readNext uint64 // number of the newest read
	readDone uint64
	reads    []raft.ReadState
}

// NewRawNode starts a member on the configuration in c.Storage, which is a *Storage.
func NewRawNode(c *raft.Config) (*RawNode, error) {
	s := c.Storage.(*Storage)
	r := &RawNode{config: *c, storage: s, base: s.last(), last: s.last()}
	r.handed, r.saved, r.commit = r.last, r.last, s.hard.Commit
	r.given = r.commit
	r.hard = s.hard
	for i, id := range s.snapshot.Metadata.ConfState.Voters {
		r.peers = append(r.peers, peer{id: id, next: r.last + 1, match: r.last, commit: r.commit})
		if id == c.ID {
			r.self = i
		}
	}
	return r, nil
}

// Campaign makes this member the leader.
func (r *RawNode) Campaign() error {
	r.leader, r.lead, r.beat, r.hard.Term = true, r.config.ID, true, 1
	for i := range r.peers {
		r.peers[i].match = 0
	}
	r.peers[r.self].match = r.saved
	r.add(nil)
	return nil
}

// Leader returns who leads.
func (r *RawNode) Leader() uint64 { return r.lead }

// Term returns the term.
func (r *RawNode) Term() uint64 { return r.hard.Term }

// Propose appends an entry on the leader.
func (r *RawNode) Propose(data []byte) error {
	r.add(data)
	return nil
}

func (r *RawNode) add(data []byte) {
	r.grow(1)
	r.last++
	r.tail = append(r.tail, pb.Entry{Term: 1, Index: r.last, Data: data})
}

// grow makes room for n more entries, in a new block if need be, to which only those go that are not
// applied.
func (r *RawNode) grow(n int) {
	if len(r.tail)+n <= cap(r.tail) {
		return
	}
	rest := r.tail[min(uint64(len(r.tail)), r.given-min(r.given, r.base)):]
	block := make([]pb.Entry, len(rest), max(min(64, 2*cap(r.tail)), 2*(len(rest)+n)))
	copy(block, rest)
	r.base += uint64(len(r.tail) - len(rest))
	r.tail = block
}

func (r *RawNode) between(after, upTo uint64) []pb.Entry {
	return r.tail[after-r.base : upTo-r.base : upTo-r.base]
}

// Tick counts time, and heartbeats on the leader.
func (r *RawNode) Tick() {
	r.elapsed++
	if r.leader && r.elapsed >= r.config.HeartbeatTick {
		r.elapsed, r.beat = 0, true
	}
}

// ReadIndex asks for a read.
func (r *RawNode) ReadIndex(context []byte) {
	r.readNext++
	r.beat = true
	r.reads = append(r.reads, raft.ReadState{Index: r.commit, RequestCtx: context})
}

// Step takes a message.
func (r *RawNode) Step(m pb.Message) error {
	switch m.Type {
	case pb.MsgProp:
		for i := range m.Entries {
			r.add(m.Entries[i].Data)
		}
	case pb.MsgApp:
		r.grow(len(m.Entries))
		r.tail = append(r.tail, m.Entries...)
		r.last += uint64(len(m.Entries))
		r.commit = min(m.Commit, r.last)
		r.answer = pb.Message{Type: pb.MsgAppResp, To: m.From, From: r.config.ID, Term: 1, Index: r.last}
	case pb.MsgAppResp:
		r.acknowledged(m.From, m.Index)
	case pb.MsgHeartbeat:
		r.lead, r.elapsed, r.hard.Term = m.From, 0, 1
		r.commit = max(r.commit, min(m.Commit, r.last))
		r.answer = pb.Message{Type: pb.MsgHeartbeatResp, To: m.From, From: r.config.ID, Term: 1,
			Index: r.last, Context: m.Context}
	case pb.MsgHeartbeatResp:
		r.heard(m)
	}
	return nil
}

func (r *RawNode) slot(id uint64) *peer {
	if i := int(id - 1); i < len(r.peers) && r.peers[i].id == id {
		return &r.peers[i]
	}
	return &r.peers[slices.IndexFunc(r.peers, func(p peer) bool { return p.id == id })]
}

func (r *RawNode) acknowledged(from, index uint64) {
	p := r.slot(from)
	p.match = max(p.match, index)
	if index <= r.commit {
		return
	}
	have := 0
	for i := range r.peers {
		if r.peers[i].match >= index {
			have++
		}
	}
	switch {
	case have > len(r.peers)/2:
		r.commit = index
	case have == len(r.peers)/2:
		r.commit = max(r.commit, r.quorum(func(p *peer) uint64 { return p.match }))
	}
}

// quorum returns what more than half of the members have at least.
func (r *RawNode) quorum(of func(p *peer) uint64) uint64 {
	r.scratch = r.scratch[:0]
	for i := range r.peers {
		r.scratch = append(r.scratch, of(&r.peers[i]))
	}
	slices.Sort(r.scratch)
	return r.scratch[(len(r.peers)-1)/2]
}

// heard takes the answer to a heartbeat: a member that is behind is sent what it lacks, and reads may be
// confirmed.
func (r *RawNode) heard(m pb.Message) {
	p := r.slot(m.From)
	if p.match < m.Index {
		r.acknowledged(m.From, m.Index)
	}
	if m.Index+1 < p.next && m.Index < r.base {
		p.next = m.Index + 1
	}
	if len(m.Context) == 8 && r.readNext > r.readDone {
		p.read = binary.LittleEndian.Uint64(m.Context)
		r.peers[r.self].read = r.readNext
		r.readDone = r.quorum(func(p *peer) uint64 { return p.read })
	}
}
