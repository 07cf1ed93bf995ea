package main

import (
	"testing"

	"quorate.example/raft/benchmarks/internal/measure"
)

// The same workloads for go test -bench, on the library that the tags choose. One iteration is one
// operation; verification is included.
func BenchmarkWorkload(b *testing.B) {
	for _, name := range []string{
		"propose/16B", "propose/64KiB", "batch/64", "batch/1024", "commit/7", "commit/101", "node/1", "node/16", "node/256",
		"create", "groups/10000", "heartbeat/1000", "ack/3", "ack/101", "catch-up/100B", "conflict/10", "read/1", "read/64",
		"joint", "snapshot", "wire/marshal", "wire/unmarshal", "wire/size",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			result, err := families.Run(name, b.N)
			measure.Must(err)
			per := func(total float64, unit string) { b.ReportMetric(total/float64(result.Ops), unit) }
			per(float64(result.WallNS), "ns/op")
			per(float64(result.CPUNS), "cpu-ns/op")
			per(float64(result.Allocs), "allocs/op")
			per(float64(result.Bytes), "B/op")
		})
	}
}
