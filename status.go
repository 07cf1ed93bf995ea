package raft

import (
	"fmt"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// StateType is the role of a member (thesis 3.3).
type StateType uint64

// The roles. A pre-candidate asks whether it could win before it becomes a candidate (thesis 9.6).
const (
	StateFollower StateType = iota
	StateCandidate
	StateLeader
	StatePreCandidate
)

var stateNames = [numStates]string{"StateFollower", "StateCandidate", "StateLeader", "StatePreCandidate"}

// String returns the name of st, such as StateLeader.
func (st StateType) String() string {
	if int(st) < len(stateNames) {
		return stateNames[st]
	}
	return fmt.Sprintf("StateType(%d)", uint64(st))
}

// MarshalJSON returns the quoted name of st.
func (st StateType) MarshalJSON() ([]byte, error) { return []byte(fmt.Sprintf("%q", st.String())), nil }

// SoftState is what a host may want to know and need not save.
type SoftState struct {
	Lead      uint64 // None if no leader is known
	RaftState StateType
}

// BasicStatus is the state of one member.
type BasicStatus struct {
	ID uint64
	pb.HardState
	SoftState
	Applied        uint64 // index up to which the host has applied
	LeadTransferee uint64 // who shall take over; None unless a transfer is under way
}

// Status is the state of one member, and what a leader knows of all. It is a copy and belongs to the
// caller.
type Status struct {
	BasicStatus
	Config   tracker.Config
	Progress map[uint64]tracker.Progress // nil unless this member leads
}

func (r *raft) basicStatus() BasicStatus {
	s := BasicStatus{ID: r.id, HardState: r.hardState(), SoftState: r.softState(), Applied: r.log.apply.applied}
	if l := r.leadership; l != nil {
		s.LeadTransferee = l.transferee
	}
	return s
}

func (r *raft) status() Status {
	s := Status{BasicStatus: r.basicStatus(), Config: r.peers.Config()}
	if !r.deviates(d13StatusAutoLeave) {
		s.Config.AutoLeave = false
	}
	if r.state != StateLeader {
		return s
	}
	peers := r.peers.All()
	s.Progress = make(map[uint64]tracker.Progress, len(peers))
	for i := range peers {
		p := peers[i].Progress
		if p.Inflights == nil {
			p.Inflights = tracker.NewInflights(r.cfg.MaxInflightMsgs, r.cfg.MaxInflightBytes)
		} else {
			p.Inflights = p.Inflights.Clone()
		}
		s.Progress[peers[i].ID] = p
	}
	return s
}
