package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Curve is how a cost grows with something.
type Curve struct {
	Name   string // of the file
	Title  string
	X, Y   string // what is on the axes
	Metric string
	Points []Point
}

// Point is one workload of a curve.
type Point struct {
	X        float64
	Workload string
	N        int
}

// dot is a measured point of a library.
type dot struct {
	x float64
	Spread
}

// dots returns what was measured, by library.
func (c *Curve) dots(run *Run) [][]dot {
	all := make([][]dot, len(run.Peers))
	for i, library := range run.Peers {
		for _, p := range c.Points {
			if s, ok := SpreadOf(run.Values(p.Workload, library, c.Metric)); ok && s.Low > 0 {
				all[i] = append(all[i], dot{p.X, s})
			}
		}
	}
	return all
}

// Draw renders the curve as SVG: medians as lines, ranges as thin bars. It is empty if nothing was
// measured.
func (c *Curve) Draw(run *Run) string {
	dots := c.dots(run)
	low, high := math.Inf(1), 0.0
	first, last := math.Inf(1), 0.0
	for _, d := range slices.Concat(dots...) {
		low, high = min(low, d.Low), max(high, d.High)
		first, last = min(first, d.x), max(last, d.x)
	}
	if high == 0 || first == last {
		return ""
	}
	const width, height, left, right, top, bottom = 640, 400, 80, 24, 52, 56
	s := newSVG(width, height, c.Title)
	x, y := axis{first, last, left, width - right, true}, linearAxis(high, height-bottom, top)
	if high/low > 8 {
		y = logAxis(low, high, height-bottom, top)
	}
	c.axes(s, x, y)
	var shown []int
	for i := range dots {
		if len(dots[i]) > 0 {
			shown = append(shown, i)
			c.plot(s, x, y, run.Peers[i], i%len(palette), dots[i])
		}
	}
	s.legend(run.Peers, shown, 40)
	return s.end()
}

func (c *Curve) plot(s *svg, x, y axis, library string, colour int, dots []dot) {
	var path strings.Builder
	for _, d := range dots {
		fmt.Fprintf(&path, "%.1f,%.1f ", x.place(d.x), y.place(d.Median))
	}
	s.add(`<polyline class="line s%d" points="%s"/>`, colour, strings.TrimSpace(path.String()))
	for _, d := range dots {
		s.line(fmt.Sprintf("s%d", colour), x.place(d.x), y.place(d.Low), x.place(d.x), y.place(d.High))
		hint := fmt.Sprintf("%s, %s: %s", library, number(d.x), Format(d.Median, c.Metric))
		s.add(`<circle class="f%d" cx="%.1f" cy="%.1f" r="3"><title>%s</title></circle>`,
			colour, x.place(d.x), y.place(d.Median), html.EscapeString(hint))
	}
}

func (c *Curve) axes(s *svg, x, y axis) {
	for _, v := range x.marks() {
		s.line("grid", x.place(v), y.from, x.place(v), y.to)
		s.text(x.place(v), y.from+18, "middle", "", short(v))
	}
	for _, v := range y.marks() {
		s.line("grid", x.from, y.place(v), x.to, y.place(v))
		s.text(x.from-6, y.place(v)+4, "end", "", label(v, c.Metric))
	}
	s.line("axis", x.from, y.from, x.to, y.from)
	s.line("axis", x.from, y.from, x.from, y.to)
	s.text((x.from+x.to)/2, s.height-12, "middle", "", c.X)
	s.upText(16, (y.from+y.to)/2, c.Y)
}
