package tracker

import (
	"maps"

	"quorate.example/raft/quorum"
	pb "quorate.example/raft/raftpb"
)

// Config is a configuration as sets of IDs.
type Config struct {
	// Voters are the incoming voters and, in a joint configuration, the outgoing ones.
	Voters quorum.JointConfig
	// AutoLeave says that the leader leaves the joint configuration by itself.
	AutoLeave bool
	// Learners receive the log and do not vote. None of them is in Voters. Nil for none.
	Learners map[uint64]struct{}
	// LearnersNext are outgoing voters that become learners when the joint configuration ends.
	// Nil for none, and outside a joint configuration.
	LearnersNext map[uint64]struct{}
}

// String returns one line for people, as in
//
//	voters=(1 2)&&(2 3) learners=(4) learners_next=(3) autoleave
func (c Config) String() string {
	line := "voters=" + c.Voters.String()
	if c.Learners != nil {
		line += " learners=" + quorum.MajorityConfig(c.Learners).String()
	}
	if c.LearnersNext != nil {
		line += " learners_next=" + quorum.MajorityConfig(c.LearnersNext).String()
	}
	if c.AutoLeave {
		line += " autoleave"
	}
	return line
}

// Clone returns a copy that shares no map with c.
func (c *Config) Clone() Config {
	return Config{
		Voters:       quorum.JointConfig{maps.Clone(c.Voters[0]), maps.Clone(c.Voters[1])},
		AutoLeave:    c.AutoLeave,
		Learners:     maps.Clone(c.Learners),
		LearnersNext: maps.Clone(c.LearnersNext),
	}
}

// confState returns the sets as lists.
func (c *Config) confState() pb.ConfState {
	return pb.ConfState{
		Voters:         c.Voters[0].Slice(),
		VotersOutgoing: c.Voters[1].Slice(),
		Learners:       quorum.MajorityConfig(c.Learners).Slice(),
		LearnersNext:   quorum.MajorityConfig(c.LearnersNext).Slice(),
		AutoLeave:      c.AutoLeave,
	}
}

// ProgressTracker is a configuration with the progress and the votes of its members, as maps. The
// library itself works with [Peers].
type ProgressTracker struct {
	Config
	// Progress holds an entry for each member, and for no other.
	Progress ProgressMap
	// Votes holds what was answered to a candidate: true for granted.
	Votes map[uint64]bool
	// MaxInflight limits the appends in a window, MaxInflightBytes their bytes; 0 bytes: no limit.
	MaxInflight      int
	MaxInflightBytes uint64
}

// MakeProgressTracker returns a tracker without members, with limits for windows as in [NewInflights].
func MakeProgressTracker(maxInflight int, maxBytes uint64) ProgressTracker {
	return ProgressTracker{
		Config:           Config{Voters: quorum.JointConfig{quorum.MajorityConfig{}}},
		Progress:         ProgressMap{},
		Votes:            map[uint64]bool{},
		MaxInflight:      maxInflight,
		MaxInflightBytes: maxBytes,
	}
}

// ConfState returns the configuration in the form that snapshots hold, IDs ascending; lists
// without members are nil.
func (t *ProgressTracker) ConfState() pb.ConfState { return t.Config.confState() }

// IsSingleton reports whether there is exactly one voter, and no joint configuration.
func (t *ProgressTracker) IsSingleton() bool {
	return len(t.Voters[0]) == 1 && len(t.Voters[1]) == 0
}

// AckedIndex returns a member's Match, and reports whether the member is known. With it, a map of
// progress can be asked for what is committed.
func (m ProgressMap) AckedIndex(voterID uint64) (idx quorum.Index, found bool) {
	pr := m[voterID]
	if pr == nil {
		return 0, false
	}
	return quorum.Index(pr.Match), true
}

// Committed returns the highest index that Match has reached on a quorum, math.MaxUint64 if there
// are no voters.
func (t *ProgressTracker) Committed() uint64 {
	return uint64(t.Voters.CommittedIndex(t.Progress))
}

// Visit calls f for each member in ascending order of IDs.
func (t *ProgressTracker) Visit(f func(id uint64, pr *Progress)) {
	for _, id := range t.Progress.ids() {
		f(id, t.Progress[id])
	}
}

// QuorumActive reports whether a quorum of the voters was heard of recently.
func (t *ProgressTracker) QuorumActive() bool {
	active := make(map[uint64]bool, len(t.Progress))
	for id, pr := range t.Progress {
		if !pr.IsLearner {
			active[id] = pr.RecentActive
		}
	}
	return t.Voters.VoteResult(active) == quorum.VoteWon
}

// VoterNodes returns the voters of either half in ascending order; never nil.
func (t *ProgressTracker) VoterNodes() []uint64 {
	if ids := quorum.MajorityConfig(t.Voters.IDs()).Slice(); ids != nil {
		return ids
	}
	return []uint64{}
}

// LearnerNodes returns the learners in ascending order, nil for none.
func (t *ProgressTracker) LearnerNodes() []uint64 {
	return quorum.MajorityConfig(t.Learners).Slice()
}

// ResetVotes forgets all votes.
func (t *ProgressTracker) ResetVotes() {
	t.Votes = map[uint64]bool{}
}

// RecordVote notes a member's answer to a candidate. The first answer counts.
func (t *ProgressTracker) RecordVote(id uint64, v bool) {
	if _, voted := t.Votes[id]; !voted {
		t.Votes[id] = v
	}
}

// TallyVotes returns how many members other than learners granted and refused their vote, and what
// comes of it.
func (t *ProgressTracker) TallyVotes() (granted int, rejected int, _ quorum.VoteResult) {
	for id, pr := range t.Progress {
		switch yes, voted := t.Votes[id]; {
		case pr.IsLearner || !voted:
		case yes:
			granted++
		default:
			rejected++
		}
	}
	return granted, rejected, t.Voters.VoteResult(t.Votes)
}
