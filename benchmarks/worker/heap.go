//go:build !floor

package main

import "quorate.example/raft/benchmarks/internal/measure"

func init() { families["idle"] = idleHeap }

// idleHeap measures what a replica holds that has done nothing for a while. b.N is the number of groups.
func idleHeap(b *bench) {
	trios := make([]trio, b.N)
	bytes, objects := measure.LiveHeap()
	electTrios(trios)
	var answers []*message
	for tick := 0; tick < 25; tick++ {
		for i := range trios {
			trios[i].nodes[1].Tick()
			trios[i].nodes[2].Tick()
			answers = trios[i].round(answers)
		}
	}
	checkTrios(trios)
	answers = nil
	bytesNow, objectsNow := measure.LiveHeap()
	replicas := float64(3 * b.N)
	b.Metric(measure.HeapBytes, float64(bytesNow-bytes)/replicas)
	b.Metric(measure.HeapObjs, float64(objectsNow-objects)/replicas)
	checkTrios(trios)
}
