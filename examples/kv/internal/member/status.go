package member

import (
	"cmp"
	"context"
	"slices"

	"quorate.example/raft"
)

// The roles that a member can have in the configuration.
const (
	RoleVoter   = "voter"
	RoleLearner = "learner"
)

// Info describes one member of the cluster.
type Info struct {
	ID      uint64 `json:"id"`
	Address string `json:"address"`
	Role    string `json:"role"`
	Leader  bool   `json:"leader"`
}

// Progress is what a leader knows of another member.
type Progress struct {
	ID     uint64 `json:"id"`
	Match  uint64 `json:"match"`
	Next   uint64 `json:"next"`
	State  string `json:"state"`
	Active bool   `json:"active"`
}

// Status says where a member stands.
type Status struct {
	ID       uint64 `json:"id"`
	Leader   uint64 `json:"leader"`
	State    string `json:"state"`
	Term     uint64 `json:"term"`
	Commit   uint64 `json:"commit"`
	Applied  uint64 `json:"applied"`
	Revision uint64 `json:"revision"`
	FirstLog uint64 `json:"first_log"`
	LastLog  uint64 `json:"last_log"`
	LogBytes int    `json:"log_bytes"`
	Snapshot uint64 `json:"snapshot"`
	// AppendedEntries, AppliedEntries and InstalledSnapshots count from the start of the process.
	AppendedEntries    uint64     `json:"appended_entries"`
	AppliedEntries     uint64     `json:"applied_entries"`
	InstalledSnapshots uint64     `json:"installed_snapshots"`
	Progress           []Progress `json:"progress,omitempty"`
}

// Status returns where the member stands.
func (m *Member) Status(ctx context.Context) (Status, error) {
	var s Status
	err := m.ask(ctx, func() { s = m.status() })
	return s, err
}

func (m *Member) status() Status {
	st, position := m.node.Status(), m.store.Position()
	out := Status{
		ID:                 st.ID,
		Leader:             st.Lead,
		State:              st.RaftState.String(),
		Term:               st.Term,
		Commit:             st.Commit,
		Applied:            position.Applied,
		Revision:           position.Revision,
		FirstLog:           position.FirstLog,
		LastLog:            position.LastLog,
		LogBytes:           position.LogBytes,
		Snapshot:           position.Snapshot,
		AppendedEntries:    m.appended,
		AppliedEntries:     m.carriedOut,
		InstalledSnapshots: m.installed,
	}
	for id, pr := range st.Progress {
		out.Progress = append(out.Progress, Progress{
			ID: id, Match: pr.Match, Next: pr.Next, State: pr.State.String(), Active: pr.RecentActive,
		})
	}
	slices.SortFunc(out.Progress, func(a, b Progress) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Members returns the members of the cluster, as of the last entry that this one applied.
func (m *Member) Members(ctx context.Context) ([]Info, error) {
	var out []Info
	var failed error
	err := m.ask(ctx, func() { out, failed = m.members() })
	return out, cmp.Or(err, failed)
}

func (m *Member) members() ([]Info, error) {
	peers, err := m.store.Peers()
	if err != nil {
		return nil, err
	}
	conf := m.store.Position().ConfState
	var out []Info
	for role, ids := range map[string][]uint64{RoleVoter: conf.Voters, RoleLearner: conf.Learners} {
		for _, id := range ids {
			out = append(out, Info{ID: id, Address: peers[id], Role: role, Leader: id == m.leader})
		}
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func find(members []Info, id uint64) (Info, error) {
	for _, x := range members {
		if x.ID == id {
			return x, nil
		}
	}
	return Info{}, &ChangeError{Unknown: true, Reason: "there is no such member"}
}

// publish brings the gauges up to date.
func (m *Member) publish() {
	st, position := m.node.BasicStatus(), m.store.Position()
	m.metrics.Term.Set(float64(st.Term))
	m.metrics.Leader.Set(float64(st.Lead))
	m.metrics.IsLeader.Set(0)
	if st.RaftState == raft.StateLeader {
		m.metrics.IsLeader.Set(1)
	}
	m.metrics.Commit.Set(float64(st.Commit))
	m.metrics.Applied.Set(float64(position.Applied))
	m.metrics.LogEntries.Set(float64(position.LastLog + 1 - position.FirstLog))
	m.metrics.LogBytes.Set(float64(position.LogBytes))
}
