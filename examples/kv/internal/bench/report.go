package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a benchmark found. Latencies are in milliseconds.
type Report struct {
	Load    Load      `json:"load"`
	Seconds float64   `json:"seconds_per_round"`
	Results []*Result `json:"results"`
	// Ratios compare the first result with each other one.
	Ratios []Ratio `json:"ratios,omitempty"`
}

// Result is what was measured of one target, over all rounds.
type Result struct {
	Name string `json:"name"`
	// Connections says over what the requests went.
	Connections string `json:"connections,omitempty"`
	// Rate is the median of Rates, which are the operations a second of each round.
	Rate   float64          `json:"ops_per_second"`
	Rates  []float64        `json:"rounds_ops_per_second"`
	P99s   []float64        `json:"rounds_p99"`
	Reads  int64            `json:"reads"`
	Writes int64            `json:"writes"`
	Errors map[string]int64 `json:"errors,omitempty"`
	P50    float64          `json:"p50"`
	P90    float64          `json:"p90"`
	P99    float64          `json:"p99"`
	P999   float64          `json:"p99_9"`
	Max    float64          `json:"max"`

	all Sample
}

// Ratio compares two targets: how many times the other one's throughput and p99 the first one has, as
// medians over the rounds.
type Ratio struct {
	Name  string  `json:"name"`
	Other string  `json:"other"`
	Rate  float64 `json:"ops_per_second"`
	P99   float64 `json:"p99"`
}

func (r *Result) add(s Sample) {
	if r.all.latencies == nil {
		r.all = newSample()
	}
	r.all.add(s)
	r.Connections = s.Connections
	r.all.Took += s.Took
	r.Rates = append(r.Rates, s.rate())
	r.P99s = append(r.P99s, inMillis(s.quantile(99)))
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r *Report) finish() {
	for _, x := range r.Results {
		x.Rate = median(x.Rates)
		x.Reads, x.Writes = x.all.Reads, x.all.Writes
		x.Errors = x.all.Errors
		for q, into := range map[float64]*float64{50: &x.P50, 90: &x.P90, 99: &x.P99, 99.9: &x.P999, 100: &x.Max} {
			*into = inMillis(x.all.quantile(q))
		}
	}
	first := r.Results[0]
	for _, x := range r.Results[1:] {
		r.Ratios = append(r.Ratios, Ratio{
			Name: first.Name, Other: x.Name,
			Rate: quotient(first.Rate, x.Rate),
			P99:  quotient(median(first.P99s), median(x.P99s)),
		})
	}
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\n\n", r.Load)
	fmt.Fprintln(t, "\tconnections\tops/s\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tmax ms\terrors\t")
	for _, x := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t\n",
			x.Name, cmp.Or(x.Connections, "none"), x.Rate, x.P50, x.P90, x.P99, x.P999, x.Max, x.all.failed())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range r.Results {
		for _, kind := range slices.Sorted(maps.Keys(x.Errors)) {
			fmt.Fprintf(w, "%s: %d errors of kind %s\n", x.Name, x.Errors[kind], kind)
		}
	}
	for _, x := range r.Ratios {
		fmt.Fprintf(w, "%s has %.0f %% of the rate of %s, and %.0f %% of its p99 (medians of %d rounds)\n",
			x.Name, 100*x.Rate, x.Other, 100*x.P99, len(r.Results[0].Rates))
	}
	return nil
}

// String says in words what the clients do.
func (l Load) String() string {
	var parts []string
	if l.Rate > 0 {
		parts = append(parts, fmt.Sprintf("open loop, %.0f requests/s, at most %d at a time", l.Rate, l.Clients))
	} else {
		parts = append(parts, fmt.Sprintf("closed loop, %d clients", l.Clients))
	}
	parts = append(parts, fmt.Sprintf("%d-byte values, %d keys", l.Size, l.Keys))
	if l.ReadShare > 0 {
		kind := "linearizable"
		if l.Stale {
			kind = "stale"
		}
		parts = append(parts, fmt.Sprintf("%.0f %% %s reads", 100*l.ReadShare, kind))
	}
	if l.Spread {
		parts = append(parts, "all members")
	} else {
		parts = append(parts, "the leader")
	}
	return strings.Join(parts, ", ")
}
