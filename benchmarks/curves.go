package main

import (
	"fmt"
	"math"

	"quorate.example/raft/benchmarks/internal/measure"
	"quorate.example/raft/benchmarks/internal/report"
)

// curves lists how the cost grows.
func curves() []report.Curve {
	return []report.Curve{
		curve("members", "Committed entry, the leader's part", "voters", "CPU time per entry", report.CPU,
			points("commit/%d", func(x int) int { return max(200, 60000/(x*x)) }, 1, 3, 5, 7, 15, 31, 63, 101)),
		curve("groups-heap", "Idle replicas in one process: memory",
			"replicas", "live heap per replica", measure.HeapBytes,
			points("groups/%d", ticks, 1, 10, 100, 1000, 10000, 100000, 1000000)),
		curve("groups-tick", "Idle replicas in one process: time", "replicas", "CPU time per Tick", report.CPU,
			points("groups/%d", ticks, 1, 10, 100, 1000, 10000, 100000, 1000000)),
		curve("log", "Proposal, to applied on all three, with a log that is long already",
			"entries in the log", "CPU time per entry", report.CPU,
			points("log/%d", always(20000), 100, 1000, 10000, 100000, 1000000)),
		curve("restart", "Restart on a log", "entries in the log", "CPU time per restart", report.CPU,
			points("restart/%d", always(2000), 100, 1000, 10000, 100000, 1000000)),
		curve("size", "Proposal, to applied on all three", "bytes in an entry", "CPU time per entry", report.CPU,
			points("propose/%dB", always(20000), 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)),
		curve("clients", "Node, 16 B, to applied on the leader", "proposers", "time per entry", report.Wall,
			points("node/%d", func(x int) int { return max(10000, 20*x) }, 1, 4, 16, 64, 256, 1024, 4096)),
		curve("window", "Commit under a steady load of 512 entries per round trip",
			"window, in messages", "latency in round trips", measure.Latency,
			points("pipeline/64:%d", always(20000), 1, 2, 4, 8, 16, 32, 64, 128, 256)),
		curve("rtt", "Commit under a steady load, window of 64 messages",
			"round trip, in steps of 8 proposals each", "latency in round trips", measure.Latency,
			points("pipeline/%d:64", always(20000), 2, 4, 8, 16, 32, 64, 128, 256, 512)),
		curve("rtt-cpu", "Commit under a steady load, window of 64 messages",
			"round trip, in steps of 8 proposals each", "CPU time per entry", report.CPU,
			points("pipeline/%d:64", always(20000), 2, 4, 8, 16, 32, 64, 128, 256, 512)),
	}
}

func curve(name, title, x, y, metric string, at []report.Point) report.Curve {
	return report.Curve{Name: name, Title: title, X: x, Y: y, Metric: metric, Points: at}
}

func points(format string, n func(x int) int, xs ...int) (at []report.Point) {
	for _, x := range xs {
		at = append(at, report.Point{X: float64(x), Workload: fmt.Sprintf(format, x), N: n(x)})
	}
	return at
}

func always(n int) func(int) int { return func(int) int { return n } }

func ticks(groups int) int { return int(math.Max(1e5, 2*float64(groups))) }

// barRows are the workloads of the chart that shows all libraries.
func barRows() []string {
	return []string{
		"propose/16B", "batch/64", "batch/1024", "commit/7", "commit/101", "node/1", "node/16", "node/256", "node/4096",
		"create", "groups/10000", "heartbeat/10000", "ack/3", "ack/101", "catch-up/100B", "conflict/1000",
		"read/1", "read/64",
		"joint", "snapshot",
	}
}
