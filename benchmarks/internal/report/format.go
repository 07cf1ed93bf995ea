package report

import (
	"math"
	"strconv"
	"strings"

	"quorate.example/raft/benchmarks/internal/measure"
)

// number writes three digits, but all of a number above 1000.
func number(v float64) string {
	switch size := math.Abs(v); {
	case v == math.Trunc(v) && size < 1e6, size >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 0.095:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// Format writes a value of a metric with its unit.
func Format(v float64, metric string) string {
	switch {
	case strings.HasSuffix(metric, " ns"):
		return duration(v)
	case metric == Bytes, metric == measure.HeapBytes:
		return number(v) + " B"
	}
	return number(v)
}

func duration(ns float64) string {
	unit, name := 1.0, "ns"
	switch {
	case ns >= 1e9:
		unit, name = 1e9, "s"
	case ns >= 1e6:
		unit, name = 1e6, "ms"
	case ns >= 1e3:
		unit, name = 1e3, "µs"
	}
	return number(ns/unit) + " " + name
}

// short writes a number for an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return number(v/1e6) + "M"
	case v >= 1e4:
		return number(v/1e3) + "k"
	}
	return number(v)
}

// label writes a value for an axis.
func label(v float64, metric string) string {
	if metric == measure.HeapBytes && v >= 1e3 {
		return number(v/1e3) + " kB"
	}
	return Format(v, metric)
}
