// Package metrics holds the Prometheus collectors of one member, in a registry of their own: those of its
// API and its transport, and one that reads what package host counts.
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
	follower *follower

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
	m := &Metrics{
		registry: registry,
		follower: &follower{descriptions: describe(id)},

		MessagesSent:     f.counters("messages_sent_total", "Messages handed to the network.", "peer"),
		MessagesDropped:  f.counters("messages_dropped_total", "Messages dropped before the network.", "peer"),
		MessagesReceived: f.counters("messages_received_total", "Messages received.", "peer"),

		Requests:       f.counters("http_requests_total", "HTTP requests.", "route", "code"),
		RequestSeconds: f.histograms("http_request_seconds", "Time to answer.", "route"),
	}
	registry.MustRegister(m.follower)
	return m
}

// Handler serves the collectors in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

type factory struct{ promauto.Factory }

const namespace = "kv"

// buckets reach from 0.1 ms to 13 s.
var buckets = prometheus.ExponentialBuckets(0.0001, 2, 18)

func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func (f factory) histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	return f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}, labels)
}
