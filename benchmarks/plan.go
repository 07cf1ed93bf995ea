package main

import (
	"slices"

	"quorate.example/raft/benchmarks/internal/measure"
	"quorate.example/raft/benchmarks/internal/report"
)

// faster is a goal for the time, as a ratio to v3.6.0.
func faster(least, aim float64) report.Goal { return better(report.Wall, least, aim) }

func better(metric string, least, aim float64) report.Goal {
	return report.Goal{Metric: metric, Ratio: true, Least: least, Aim: aim}
}

func atMost(metric string, least, aim float64) report.Goal {
	return report.Goal{Metric: metric, Least: least, Aim: aim}
}

func goals(all ...report.Goal) []report.Goal { return all }

// rows lists the workloads of the tables. The number of operations is such that v3.6.0 takes some tenths
// of a second.
func rows() []report.Row {
	return slices.Concat(rawNodeRows(), nodeRows(), replicaRows(), ackRows(), otherRows())
}

func rawNodeRows() []report.Row {
	one := goals(faster(4, 6), atMost(report.Allocs, 2, 1), atMost(report.Bytes, 1700, 0))
	return []report.Row{
		{Workload: "propose/16B", Title: "one proposal at a time, 16 B", N: 50000, Quick: 8000, Goals: one},
		{Workload: "propose/1KiB", Title: "one proposal at a time, 1 KiB", N: 50000, Quick: 8000, Goals: one},
		{Workload: "propose/64KiB", Title: "one proposal at a time, 64 KiB", N: 50000, Quick: 8000, Goals: one},
		{Workload: "batch/64", Title: "64 proposals between Readys", N: 64000, Quick: 12800,
			Goals: goals(faster(12, 25), atMost(measure.Messages, 0.3, 0))},
		{Workload: "batch/1024", Title: "1,024 proposals between Readys", N: 204800, Quick: 51200,
			Goals: goals(faster(6, 8))},
		{Workload: "commit/3", Title: "committed entry, 3 voters", N: 50000, Quick: 8000, Goals: goals(faster(3, 6))},
		{Workload: "commit/7", Title: "committed entry, 7 voters", N: 20000, Quick: 3000,
			Goals: goals(faster(5, 10))},
		{Workload: "commit/31", Title: "committed entry, 31 voters", N: 3000, Quick: 500,
			Goals: goals(faster(12, 24))},
		{Workload: "commit/101", Title: "committed entry, 101 voters", N: 400, Quick: 80,
			Goals: goals(faster(30, 60))},
	}
}

func nodeRows() []report.Row {
	return []report.Row{
		{Workload: "node/1", Title: "Node, 1 proposer", N: 10000, Quick: 2000,
			Goals: goals(faster(2.5, 4), better(measure.P50, 2.3, 0))},
		{Workload: "node/16", Title: "Node, 16 proposers", N: 16000, Quick: 3200,
			Goals: goals(faster(4, 6), better(measure.P99, 3.5, 0), atMost(report.Allocs, 3, 0))},
		{Workload: "node/256", Title: "Node, 256 proposers", N: 51200, Quick: 6400,
			Goals: goals(faster(6, 9), better(measure.P99, 4, 0), atMost(report.Allocs, 1, 0))},
		{Workload: "node/4096", Title: "Node, 4,096 proposers", N: 102400, Quick: 20480,
			Goals: goals(faster(3, 4), better(measure.P99, 2.3, 0))},
		{Workload: "node-async/16", Title: "Node with AsyncStorageWrites, 16 proposers", N: 16000, Quick: 3200},
		{Workload: "node-async/256", Title: "Node with AsyncStorageWrites, 256 proposers", N: 51200, Quick: 6400},
	}
}

func replicaRows() []report.Row {
	return []report.Row{
		{Workload: "idle", Title: "idle replica: live heap", Metric: measure.HeapBytes, N: 1000, Quick: 500,
			Goals: goals(atMost(measure.HeapBytes, 850, 600), atMost(measure.HeapObjs, 6, 4))},
		{Workload: "create", Title: "creating and electing a replica", N: 9000, Quick: 3000,
			Goals: goals(faster(3, 8), atMost(report.Allocs, 25, 0))},
		{Workload: "groups/10000", Title: "Tick of an idle follower, 10,000 groups", N: 1000000, Quick: 200000,
			Goals: goals(faster(4, 5), atMost(report.Allocs, 0, 0))},
		{Workload: "heartbeat/10000", Title: "a leader's round of heartbeats, 10,000 groups", N: 100000, Quick: 10000,
			Goals: goals(faster(4, 6), atMost(report.Allocs, 3, 0), atMost(report.Bytes, 640, 0))},
	}
}

func ackRows() []report.Row {
	one := atMost(report.Allocs, 1, 0)
	return []report.Row{
		{Workload: "ack/3", Title: "acknowledgement that moves the commit, 3 voters", N: 102400, Quick: 25600,
			Goals: goals(faster(3, 6), one)},
		{Workload: "ack/7", Title: "acknowledgement that moves the commit, 7 voters", N: 51200, Quick: 12800,
			Goals: goals(faster(4, 8), one)},
		{Workload: "ack/31", Title: "acknowledgement that moves the commit, 31 voters", N: 12800, Quick: 2560,
			Goals: goals(faster(6, 10), one)},
		{Workload: "ack/101", Title: "acknowledgement that moves the commit, 101 voters", N: 5120, Quick: 1024,
			Goals: goals(faster(8, 12), one)},
	}
}

func otherRows() []report.Row {
	return []report.Row{
		{Workload: "catch-up/100B", Title: "empty follower catches up, per entry of 100 B", N: 1000000, Quick: 100000,
			Goals: goals(faster(3, 5), atMost(report.Bytes, 60, 0))},
		{Workload: "conflict/1000", Title: "100,000 conflicting entries, 1,000 term runs, per entry", N: 100000, Quick: 100000,
			Goals: goals(faster(15, 40), atMost(measure.TermCalls, 3000, 0))},
		{Workload: "read/1", Title: "ReadIndex, 1 between Readys", N: 50000, Quick: 10000,
			Goals: goals(faster(4, 8))},
		{Workload: "read/64", Title: "ReadIndex, 64 between Readys", N: 64000, Quick: 12800,
			Goals: goals(faster(20, 100), atMost(measure.Messages, 0.1, 0))},
		{Workload: "joint", Title: "joint change of 5 on 7 voters, and leaving it", N: 10000, Quick: 2000,
			Goals: goals(faster(3, 5), atMost(report.Allocs, 25, 0))},
		{Workload: "snapshot", Title: "snapshot round", N: 5000, Quick: 1000, Goals: goals(faster(2, 5))},
		{Workload: "wire/marshal", Title: "append with 64 entries: marshal", N: 50000, Quick: 5000,
			Goals: goals(faster(1, 1.2))},
		{Workload: "wire/unmarshal", Title: "append with 64 entries: unmarshal", N: 20000, Quick: 3000,
			Goals: goals(faster(1, 1.8))},
		{Workload: "wire/size", Title: "append with 64 entries: size", N: 500000, Quick: 50000,
			Goals: goals(faster(1, 2))},
	}
}
