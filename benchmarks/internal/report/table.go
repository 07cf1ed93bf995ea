package report

import (
	"fmt"
	"strings"

	"quorate.example/raft/benchmarks/internal/measure"
)

// Row is one workload of the tables.
type Row struct {
	Workload string // its name for the workers
	Title    string // its name for people
	Metric   string // the metric that it is about; empty means Wall
	N, Quick int    // operations in a run, and in one with -quick
	Goals    []Goal
}

func (r *Row) metric() string {
	if r.Metric == "" {
		return Wall
	}
	return r.Metric
}

// Goal is what was set out to be reached.
type Goal struct {
	Metric string
	Ratio  bool // the base's value divided by ours is to be at least so much; else our value at most
	Least  float64
	Aim    float64 // 0 if there is none
}

func (g *Goal) met(v, want float64) bool {
	if g.Ratio {
		return v >= want
	}
	return v <= want
}

// Tables renders the run as Markdown.
func Tables(run *Run, rows []Row) string {
	var out strings.Builder
	mode := ""
	if run.Quick {
		mode = ", quick: fewer operations, so less exact"
	}
	fmt.Fprintf(&out, "%s; %s; rounds: %d%s.\n", run.When, run.Machine, run.Rounds, mode)
	fmt.Fprintf(&out, "A ratio is the value of %s divided by that of %s in the same round: above 1, %s is better.\n",
		run.Base, Ours, Ours)
	out.WriteString(ratioTable(run, rows))
	out.WriteString(goalTable(run, rows))
	out.WriteString(peerTable(run, rows))
	return out.String()
}

func line(out *strings.Builder, cells ...string) {
	out.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func ratioTable(run *Run, rows []Row) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n### %s against %s\n\n", Ours, run.Base)
	line(&out, "workload", run.Base, Ours, "ratio: median (range)", "of the best rounds",
		"of CPU time: median (range)", "allocs: "+run.Base+" → ours", "bytes: "+run.Base+" → ours")
	line(&out, "---", "--:", "--:", "--:", "--:", "--:", "--:", "--:")
	for i := range rows {
		row := &rows[i]
		base, ok := SpreadOf(run.Values(row.Workload, run.Base, row.metric()))
		ours, ok2 := SpreadOf(run.Values(row.Workload, Ours, row.metric()))
		if !ok || !ok2 {
			continue
		}
		line(&out, row.Title, Format(base.Median, row.metric()), Format(ours.Median, row.metric()),
			ratioCell(run, row, row.metric()), number(base.Low/ours.Low)+"×", ratioCell(run, row, CPU),
			pair(run, row, Allocs), pair(run, row, Bytes))
	}
	return out.String()
}

func ratioCell(run *Run, row *Row, metric string) string {
	s, ok := ratio(run, row.Workload, metric)
	if !ok {
		return ""
	}
	return fmt.Sprintf("**%s×** (%s–%s)", number(s.Median), number(s.Low), number(s.High))
}

func ratio(run *Run, workload, metric string) (Spread, bool) {
	return SpreadOf(Ratios(run.Values(workload, run.Base, metric), run.Values(workload, Ours, metric)))
}

func pair(run *Run, row *Row, metric string) string {
	base, ok := SpreadOf(run.Values(row.Workload, run.Base, metric))
	ours, ok2 := SpreadOf(run.Values(row.Workload, Ours, metric))
	if !ok || !ok2 {
		return ""
	}
	return number(base.Median) + " → " + number(ours.Median)
}

func goalTable(run *Run, rows []Row) string {
	var out strings.Builder
	out.WriteString("\n### What is to be reached\n\n")
	line(&out, "workload", "what", "reached", "at least", "aim", "met")
	line(&out, "---", "---", "--:", "--:", "--:", "---")
	for i := range rows {
		for _, goal := range rows[i].Goals {
			v, ok := goal.value(run, rows[i].Workload)
			if !ok {
				continue
			}
			line(&out, rows[i].Title, goalNames[goal.Metric], goal.show("", v),
				goal.limit(goal.Least), goal.limit(goal.Aim), goal.verdict(v))
		}
	}
	return out.String()
}

var goalNames = map[string]string{
	Wall: "time", CPU: "CPU time", Allocs: "allocations", Bytes: "bytes",
	measure.P50: "p50", measure.P99: "p99",
	measure.Messages: "messages", measure.TermCalls: "calls of Storage.Term",
	measure.HeapBytes: "live heap", measure.HeapObjs: "live objects",
}

// value returns what was reached: the median of the ratios, or of our values.
func (g *Goal) value(run *Run, workload string) (float64, bool) {
	if g.Ratio {
		s, ok := ratio(run, workload, g.Metric)
		return s.Median, ok
	}
	s, ok := SpreadOf(run.Values(workload, Ours, g.Metric))
	return s.Median, ok
}

// limit shows what is wanted; nothing if nothing is.
func (g *Goal) limit(v float64) string {
	switch {
	case v == 0 && g.Least != 0:
		return ""
	case g.Ratio:
		return g.show("", v)
	}
	return g.show("≤ ", v)
}

func (g *Goal) show(before string, v float64) string {
	if g.Ratio {
		return before + number(v) + "×"
	}
	return before + Format(v, g.Metric)
}

func (g *Goal) verdict(v float64) string {
	switch {
	case !g.met(v, g.Least):
		return "**no**"
	case g.Aim != 0 && g.met(v, g.Aim):
		return "yes, the aim too"
	}
	return "yes"
}

func peerTable(run *Run, rows []Row) string {
	var out strings.Builder
	out.WriteString("\n### All libraries (medians)\n\n")
	head, rule := []string{"workload"}, []string{"---"}
	for _, library := range run.Peers {
		head, rule = append(head, library), append(rule, "--:")
	}
	line(&out, head...)
	line(&out, rule...)
	for i := range rows {
		cells, some := []string{rows[i].Title}, false
		for _, library := range run.Peers {
			cell := ""
			if s, ok := SpreadOf(run.Values(rows[i].Workload, library, rows[i].metric())); ok {
				cell, some = Format(s.Median, rows[i].metric()), true
			}
			cells = append(cells, cell)
		}
		if some {
			line(&out, cells...)
		}
	}
	return out.String()
}
