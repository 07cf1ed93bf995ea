package raft_test

import (
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// ---- valid messages, and the member's own host

// valid1 steps a valid message, which may be refused only if the member was lied to before.
func (s *stage) valid1(m pb.Message) {
	m.To = self
	_ = s.Step(m)
	s.work()
}

// others calls f for each other member of the configuration, with whether it votes.
func (s *stage) others(f func(id uint64, votes bool)) {
	ids, votes, n := [16]uint64{}, [16]bool{}, 0
	s.WithProgress(func(id uint64, typ raft.ProgressType, _ tracker.Progress) {
		if id != self && n < len(ids) {
			ids[n], votes[n] = id, typ == raft.ProgressTypePeer
			n++
		}
	})
	for i := 0; i < n; i++ {
		f(ids[i], votes[i])
	}
}

// grant lets all voters grant the vote or the pre-vote that the member asks for.
func (s *stage) grant(typ pb.MessageType) {
	term := s.BasicStatus().Term
	if typ == pb.MsgPreVoteResp {
		term++
	}
	s.others(func(id uint64, votes bool) {
		if votes {
			s.valid1(pb.Message{Type: typ, From: id, Term: term})
		}
	})
}

// campaign makes it the leader if its voters can do that.
func (s *stage) campaign() {
	_ = s.Campaign()
	s.work()
	s.winCampaign()
}

func (s *stage) winCampaign() {
	if s.BasicStatus().RaftState == raft.StatePreCandidate {
		s.grant(pb.MsgPreVoteResp)
	}
	if s.BasicStatus().RaftState == raft.StateCandidate {
		s.grant(pb.MsgVoteResp)
	}
}

// acknowledge lets all others acknowledge the whole log, until there is nothing new in it.
func (s *stage) acknowledge() {
	for n := 0; n < 4; n++ {
		last, _ := s.store.LastIndex()
		if s.BasicStatus().RaftState != raft.StateLeader {
			return
		}
		s.others(func(id uint64, _ bool) {
			s.valid1(pb.Message{Type: pb.MsgAppResp, From: id, Term: s.BasicStatus().Term, Index: last})
		})
		if now, _ := s.store.LastIndex(); now == last {
			return
		}
	}
}

// valid is one thing that happens to every member.
func (s *stage) valid() {
	st := s.BasicStatus()
	last, _ := s.store.LastIndex()
	if s.hits > 0 {
		s.hits++ // what is valid may contradict a lie that the host has not seen yet
	}
	switch s.below(16) {
	case 0, 1:
		for n := s.below(12); n >= 0; n-- {
			s.Tick()
		}
	case 2:
		_ = s.Propose([]byte("valid"))
	case 3:
		s.ReadIndex([]byte("valid"))
	case 4:
		if st.Lead != self && st.Lead != raft.None {
			_ = s.Step(pb.Message{Type: pb.MsgHeartbeat, From: st.Lead, To: self, Term: st.Term, Commit: st.Commit})
		}
	case 5, 6:
		if st.Lead != self && st.Lead != raft.None {
			_ = s.Step(pb.Message{Type: pb.MsgApp, From: st.Lead, To: self, Term: st.Term, Index: last, LogTerm: s.termAt(last),
				Entries: []pb.Entry{{Index: last + 1, Term: st.Term, Data: []byte("valid")}}, Commit: st.Commit})
		}
	case 7, 8:
		s.acknowledge()
	case 9:
		s.others(func(id uint64, _ bool) {
			s.valid1(pb.Message{Type: pb.MsgHeartbeatResp, From: id, Term: st.Term, Context: []byte{1, 0, 0, 0, 0, 0, 0, 0}})
		})
	case 10:
		s.winCampaign()
	case 11:
		s.ReportUnreachable(uint64(1 + s.below(5)))
		s.ReportSnapshot(uint64(1+s.below(5)), raft.SnapshotStatus(1+s.below(3)))
	case 12:
		s.compact()
	case 13:
		_ = s.ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeType(s.below(3)), NodeID: uint64(1 + s.below(6))})
	case 14:
		s.TransferLeader(uint64(1 + s.below(4)))
	case 15:
		_ = s.Campaign()
	}
	s.work()
}

// compact makes a snapshot of what is applied, and forgets some of the log.
func (s *stage) compact() {
	applied := s.base + uint64(len(s.applied))
	if first, _ := s.store.FirstIndex(); applied < first || len(s.threads) > 0 {
		return
	}
	if _, err := s.store.CreateSnapshot(applied, &s.conf, []byte("state")); err == nil {
		_ = s.store.Compact(applied - uint64(s.below(2))) // unless it is compacted up to there already
	}
}

// ---- the end

// recover plays a sound leader of a new term, and then voters who elect the member, and requires progress
// under both.
func (s *stage) recover() {
	s.slow = false
	s.work()
	if s.BasicStatus().Term < huge-10 { // or there is no new term
		s.follow()
		s.lead()
	}
	s.requireKept()
}

// follow: a leader that has what the member has committed, and nothing else of it, brings it a new entry.
func (s *stage) follow() {
	st := s.BasicStatus()
	lead, term, at := uint64(2), st.Term+1, st.Commit
	s.valid1(pb.Message{Type: pb.MsgHeartbeat, From: lead, Term: term})
	s.valid1(pb.Message{Type: pb.MsgApp, From: lead, Term: term, Index: at + 5, LogTerm: term}) // a probe that is too high
	s.valid1(pb.Message{Type: pb.MsgApp, From: lead, Term: term, Index: at, LogTerm: s.termAt(at), Commit: at + 1,
		Entries: []pb.Entry{{Index: at + 1, Term: term, Data: []byte("sound")}}})
	now := s.BasicStatus()
	if now.Lead != lead || now.Term != term || now.Commit != at+1 || s.base+uint64(len(s.applied)) != at+1 {
		s.failf("it does not follow: %+v, then %+v, applied %d", st, now, s.base+uint64(len(s.applied)))
	}
	s.followed = true
}

// lead: the leader goes silent, and whoever may vote makes the member the next one.
func (s *stage) lead() {
	votes := false
	s.WithProgress(func(id uint64, typ raft.ProgressType, _ tracker.Progress) {
		votes = votes || id == self && typ == raft.ProgressTypePeer
	})
	if !votes || s.lost {
		return
	}
	for n := 0; n < 25 && s.BasicStatus().RaftState == raft.StateFollower; n++ {
		s.Tick()
		s.work()
	}
	s.winCampaign()
	before := s.BasicStatus()
	s.acknowledge()
	after := s.BasicStatus()
	last, _ := s.store.LastIndex()
	if before.RaftState != raft.StateLeader || after.Commit != last || after.Commit == before.Commit &&
		s.termAt(last) != before.Term {
		s.failf("it does not lead: %+v, then %+v, of %d entries", before, after, last)
	}
	if err := s.Propose([]byte("sound")); err == nil {
		s.work()
		s.acknowledge()
		if s.BasicStatus().Commit <= last {
			s.failf("it commits nothing: %+v, then %+v", after, s.BasicStatus())
		}
	}
	s.led = true
}
