package host

import (
	"sync/atomic"
	"time"
)

// Metrics are counters since the start and present values. They need no metrics library.
type Metrics struct {
	Proposed, Applied, Lost, Unknown, Dropped uint64 // proposals of this member, by outcome; Proposed counts all taken
	Reads, ReadRounds                         uint64 // reads answered, and the quorum rounds that they took
	EntriesAppended, EntriesApplied           uint64
	BytesApplied                              uint64
	Saves, Syncs                              uint64 // calls of LogStore.Save, and those with Sync
	MessagesSent, MessagesReceived            uint64
	MessagesDropped, MessagesRefused          uint64 // for want of room; because they could not be true
	SnapshotsTaken, SnapshotsSent             uint64
	SnapshotsReceived, SnapshotsFailed        uint64
	Elections                                 uint64 // campaigns of this member
	LeaderChanges                             uint64
	Ticks, TicksCaughtUp                      uint64 // those that were late because of a pause
	EventsDropped                             uint64 // by subscribers that were too slow

	ProposalBytes int64 // proposed here and not yet answered
	InboxBytes    int64 // messages that wait for the loop

	SaveSeconds  Histogram // how long LogStore.Save took, with Sync
	ApplySeconds Histogram // how long StateMachine.Apply took
	BatchEntries Histogram // entries in one Save
}

// HistogramBuckets is how many buckets a Histogram has.
const HistogramBuckets = 28

// Histogram counts observations. Bucket i counts those up to Bound(i); the last one counts all others.
type Histogram struct {
	Counts [HistogramBuckets]uint64
	Sum    float64
	unit   float64
}

// Bound returns the upper bound of bucket i: it doubles from bucket to bucket.
func (h *Histogram) Bound(i int) float64 {
	unit := h.unit
	if unit == 0 {
		unit = 1
	}
	return unit * float64(uint64(1)<<uint(i))
}

// Count returns the number of observations.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile returns an upper bound of the q-quantile, with q from 0 to 1; 0 if nothing was observed.
func (h *Histogram) Quantile(q float64) float64 {
	rank := uint64(q * float64(h.Count()))
	for i, c := range h.Counts {
		if c > rank || c > 0 && c == rank {
			return h.Bound(i)
		}
		rank -= c
	}
	return 0
}

// histogram is a Histogram that is being filled.
type histogram struct {
	counts [HistogramBuckets]atomic.Uint64
	sum    atomic.Uint64 // in units
}

func (h *histogram) observe(units uint64) {
	i := 0
	for i < HistogramBuckets-1 && uint64(1)<<uint(i) < units {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(units)
}

func (h *histogram) observeTime(d time.Duration) { h.observe(uint64(max(0, d.Microseconds()))) }

func (h *histogram) load(unit float64) (out Histogram) {
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	out.Sum, out.unit = float64(h.sum.Load())*unit, unit
	return out
}

// counters is Metrics while it counts.
type counters struct {
	proposed, applied, lost, unknown, dropped atomic.Uint64
	reads, readRounds                         atomic.Uint64
	entriesAppended, entriesApplied           atomic.Uint64
	bytesApplied                              atomic.Uint64
	saves, syncs                              atomic.Uint64
	sent, received                            atomic.Uint64
	messagesDropped, messagesRefused          atomic.Uint64
	snapTaken, snapSent, snapReceived         atomic.Uint64
	snapFailed                                atomic.Uint64
	elections, leaderChanges                  atomic.Uint64
	ticks, ticksCaughtUp                      atomic.Uint64
	eventsDropped                             atomic.Uint64
	proposalBytes                             atomic.Int64
	saveTime, applyTime, batch                histogram
}

func (c *counters) load() Metrics {
	return Metrics{
		Proposed: c.proposed.Load(), Applied: c.applied.Load(), Lost: c.lost.Load(),
		Unknown: c.unknown.Load(), Dropped: c.dropped.Load(),
		Reads: c.reads.Load(), ReadRounds: c.readRounds.Load(),
		EntriesAppended: c.entriesAppended.Load(), EntriesApplied: c.entriesApplied.Load(),
		BytesApplied: c.bytesApplied.Load(), Saves: c.saves.Load(), Syncs: c.syncs.Load(),
		MessagesSent: c.sent.Load(), MessagesReceived: c.received.Load(),
		MessagesDropped: c.messagesDropped.Load(), MessagesRefused: c.messagesRefused.Load(),
		SnapshotsTaken: c.snapTaken.Load(), SnapshotsSent: c.snapSent.Load(),
		SnapshotsReceived: c.snapReceived.Load(), SnapshotsFailed: c.snapFailed.Load(),
		Elections: c.elections.Load(), LeaderChanges: c.leaderChanges.Load(),
		Ticks: c.ticks.Load(), TicksCaughtUp: c.ticksCaughtUp.Load(), EventsDropped: c.eventsDropped.Load(),
		ProposalBytes: c.proposalBytes.Load(),
		SaveSeconds:   c.saveTime.load(1e-6), ApplySeconds: c.applyTime.load(1e-6), BatchEntries: c.batch.load(1),
	}
}
