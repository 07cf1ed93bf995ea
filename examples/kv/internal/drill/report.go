package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// Report is what a drill found.
type Report struct {
	Seed    uint64        `json:"seed"`
	Members int           `json:"members"`
	Took    time.Duration `json:"took"`
	// What clients had acknowledged, and what failed: certainly without effect, or with an outcome
	// that nobody told them.
	Writes    int64 `json:"writes"`
	Reads     int64 `json:"reads"`
	Swaps     int64 `json:"compare_and_swaps"`
	Conflicts int64 `json:"conflicts"`
	Refused   int64 `json:"refused"`
	Unknown   int64 `json:"unknown"`
	// Ledger is the number of acknowledged keys that were looked for on each member.
	Ledger int `json:"ledger"`
	// Operations is the size of the history that was checked, on HistoryKeys keys.
	Operations  int64 `json:"operations"`
	HistoryKeys int   `json:"history_keys"`
	// Keys and Digest are those of the state at the end, which is the same on all members.
	Keys   int          `json:"keys"`
	Digest string       `json:"digest"`
	Faults map[Kind]int `json:"faults"`
	// Leaderless are the times without a leader that a majority agrees on, Unavailable those without
	// an acknowledged write; windows are those of at least a second.
	Leaderless  gaps   `json:"leaderless"`
	Unavailable gaps   `json:"unavailable"`
	Violation   string `json:"violation,omitempty"`

	mu sync.Mutex
}

func newReport(o Options) *Report {
	return &Report{Seed: o.Seed, Members: o.Members, Faults: map[Kind]int{}}
}

func (r *Report) fault(kind Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Faults[kind]++
}

// count takes over what the clients counted.
func (r *Report) count(c *clients) {
	r.Writes, r.Reads, r.Swaps = c.writes.Load(), c.reads.Load(), c.swaps.Load()
	r.Conflicts, r.Refused, r.Unknown = c.conflicts.Load(), c.nothing.Load(), c.unknown.Load()
	r.Ledger, r.Unavailable = len(c.ledger), c.gaps
}

// WriteJSON writes the report as one JSON object. Times are in nanoseconds.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("time", "%.1f s, %d members, seed %d", r.Took.Seconds(), r.Members, r.Seed)
	row("acknowledged", "%d writes, %d reads, %d compare-and-swaps (%d in conflict)",
		r.Writes, r.Reads, r.Swaps, r.Conflicts)
	row("failed", "%d without effect, %d with unknown outcome", r.Refused, r.Unknown)
	total := 0
	for _, kind := range Kinds() {
		total += r.Faults[kind]
	}
	row("faults", "%d", total)
	for _, kind := range slices.DeleteFunc(Kinds(), func(k Kind) bool { return r.Faults[k] == 0 }) {
		row("  "+string(kind), "%d", r.Faults[kind])
	}
	row("without a leader", "%s", r.Leaderless)
	row("without a write", "%s", r.Unavailable)
	if r.HistoryKeys == 0 {
		return t.Flush() // it ended before that
	}
	row("history", "%d operations on %d keys checked with porcupine", r.Operations, r.HistoryKeys)
	row("at the end", "%d keys, %d of them looked for one by one, sha256 %.16s on all members",
		r.Keys, r.Ledger, r.Digest)
	return t.Flush()
}

// String is the longest and the number of long ones.
func (g gaps) String() string {
	return fmt.Sprintf("longest %.2f s, %d times a second or more, %.1f s in all",
		g.Longest.Seconds(), g.Count, g.Total.Seconds())
}
