package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// svg is a drawing. Its colours follow the reader's light or dark mode.
type svg struct {
	strings.Builder
	width, height float64
}

// The colours of libraries, in the order of Run.Peers; each pair is for light and for dark mode.
var palette = [][2]string{
	{"#0969da", "#58a6ff"}, {"#bf8700", "#d29922"}, {"#8250df", "#bc8cff"}, {"#1a7f37", "#3fb950"}, {"#6e7781", "#8b949e"},
}

func newSVG(width, height float64, title string) *svg {
	s := &svg{width: width, height: height}
	s.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`,
		width, height, width, height, html.EscapeString(title))
	light, dark := &strings.Builder{}, &strings.Builder{}
	for i, c := range palette {
		fmt.Fprintf(light, ".f%d{fill:%s}.s%d{stroke:%s}", i, c[0], i, c[0])
		fmt.Fprintf(dark, ".f%d{fill:%s}.s%d{stroke:%s}", i, c[1], i, c[1])
	}
	s.add(`<style>svg{background:#ffffff}text{font:12px system-ui,sans-serif;fill:#1f2328}`+
		`.title{font-size:14px;font-weight:600}.small{font-size:9px}.line{fill:none;stroke-width:2}`+
		`.grid{stroke:#d0d7de;stroke-width:1}.axis{stroke:#656d76;stroke-width:1}%s`+
		`@media (prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}`+
		`.grid{stroke:#30363d}.axis{stroke:#8d96a0}%s}</style>`, light, dark)
	s.text(width/2, 20, "middle", "title", title)
	return s
}

func (s *svg) add(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *svg) text(x, y float64, anchor, class, text string) {
	s.add(`<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`, x, y, anchor, class, html.EscapeString(text))
}

func (s *svg) upText(x, y float64, text string) {
	s.add(`<text x="%.1f" y="%.1f" text-anchor="middle" transform="rotate(-90 %.1f %.1f)">%s</text>`,
		x, y, x, y, html.EscapeString(text))
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.add(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

// legend names those libraries that are shown, in one row.
func (s *svg) legend(names []string, shown []int, y float64) {
	x := s.width/2 - float64(len(shown))*50
	for _, i := range shown {
		s.add(`<rect class="f%d" x="%.1f" y="%.1f" width="10" height="10"/>`, i%len(palette), x, y-9)
		s.text(x+14, y, "start", "", names[i])
		x += 100
	}
}

func (s *svg) end() string {
	s.add("</svg>")
	return s.String()
}

// axis maps values to places, linearly or by their logarithm.
type axis struct {
	low, high float64 // values
	from, to  float64 // places
	log       bool
}

// logAxis covers the values with whole powers of ten.
func logAxis(low, high, from, to float64) axis {
	floor, ceil := math.Floor(math.Log10(low)+1e-9), math.Ceil(math.Log10(high)-1e-9)
	a := axis{math.Pow(10, floor), math.Pow(10, ceil), from, to, true}
	if a.high <= a.low {
		a.high = a.low * 10
	}
	return a
}

func linearAxis(high, from, to float64) axis {
	step := math.Pow(10, math.Floor(math.Log10(high)))
	return axis{0, math.Ceil(high/step*2) / 2 * step, from, to, false}
}

func (a axis) place(v float64) float64 {
	if !a.log {
		return a.from + (v-a.low)/(a.high-a.low)*(a.to-a.from)
	}
	v = math.Max(v, a.low)
	return a.from + math.Log(v/a.low)/math.Log(a.high/a.low)*(a.to-a.from)
}

// marks returns where the axis is labelled.
func (a axis) marks() (at []float64) {
	if !a.log {
		for i := 0; i <= 5; i++ {
			at = append(at, a.low+(a.high-a.low)*float64(i)/5)
		}
		return at
	}
	for v := math.Pow(10, math.Floor(math.Log10(a.low)+1e-9)); v <= a.high*1.0001; v *= 10 {
		for _, mark := range []float64{v, 3 * v} {
			few := a.high/a.low < 200
			if mark >= a.low*0.9999 && mark <= a.high*1.0001 && (mark == v || few) {
				at = append(at, mark)
			}
		}
	}
	return at
}
