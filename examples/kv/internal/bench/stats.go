package bench

import (
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are recorded in microseconds, with an error of at most 0.1 %, up to a minute.
const (
	longest = time.Minute
	digits  = 3
)

// Sample is what was measured in one round.
type Sample struct {
	Took   time.Duration
	Reads  int64
	Writes int64
	Errors map[string]int64 // by kind: an HTTP status, or "connection"

	// Connections says over what the requests went, "" if over none.
	Connections string

	latencies *hdrhistogram.Histogram
}

func newSample() Sample {
	return Sample{
		Errors:    map[string]int64{},
		latencies: hdrhistogram.New(1, longest.Microseconds(), digits),
	}
}

// record counts an operation that took so long, or failed with an error of some kind. Only those that
// succeeded have a latency: a quick refusal is not a quick answer.
func (s *Sample) record(took time.Duration, read bool, kind string) {
	switch {
	case kind != "":
		s.Errors[kind]++
		return
	case read:
		s.Reads++
	default:
		s.Writes++
	}
	_ = s.latencies.RecordValue(min(max(took, time.Microsecond), longest).Microseconds()) // it is in range
}

// merge adds up what the clients saw in the same time.
func merge(samples []Sample, took time.Duration) Sample {
	out := newSample()
	out.Took = took
	for _, s := range samples {
		out.add(s)
	}
	return out
}

func (s *Sample) add(other Sample) {
	s.Reads += other.Reads
	s.Writes += other.Writes
	for kind, n := range other.Errors {
		s.Errors[kind] += n
	}
	s.latencies.Merge(other.latencies)
}

// rate returns the operations a second that succeeded.
func (s Sample) rate() float64 { return float64(s.Reads+s.Writes) / s.Took.Seconds() }

func (s Sample) failed() int64 {
	var n int64
	for _, x := range s.Errors {
		n += x
	}
	return n
}

func (s Sample) quantile(q float64) time.Duration {
	return time.Duration(s.latencies.ValueAtQuantile(q)) * time.Microsecond
}

// String is the sample on one line.
func (s Sample) String() string {
	return fmt.Sprintf("%.0f ops/s, p50 %s, p99 %s, %d errors",
		s.rate(), millis(s.quantile(50)), millis(s.quantile(99)), s.failed())
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// median returns the middle of some numbers, the mean of the two in the middle if their number is even.
func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Clone(of)
	slices.Sort(sorted)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
