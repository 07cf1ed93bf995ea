package report

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/benchmarks/internal/measure"
)

// sampleRun has two rounds in which the machine was four times slower in the second one.
func sampleRun() *Run {
	run := &Run{Rounds: 2, Base: "v3.6.0", Peers: []string{Ours, "v3.6.0", "floor"}}
	add := func(library, workload string, round int, ns int64, metrics map[string]float64) {
		run.Samples = append(run.Samples, Sample{library, round, measure.Result{
			Workload: workload, Ops: 10, WallNS: 10 * ns, CPUNS: 10 * ns, Allocs: 25, Bytes: 1000, Metrics: metrics}})
	}
	for round, slow := range []int64{1, 4} {
		add(Ours, "work", round, 1000*slow, nil)
		add("v3.6.0", "work", round, 5000*slow, nil)
		add("floor", "work", round, 500*slow, nil)
		add(Ours, "work/100", round, 3000*slow, nil)
		add(Ours, "heap", round, 0, map[string]float64{measure.HeapBytes: 700})
		add("v3.6.0", "heap", round, 0, map[string]float64{measure.HeapBytes: 2100})
	}
	return run
}

var sampleRows = []Row{
	{Workload: "work", Title: "some work", Goals: []Goal{
		{Metric: Wall, Ratio: true, Least: 4, Aim: 6}, {Metric: Allocs, Least: 2}, {Metric: Bytes, Least: 100, Aim: 100}}},
	{Workload: "heap", Title: "some heap", Metric: measure.HeapBytes,
		Goals: []Goal{{Metric: measure.HeapBytes, Least: 600}}},
	{Workload: "never run", Title: "never run"},
}

func TestSpreadIsMedianAndRange(t *testing.T) {
	s, ok := SpreadOf(map[int]float64{0: 9, 1: 1, 2: 4})
	require.True(t, ok)
	require.Equal(t, Spread{4, 1, 9}, s)
	s, _ = SpreadOf(map[int]float64{0: 9, 1: 1})
	require.Equal(t, Spread{5, 1, 9}, s)
	_, ok = SpreadOf(nil)
	require.False(t, ok)
}

func TestRatiosPairTheValuesOfARound(t *testing.T) {
	a, b := map[int]float64{0: 10, 1: 40, 2: 7, 3: 1}, map[int]float64{0: 5, 1: 20, 3: 0}
	require.Equal(t, map[int]float64{0: 2, 1: 2}, Ratios(a, b), "round 2 lacks b, round 3 cannot be divided")
}

func TestRatioIsNotMovedByARoundThatIsSlowForAll(t *testing.T) {
	s, ok := ratio(sampleRun(), "work", Wall)
	require.True(t, ok)
	require.Equal(t, Spread{5, 5, 5}, s)
}

func TestTablesTellWhatWasReached(t *testing.T) {
	text := Tables(sampleRun(), sampleRows)
	for _, want := range []string{
		"| some work | 12.5 µs | 2.50 µs | **5×** (5–5) | 5× | **5×** (5–5) | 2.50 → 2.50 | 100 → 100 |",
		"| some heap | 2100 B | 700 B | **3×** (3–3) | 3× |  |  |  |",
		"| some work | time | 5× | 4× | 6× | yes |",
		"| some work | allocations | 2.50 | ≤ 2 |  | **no** |",
		"| some work | bytes | 100 B | ≤ 100 B | ≤ 100 B | yes, the aim too |",
		"| some heap | live heap | 700 B | ≤ 600 B |  | **no** |",
		"| some work | 2.50 µs | 12.5 µs | 1.25 µs |",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "never run")
}

func TestFormatChoosesTheUnit(t *testing.T) {
	for want, ns := range map[string]float64{
		"0.50 ns": 0.5, "999 ns": 999, "1.50 µs": 1500, "12.3 ms": 12.3e6, "2 s": 2e9,
	} {
		require.Equal(t, want, Format(ns, Wall))
	}
	require.Equal(t, "1048576", number(1048576))
}

func TestRunIsReadBackAsItWasSaved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	run := sampleRun()
	require.NoError(t, run.Save(file))
	got, err := Load(file)
	require.NoError(t, err)
	require.Equal(t, run, got)
}

// well fails unless text is well-formed XML, and returns what is written in it.
func well(t *testing.T, text string) string {
	t.Helper()
	words := &strings.Builder{}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return words.String()
		}
		require.NoError(t, err)
		if data, ok := token.(xml.CharData); ok {
			words.Write(data)
		}
	}
}

func TestCurveShowsEveryLibraryThatWasMeasured(t *testing.T) {
	c := Curve{Title: "cost <of> work", X: "size", Y: "time", Metric: Wall,
		Points: []Point{{X: 1, Workload: "work"}, {X: 100, Workload: "work/100"}, {X: 200, Workload: "none"}}}
	text := c.Draw(sampleRun())
	words := well(t, text)
	for _, want := range []string{"cost <of> work", "size", "time", Ours, "v3.6.0", "floor", "100"} {
		require.Contains(t, words, want)
	}
	require.Contains(t, text, "prefers-color-scheme")
	require.NotContains(t, text, "NaN")
	require.Equal(t, 4, strings.Count(text, "<circle"))
}

func TestCurveOfNothingIsEmpty(t *testing.T) {
	c := Curve{Metric: Wall, Points: []Point{{X: 1, Workload: "none"}}}
	require.Empty(t, c.Draw(sampleRun()))
	require.Empty(t, Bars(sampleRun(), sampleRows, []string{"never run"}))
}

func TestBarsAreRelativeToTheBase(t *testing.T) {
	words := well(t, Bars(sampleRun(), sampleRows, []string{"work", "heap"}))
	for _, want := range []string{"some work", "5×", "10×", "some heap", "3×", Ours, "floor"} {
		require.Contains(t, words, want)
	}
}

func TestAxisPlacesItsEnds(t *testing.T) {
	exact := axis{low: 3, high: 700, from: 50, to: 150, log: true}
	for _, a := range []axis{logAxis(3, 700, 50, 150), linearAxis(8.5, 50, 150), exact} {
		require.InDelta(t, 50, a.place(a.low), 1e-9)
		require.InDelta(t, 150, a.place(a.high), 1e-9)
		require.GreaterOrEqual(t, len(a.marks()), 2)
		for _, mark := range a.marks() {
			require.True(t, a.place(mark) > 49.9 && a.place(mark) < 150.1, "mark %g of %+v", mark, a)
		}
	}
	require.InDelta(t, 1, logAxis(3, 700, 0, 1).low, 1e-9)
	require.InDelta(t, 100, logAxis(100, 700, 0, 1).low, 1e-6)
	require.InDelta(t, 1000, logAxis(3, 700, 0, 1).high, 1e-6)
}
