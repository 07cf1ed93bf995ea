package floor

import (
	"encoding/binary"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// HasReady reports whether there is something to do.
func (r *RawNode) HasReady() bool {
	return r.last > r.handed || r.toApply() > r.given || r.hard.Commit != r.commit || r.soft.Lead != r.lead ||
		r.beat || r.answer.To != 0 || len(r.reads) > 0 && r.readDone > r.readNext-uint64(len(r.reads)) || r.mustSend()
}

func (r *RawNode) toApply() uint64 { return min(r.commit, r.last) }

func (r *RawNode) mustSend() bool {
	if !r.leader {
		return false
	}
	for i := range r.peers {
		if i != r.self && (r.peers[i].next <= r.last || r.peers[i].commit != r.commit) {
			return true
		}
	}
	return false
}

// Ready returns what is to be done.
func (r *RawNode) Ready() (rd raft.Ready) {
	if r.soft.Lead != r.lead {
		r.soft.Lead = r.lead
		if r.leader {
			r.soft.RaftState = raft.StateLeader
		}
		rd.SoftState = &raft.SoftState{Lead: r.soft.Lead, RaftState: r.soft.RaftState}
	}
	if r.hard.Commit != r.commit {
		r.hard.Commit = r.commit
		rd.HardState = r.hard
	}
	if r.last > r.handed {
		rd.Entries, rd.MustSync = r.between(r.handed, r.last), true
		r.handed = r.last
	}
	if to := r.toApply(); to > r.given {
		rd.CommittedEntries = r.between(r.given, to)
		r.given = to
	}
	if confirmed := int(r.readDone + uint64(len(r.reads)) - r.readNext); confirmed > 0 && len(r.reads) > 0 {
		rd.ReadStates = r.reads[:confirmed:confirmed]
		r.reads = r.reads[confirmed:]
	}
	rd.Messages = r.messages()
	return rd
}

// messages cuts the messages that are due from a block.
func (r *RawNode) messages() []pb.Message {
	if !r.leader && r.answer.To == 0 {
		return nil
	}
	if cap(r.inReady)-len(r.inReady) < 2*len(r.peers) {
		size := 2 * len(r.peers)
		if cap(r.inReady) > 0 {
			size = max(64, 8*len(r.peers))
		}
		r.inReady = make([]pb.Message, 0, size)
	}
	from := len(r.inReady)
	if r.answer.To != 0 {
		r.inReady = append(r.inReady, r.answer)
		r.answer.To = 0
	}
	if r.leader {
		r.toPeers()
	}
	return r.inReady[from:len(r.inReady):len(r.inReady)]
}

func (r *RawNode) toPeers() {
	var context []byte
	if r.beat && r.readNext > r.readDone {
		context = binary.LittleEndian.AppendUint64(nil, r.readNext)
	}
	for i := range r.peers {
		if i == r.self {
			continue
		}
		p := &r.peers[i]
		if r.beat {
			r.inReady = append(r.inReady, pb.Message{Type: pb.MsgHeartbeat, To: p.id, From: r.config.ID, Term: 1,
				Commit: min(r.commit, p.match), Context: context})
		}
		for p.next <= r.last || p.commit != r.commit {
			entries := r.toSend(p.next)
			r.inReady = append(r.inReady, pb.Message{Type: pb.MsgApp, To: p.id, From: r.config.ID, Term: 1, LogTerm: 1,
				Index: p.next - 1, Commit: r.commit, Entries: entries})
			p.next += uint64(len(entries))
			p.commit = r.commit
		}
	}
	r.beat = false
}

func (r *RawNode) toSend(next uint64) []pb.Entry {
	if next > r.base {
		return r.between(next-1, r.last)
	}
	entries, _ := r.storage.Entries(next, r.base+1, r.config.MaxSizePerMsg)
	return entries
}

// Advance tells that the last Ready was worked off.
func (r *RawNode) Advance(raft.Ready) {
	if r.saved < r.handed {
		r.saved = r.handed
		if r.leader {
			r.acknowledged(r.config.ID, r.saved)
		}
	}
}
