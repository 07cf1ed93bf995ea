// Package metrics holds the Prometheus collectors of one member, in a registry of their own.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the collectors of one member.
type Metrics struct {
	registry *prometheus.Registry

	// Where the member stands.
	Term, Leader, IsLeader, Commit, Applied, LogEntries, LogBytes prometheus.Gauge

	// What the loop did.
	Proposals       *prometheus.CounterVec // by outcome
	Reads           prometheus.Counter     // answers of ReadIndex
	EntriesAppended prometheus.Counter
	EntriesApplied  prometheus.Counter
	Snapshots       *prometheus.CounterVec // by kind: taken, sent, installed, failed
	StepErrors      prometheus.Counter
	SaveSeconds     prometheus.Histogram

	// What went between the members.
	MessagesSent     *prometheus.CounterVec // by peer
	MessagesDropped  *prometheus.CounterVec // by peer
	MessagesReceived *prometheus.CounterVec // by peer

	// What clients asked.
	Requests       *prometheus.CounterVec // by route and status
	RequestSeconds *prometheus.HistogramVec
}

// New returns the collectors of the member with this ID.
func New(id string) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	f := factory{promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"member": id}, registry))}
	return &Metrics{
		registry:   registry,
		Term:       f.gauge("raft_term", "Current term."),
		Leader:     f.gauge("raft_leader", "ID of the leader, 0 if none is known."),
		IsLeader:   f.gauge("raft_is_leader", "1 on the leader, else 0."),
		Commit:     f.gauge("raft_commit_index", "Index of the last committed entry."),
		Applied:    f.gauge("raft_applied_index", "Index of the last applied entry."),
		LogEntries: f.gauge("raft_log_entries", "Entries in the log."),
		LogBytes:   f.gauge("raft_log_bytes", "Size of the log in bytes."),

		Proposals:       f.counters("proposals_total", "Commands proposed here, by outcome.", "outcome"),
		Reads:           f.counter("read_index_total", "Rounds of ReadIndex answered."),
		EntriesAppended: f.counter("raft_entries_appended_total", "Entries written to the log."),
		EntriesApplied:  f.counter("raft_entries_applied_total", "Entries applied to the state."),
		Snapshots:       f.counters("snapshots_total", "Snapshots, by what happened to them.", "kind"),
		StepErrors:      f.counter("raft_step_errors_total", "Messages that Raft refused."),
		SaveSeconds:     f.histogram("save_seconds", "Time to make one Ready durable."),

		MessagesSent:     f.counters("messages_sent_total", "Messages handed to the network.", "peer"),
		MessagesDropped:  f.counters("messages_dropped_total", "Messages dropped before the network.", "peer"),
		MessagesReceived: f.counters("messages_received_total", "Messages received.", "peer"),

		Requests:       f.counters("http_requests_total", "HTTP requests.", "route", "code"),
		RequestSeconds: f.histograms("http_request_seconds", "Time to answer.", "route"),
	}
}

// Handler serves the collectors in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

type factory struct{ promauto.Factory }

const namespace = "kv"

// buckets reach from 0.1 ms to 13 s.
var buckets = prometheus.ExponentialBuckets(0.0001, 2, 18)

func (f factory) gauge(name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

func (f factory) counter(name, help string) prometheus.Counter {
	return f.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func (f factory) histogram(name, help string) prometheus.Histogram {
	return f.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	})
}

func (f factory) histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	return f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}, labels)
}
