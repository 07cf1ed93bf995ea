package report

import (
	"cmp"
	"maps"
	"slices"
)

// Spread is the middle and the ends of some values.
type Spread struct{ Median, Low, High float64 }

// SpreadOf returns the spread of values, and whether there are any.
func SpreadOf(values map[int]float64) (Spread, bool) {
	sorted := slices.SortedFunc(maps.Values(values), cmp.Compare[float64])
	n := len(sorted)
	if n == 0 {
		return Spread{}, false
	}
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Low: sorted[0], High: sorted[n-1]}, true
}

// Ratios divides a by b round by round, so that what slowed the machine down in one round weighs on
// both. A round that one of them lacks, or in which b is zero, does not count.
func Ratios(a, b map[int]float64) map[int]float64 {
	ratios := map[int]float64{}
	for round, v := range a {
		if w := b[round]; w != 0 {
			ratios[round] = v / w
		}
	}
	return ratios
}
