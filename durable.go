package raft

import pb "quorate.example/raft/raftpb"

// What the host's log writer and state machine report. With synchronous writes Advance reports it for
// them.

// onAppendDurable is the log writer's report as a message.
func (r *raft) onAppendDurable(m *pb.Message) error {
	r.written(&writeReport{term: m.Term, id: entryID{term: m.LogTerm, index: m.Index}, snapshot: m.Snapshot})
	return nil
}

// written notes what was written: entries, and maybe a snapshot. Entries that were handed out in
// another term may have been overwritten since; a snapshot cannot have been.
func (r *raft) written(w *writeReport) {
	if w.id.index != 0 && w.term == r.term {
		r.log.stableTo(w.id)
	}
	if w.snapshot != nil {
		r.snapshotDurable(w.snapshot)
	}
}

// onOwnAck is the leader's acknowledgement to itself, in the term of the leadership.
func (r *raft) onOwnAck(index uint64) {
	if r.state != StateLeader {
		return
	}
	if p := r.peers.Get(r.id); p != nil {
		p.RecentActive = true
		r.onAppendAck(p, index)
	}
}

// stepOwn steps what this member tells itself now that it is durable. A step may queue more of it, but
// only for the next Ready.
func (r *raft) stepOwn() {
	o := r.out.load
	n := o.ownTaken
	for i := 0; i < n; i++ {
		r.stepLocal(&o.own[i])
	}
	rest := copy(o.own, o.own[n:])
	clear(o.own[rest:])
	o.own, o.ownTaken = o.own[:rest], 0
}

// snapshotDurable notes that s, if there is one, is on disk, and so all of it is applied.
func (r *raft) snapshotDurable(s *pb.Snapshot) {
	if s != nil {
		i := s.Metadata.Index
		if r.log.tail.snapshotStable(i); r.log.tail.snapshot == nil {
			if r.rare != nil {
				r.rare.beforeSnapshot = nil
			}
		}
		r.appliedTo(i, 0)
	}
}

// onApplied is the state machine's report as a message.
func (r *raft) onApplied(m *pb.Message) error {
	if n := len(m.Entries); n > 0 && m.Entries[n-1].Index > r.log.apply.handed {
		return badMessage(m, "Entries", m.Entries[n-1].Index, "entries that were handed out")
	}
	if len(m.Entries) > 0 {
		r.applied(m.Entries, entsSize(m.Entries))
	}
	return nil
}

// applied notes that the host has applied ents, which have size bytes.
func (r *raft) applied(ents []pb.Entry, size uint64) {
	r.appliedTo(ents[len(ents)-1].Index, size)
	if l := r.leadership; l != nil && l.uncommitted > 0 {
		l.uncommitted -= min(payloadsSize(ents), l.uncommitted)
	}
}

// appliedTo notes that everything up to i is applied, size bytes of it now. A leader leaves an
// automatic joint configuration as soon as it has applied it (thesis 4.3).
func (r *raft) appliedTo(i, size uint64) {
	r.log.appliedTo(max(i, r.log.apply.applied), size)
	if r.state != StateLeader || !r.peers.AutoLeave() || r.log.apply.applied < r.leadership.confIndex {
		return
	}
	leave := pb.Message{Type: pb.MsgProp, Entries: []pb.Entry{{Type: pb.EntryConfChangeV2}}}
	if err := r.step(&leave); err != nil {
		r.logger.debug("does not leave the joint configuration yet", logErr(err))
	}
}
