// Package report keeps what the workers measured, compares it and renders it.
package report

import (
	"encoding/json"
	"os"

	"quorate.example/raft/benchmarks/internal/measure"
)

// Metrics that every result has; the others are named in package measure.
const (
	Wall   = "time ns" // wall time per operation
	CPU    = "cpu ns"  // processor time per operation, of all threads
	Allocs = "allocs"  // per operation
	Bytes  = "bytes"   // allocated, per operation
)

// Ours is the name of this library among the others.
const Ours = "Quorate"

// Run is all that one run of the benchmarks measured.
type Run struct {
	When    string   // date and time
	Machine string   // processor, cores, release of Go
	Rounds  int      // how often each workload was run on each library
	Quick   bool     // with few operations
	Base    string   // the library that ratios are to
	Peers   []string // all libraries, in the order of tables
	Samples []Sample
}

// Sample is one run of one workload on one library.
type Sample struct {
	Library string
	Round   int
	measure.Result
}

// Value returns a metric of the sample; some workloads are not about time.
func (s *Sample) Value(metric string) (v float64, ok bool) {
	per := func(total float64) (float64, bool) { return total / float64(s.Ops), s.WallNS > 0 }
	switch metric {
	case Wall:
		return per(float64(s.WallNS))
	case CPU:
		return per(float64(s.CPUNS))
	case Allocs:
		return per(float64(s.Allocs))
	case Bytes:
		return per(float64(s.Bytes))
	}
	v, ok = s.Metrics[metric]
	return v, ok
}

// Values returns a metric of a workload on a library, by round.
func (r *Run) Values(workload, library, metric string) map[int]float64 {
	values := map[int]float64{}
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Workload == workload && s.Library == library {
			if v, ok := s.Value(metric); ok {
				values[s.Round] = v
			}
		}
	}
	return values
}

// Load reads a run from a file.
func Load(name string) (*Run, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	run := &Run{}
	return run, json.Unmarshal(raw, run)
}

// Save writes the run to a file.
func (r *Run) Save(name string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(raw, '\n'), 0o644)
}
