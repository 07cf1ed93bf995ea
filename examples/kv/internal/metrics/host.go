package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"quorate.example/raft"
	"quorate.example/raft/host"
)

// Standing is what is known of a member at one moment.
type Standing struct {
	Status     host.Status
	Metrics    host.Metrics
	LogEntries uint64
	LogBytes   int
}

// Follow has the collectors of package host's figures ask from when they are read. It returns false as long
// as there are none.
func (m *Metrics) Follow(from func() (Standing, bool)) { m.follower.from.Store(&from) }

// follower is a prometheus.Collector of what package host counts.
type follower struct {
	from         atomic.Pointer[func() (Standing, bool)]
	descriptions map[string]*prometheus.Desc
}

// single is a figure with one number.
type single struct {
	name, help string
	counter    bool
	value      func(*Standing) float64
}

func count(f func(*host.Metrics) uint64) func(*Standing) float64 {
	return func(s *Standing) float64 { return float64(f(&s.Metrics)) }
}

var singles = []single{
	{"raft_term", "Current term.", false, func(s *Standing) float64 { return float64(s.Status.Term) }},
	{"raft_leader", "ID of the leader, 0 if none is known.", false,
		func(s *Standing) float64 { return float64(s.Status.Leader) }},
	{"raft_is_leader", "1 on the leader, else 0.", false, func(s *Standing) float64 {
		if s.Status.Role == raft.StateLeader {
			return 1
		}
		return 0
	}},
	{"raft_commit_index", "Index of the last committed entry.", false,
		func(s *Standing) float64 { return float64(s.Status.Commit) }},
	{"raft_applied_index", "Index of the last applied entry.", false,
		func(s *Standing) float64 { return float64(s.Status.Applied) }},
	{"raft_log_entries", "Entries in the log.", false, func(s *Standing) float64 { return float64(s.LogEntries) }},
	{"raft_log_bytes", "Size of the log in bytes.", false, func(s *Standing) float64 { return float64(s.LogBytes) }},
	{"proposal_bytes", "Bytes of proposals that wait for an answer.", false,
		func(s *Standing) float64 { return float64(s.Metrics.ProposalBytes) }},
	{"inbox_bytes", "Bytes of messages that wait for the loop.", false,
		func(s *Standing) float64 { return float64(s.Metrics.InboxBytes) }},

	{"reads_total", "Linearizable reads answered.", true, count(func(m *host.Metrics) uint64 { return m.Reads })},
	{"read_index_total", "Quorum rounds for reads.", true, count(func(m *host.Metrics) uint64 { return m.ReadRounds })},
	{"raft_entries_appended_total", "Entries written to the log.", true,
		count(func(m *host.Metrics) uint64 { return m.EntriesAppended })},
	{"raft_entries_applied_total", "Entries applied to the state.", true,
		count(func(m *host.Metrics) uint64 { return m.EntriesApplied })},
	{"raft_bytes_applied_total", "Bytes of entries applied.", true,
		count(func(m *host.Metrics) uint64 { return m.BytesApplied })},
	{"raft_step_errors_total", "Messages that Raft refused.", true,
		count(func(m *host.Metrics) uint64 { return m.MessagesRefused })},
	{"raft_elections_total", "Campaigns of this member.", true,
		count(func(m *host.Metrics) uint64 { return m.Elections })},
	{"raft_leader_changes_total", "Leaders seen.", true,
		count(func(m *host.Metrics) uint64 { return m.LeaderChanges })},
	{"raft_ticks_total", "Ticks of the clock.", true, count(func(m *host.Metrics) uint64 { return m.Ticks })},
	{"raft_ticks_caught_up_total", "Ticks that came late because of a pause.", true,
		count(func(m *host.Metrics) uint64 { return m.TicksCaughtUp })},
	{"log_writes_total", "Writes to the log.", true, count(func(m *host.Metrics) uint64 { return m.Saves })},
	{"log_syncs_total", "Writes to the log that were synced.", true,
		count(func(m *host.Metrics) uint64 { return m.Syncs })},
}

// outcomes are figures with a label.
var outcomes = []struct {
	name, help, label string
	values            func(*host.Metrics) map[string]uint64
}{
	{"proposals_total", "Commands proposed here, by outcome.", "outcome", func(m *host.Metrics) map[string]uint64 {
		return map[string]uint64{"applied": m.Applied, "lost": m.Lost, "unknown": m.Unknown, "not_proposed": m.Dropped}
	}},
	{"snapshots_total", "Snapshots, by what happened to them.", "kind", func(m *host.Metrics) map[string]uint64 {
		return map[string]uint64{
			"taken": m.SnapshotsTaken, "sent": m.SnapshotsSent, "installed": m.SnapshotsReceived, "failed": m.SnapshotsFailed,
		}
	}},
}

var histograms = []struct {
	name, help string
	value      func(*host.Metrics) *host.Histogram
}{
	{"save_seconds", "Time to make a write to the log durable.",
		func(m *host.Metrics) *host.Histogram { return &m.SaveSeconds }},
	{"apply_seconds", "Time to apply entries.", func(m *host.Metrics) *host.Histogram { return &m.ApplySeconds }},
	{"save_entries", "Entries in a write to the log.", func(m *host.Metrics) *host.Histogram { return &m.BatchEntries }},
}

func describe(id string) map[string]*prometheus.Desc {
	out := map[string]*prometheus.Desc{}
	add := func(name, help string, labels ...string) {
		out[name] = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels,
			prometheus.Labels{"member": id})
	}
	for _, x := range singles {
		add(x.name, x.help)
	}
	for _, x := range outcomes {
		add(x.name, x.help, x.label)
	}
	for _, x := range histograms {
		add(x.name, x.help)
	}
	return out
}

// Describe implements prometheus.Collector.
func (f *follower) Describe(to chan<- *prometheus.Desc) {
	for _, d := range f.descriptions {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (f *follower) Collect(to chan<- prometheus.Metric) {
	from := f.from.Load()
	if from == nil {
		return
	}
	s, ok := (*from)()
	if !ok {
		return
	}
	for _, x := range singles {
		kind := prometheus.GaugeValue
		if x.counter {
			kind = prometheus.CounterValue
		}
		to <- prometheus.MustNewConstMetric(f.descriptions[x.name], kind, x.value(&s))
	}
	for _, x := range outcomes {
		for label, n := range x.values(&s.Metrics) {
			to <- prometheus.MustNewConstMetric(f.descriptions[x.name], prometheus.CounterValue, float64(n), label)
		}
	}
	for _, x := range histograms {
		to <- constHistogram(f.descriptions[x.name], x.value(&s.Metrics))
	}
}

// constHistogram turns counts of each bucket into counts of all up to a bound. The last bucket has none.
func constHistogram(d *prometheus.Desc, h *host.Histogram) prometheus.Metric {
	buckets := map[float64]uint64{}
	total := uint64(0)
	for i, n := range h.Counts[:host.HistogramBuckets-1] {
		total += n
		buckets[h.Bound(i)] = total
	}
	return prometheus.MustNewConstHistogram(d, h.Count(), h.Sum, buckets)
}
