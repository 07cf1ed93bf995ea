package host

import (
	"cmp"
	"slices"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// Status is where a member stands.
type Status struct {
	ID        uint64
	Role      raft.StateType
	Leader    uint64 // raft.None if unknown
	Term      uint64
	Vote      uint64
	Commit    uint64
	Applied   uint64
	FirstLog  uint64 // index of the first entry in the log
	LastLog   uint64
	Snapshot  uint64 // the state up to here does not need the log
	Conf      pb.ConfState
	ConfIndex uint64 // names Conf, for IfConfiguration
	Transfer  uint64 // who is being handed the leadership
	Members   []MemberStatus
}

// MemberStatus is what a leader knows of a member.
type MemberStatus struct {
	ID            uint64
	Learner       bool
	Match         uint64
	Next          uint64
	State         string // probe, replicate or snapshot
	Active        bool   // was heard within an election timeout
	Paused        bool
	InflightCount int
	InflightBytes uint64
	SnapshotBytes int64 // sent of the snapshot that is under way
}

func (e *engine) status() Status {
	st := e.node.Status()
	s := Status{
		ID: st.ID, Role: st.RaftState, Leader: st.Lead, Term: st.Term, Vote: st.Vote, Commit: st.Commit,
		Applied: e.applies.applied, LastLog: e.last, Snapshot: e.snapshots.index,
		Conf: e.conf, ConfIndex: e.confIndex, Transfer: st.LeadTransferee,
	}
	s.FirstLog, _ = e.cfg.Log.FirstIndex() // a failure stops the replica elsewhere
	for id, p := range st.Progress {
		s.Members = append(s.Members, e.memberStatus(id, &p))
	}
	slices.SortFunc(s.Members, func(a, b MemberStatus) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

func (e *engine) memberStatus(id uint64, p *tracker.Progress) MemberStatus {
	m := MemberStatus{
		ID: id, Learner: p.IsLearner, Match: p.Match, Next: p.Next, State: stateText(p.State),
		Active: id == e.cfg.ID || e.heardLately(id), Paused: p.IsPaused(), InflightCount: p.Inflights.Count(),
		InflightBytes: p.Inflights.Bytes(),
	}
	if x := e.sending.streams[id]; x != nil {
		m.SnapshotBytes = x.sent.Load()
	}
	return m
}

func stateText(s tracker.StateType) string {
	switch s {
	case tracker.StateProbe:
		return "probe"
	case tracker.StateReplicate:
		return "replicate"
	}
	return "snapshot"
}
