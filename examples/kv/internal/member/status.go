package member

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/host"
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
	// InFlight and InFlightBytes are what was sent and not answered; SnapshotBytes is what was sent so far of
	// the snapshot that is under way.
	InFlight      int    `json:"in_flight"`
	InFlightBytes uint64 `json:"in_flight_bytes"`
	SnapshotBytes int64  `json:"snapshot_bytes,omitempty"`
}

// Event is something that happened.
type Event struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
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
	// ProposalBytes and InboxBytes wait here: for an answer, and for the loop.
	ProposalBytes int64 `json:"proposal_bytes"`
	InboxBytes    int64 `json:"inbox_bytes"`
	// Explain says what holds things up, if anything does.
	Explain []string `json:"explain,omitempty"`
	// Events are the newest ones, oldest first.
	Events []Event `json:"events,omitempty"`
}

// newestEvents is how many events a Status has.
const newestEvents = 40

// Status returns where the member stands.
func (m *Member) Status(ctx context.Context) (Status, error) {
	if err := m.ready(ctx); err != nil {
		return Status{}, err
	}
	answer := make(chan Status, 1)
	go func() { answer <- m.status() }()
	select {
	case s := <-answer:
		return s, nil
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

func (m *Member) status() Status {
	st, counted, position := m.replica.Status(), m.replica.Metrics(), m.store.Position()
	out := Status{
		ID:                 st.ID,
		Leader:             st.Leader,
		State:              st.Role.String(),
		Term:               st.Term,
		Commit:             st.Commit,
		Applied:            st.Applied,
		Revision:           position.Revision,
		FirstLog:           position.FirstLog,
		LastLog:            position.LastLog,
		LogBytes:           position.LogBytes,
		Snapshot:           st.Snapshot,
		AppendedEntries:    counted.EntriesAppended,
		AppliedEntries:     counted.EntriesApplied,
		InstalledSnapshots: counted.SnapshotsReceived,
		ProposalBytes:      counted.ProposalBytes,
		InboxBytes:         counted.InboxBytes,
		Explain:            sentences(m.replica.Explain()),
	}
	for _, x := range st.Members {
		out.Progress = append(out.Progress, Progress{
			ID: x.ID, Match: x.Match, Next: x.Next, State: x.State, Active: x.Active,
			InFlight: x.InflightCount, InFlightBytes: x.InflightBytes, SnapshotBytes: x.SnapshotBytes,
		})
	}
	events := m.replica.RecentEvents()
	for _, e := range events[max(0, len(events)-newestEvents):] {
		out.Events = append(out.Events, Event{Time: e.Time, Kind: string(e.Kind), Text: e.String()})
	}
	return out
}

// sentences returns what an explanation says, nothing if all is well.
func sentences(x host.Explanation) (out []string) {
	if x.Leader+x.Proposals+x.Reads+x.Stopped == "" && len(x.Members) == 0 {
		return nil
	}
	return strings.Split(x.String(), "\n")
}

// Members returns the members of the cluster, as of the last entry that this one applied.
func (m *Member) Members(ctx context.Context) ([]Info, error) {
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	peers, err := m.store.Peers()
	if err != nil {
		return nil, err
	}
	leader, conf := m.replica.Status().Leader, m.store.Position().ConfState
	var out []Info
	for role, ids := range map[string][]uint64{RoleVoter: conf.Voters, RoleLearner: conf.Learners} {
		for _, id := range ids {
			out = append(out, Info{ID: id, Address: peers[id], Role: role, Leader: id == leader})
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

// measure returns what the metrics show, and whether there is anything yet.
func (m *Member) measure() (metrics.Standing, bool) {
	select {
	case <-m.started:
	default:
		return metrics.Standing{}, false
	}
	st, position := m.replica.Status(), m.store.Position()
	return metrics.Standing{
		Status: st, Metrics: m.replica.Metrics(),
		LogEntries: position.LastLog + 1 - position.FirstLog, LogBytes: position.LogBytes,
	}, true
}
