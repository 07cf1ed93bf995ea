// Command worker does one workload on one library, which is chosen by a build tag: none for this one,
// or v36, v37, floor. All workloads are the same source for all of them; only lib_*.go differ, so that
// nothing stands between a workload and the library.
package main

import "quorate.example/raft/benchmarks/internal/measure"

type bench = measure.Bench

// families lists what can be done; each file adds its own.
var families = measure.Families{}

func main() { families.Main() }
