package report

import (
	"fmt"
	"slices"
)

// bar is how many times as fast as the base a library is.
type bar struct {
	library int // its place in Run.Peers
	times   float64
}

// block is the bars of one workload.
type block struct {
	title string
	bars  []bar
}

func blocks(run *Run, rows []Row, workloads []string) (all []block) {
	for i := range rows {
		row := &rows[i]
		if !slices.Contains(workloads, row.Workload) {
			continue
		}
		b := block{title: row.Title}
		base := run.Values(row.Workload, run.Base, row.metric())
		for j, library := range run.Peers {
			s, ok := SpreadOf(Ratios(base, run.Values(row.Workload, library, row.metric())))
			if ok && library != run.Base {
				b.bars = append(b.bars, bar{j, s.Median})
			}
		}
		if len(b.bars) > 0 {
			all = append(all, b)
		}
	}
	return all
}

// Bars draws for each workload how many times as fast as the base each library is, by the median of the
// rounds. Live heap counts as time does. It is empty if nothing was measured.
func Bars(run *Run, rows []Row, workloads []string) string {
	const width, left, right, top, thick, gap = 900.0, 370.0, 60.0, 74.0, 9.0, 10.0
	all := blocks(run, rows, workloads)
	if len(all) == 0 {
		return ""
	}
	low, high, bottom := 1.0, 2.0, top
	var shown []int
	for _, b := range all {
		bottom += gap + thick*float64(len(b.bars))
		for _, bar := range b.bars {
			low, high = min(low, bar.times), max(high, bar.times)
			if !slices.Contains(shown, bar.library) {
				shown = append(shown, bar.library)
			}
		}
	}
	slices.Sort(shown)
	s := newSVG(width, bottom+44, fmt.Sprintf("Times as fast as go.etcd.io/raft %s (more is better)", run.Base))
	x := logAxis(low, high, left, width-right)
	for _, v := range x.marks() {
		s.line("grid", x.place(v), top, x.place(v), bottom)
		s.text(x.place(v), bottom+16, "middle", "", number(v)+"×")
	}
	y := top
	for _, b := range all {
		s.text(left-8, y+gap/2+float64(len(b.bars))*thick/2+4, "end", "", b.title)
		y += gap / 2
		for _, bar := range b.bars {
			s.bar(x, y, thick, bar)
			y += thick
		}
		y += gap / 2
	}
	s.line("axis", x.place(1), top, x.place(1), bottom)
	s.text((left+width-right)/2, bottom+36, "middle", "",
		fmt.Sprintf("time of %s divided by the library's own; medians of %d rounds", run.Base, run.Rounds))
	s.legend(run.Peers, shown, 44)
	return s.end()
}

func (s *svg) bar(x axis, y, thick float64, b bar) {
	from, to := x.place(min(1, b.times)), x.place(max(1, b.times))
	s.add(`<rect class="f%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
		b.library%len(palette), from, y, to-from, thick-1)
	s.text(to+4, y+thick-1, "start", "small", number(b.times)+"×")
}
