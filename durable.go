package raft

import pb "quorate.example/raft/raftpb"

// What the host's log writer and state machine report. With synchronous writes Advance reports it for
// them.

// onAppendDurable notes what was written: entries, and maybe a snapshot. It was handed out in this
// term, so nothing can have overwritten the entries since.
func (r *raft) onAppendDurable(m pb.Message) error {
	if m.Index != 0 {
		r.log.stableTo(entryID{term: m.LogTerm, index: m.Index})
	}
	r.snapshotDurable(m.Snapshot)
	return nil
}

// snapshotDurable notes that s, if there is one, is on disk, and so all of it is applied.
func (r *raft) snapshotDurable(s *pb.Snapshot) {
	if s != nil {
		i := s.Metadata.Index
		if r.log.tail.snapshotStable(i); r.log.tail.snapshot == nil {
			r.beforeSnapshot = nil
		}
		r.appliedTo(i, 0)
	}
}

// onApplied notes how far the host has applied.
func (r *raft) onApplied(m pb.Message) error {
	if n := len(m.Entries); n > 0 {
		i := m.Entries[n-1].Index
		if i > r.log.apply.handed {
			return badMessage(m, "Entries", i, "entries that were handed out")
		}
		r.appliedTo(i, entsSize(m.Entries))
		r.releaseQuota(m.Entries)
	}
	return nil
}

// appliedTo notes that everything up to i is applied, size bytes of it now. A leader leaves an
// automatic joint configuration as soon as it has applied it (thesis 4.3).
func (r *raft) appliedTo(i, size uint64) {
	r.log.appliedTo(max(i, r.log.apply.applied), size)
	if r.state != StateLeader || !r.peers.AutoLeave() || r.log.apply.applied < r.leadership.confIndex {
		return
	}
	leave := pb.Message{Type: pb.MsgProp, Entries: []pb.Entry{{Type: pb.EntryConfChangeV2}}}
	if err := r.step(leave); err != nil {
		r.logger.debug("does not leave the joint configuration yet", logErr(err))
	}
}
