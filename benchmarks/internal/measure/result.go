package measure

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Names of metrics beside time and allocations.
const (
	P50       = "p50 ns"       // latency of the median operation
	P99       = "p99 ns"       // latency that one operation in a hundred exceeds
	Messages  = "messages"     // sent, per operation
	TermCalls = "Term calls"   // of Storage.Term, in all
	HeapBytes = "heap B"       // live, per replica
	HeapObjs  = "heap objects" // live, per replica
	PerRTT    = "per RTT"      // entries committed in a round-trip time
	Share     = "share"        // of the offered load that was committed
	Latency   = "latency RTT"  // from proposal to commit, in round-trip times
)

// Result is what a worker prints, as JSON.
type Result struct {
	Workload string
	Ops      int
	WallNS   int64
	CPUNS    int64
	Allocs   uint64
	Bytes    uint64
	Metrics  map[string]float64 `json:",omitempty"`
}

// Bench is one run of one workload.
type Bench struct {
	Meter
	Param string // what comes after the slash in the name of the workload
	N     int    // operations to do

	metrics map[string]float64
}

// Metric sets a metric.
func (b *Bench) Metric(name string, value float64) {
	if b.metrics == nil {
		b.metrics = map[string]float64{}
	}
	b.metrics[name] = value
}

// Check panics unless ok: the work was not done.
func Check(ok bool, format string, args ...any) {
	if !ok {
		panic("benchmark: " + fmt.Sprintf(format, args...))
	}
}

// Must panics if there is an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// serviceHeap is what the service around a Raft library holds in memory, without pointers. With nothing
// but the library in the process the collector would run every few megabytes, hundreds of times a second,
// and most of what is measured would be its rounds.
const serviceHeap = 64 << 20

// usedHeap returns what a service holds, in a heap that was in use before: memory that the process never
// had costs the kernel's work when it is first touched, which a service has behind it.
func usedHeap() []byte {
	service, rest := make([]byte, serviceHeap), make([]byte, serviceHeap+serviceHeap/4)
	for i := 0; i < len(rest); i += 4096 {
		rest[i] = 1
	}
	runtime.KeepAlive(rest)
	runtime.GC()
	return service
}

// Families are workloads by the first part of their name.
type Families map[string]func(*Bench)

// Run does one workload by its name, such as propose/16B.
func (f Families) Run(name string, n int) (Result, error) {
	family, param, _ := strings.Cut(name, "/")
	run := f[family]
	if run == nil {
		return Result{}, fmt.Errorf("no workload %q here", name)
	}
	b := &Bench{Param: param, N: n}
	service := usedHeap()
	run(b)
	runtime.KeepAlive(service)
	return Result{
		Workload: name, Ops: b.N, WallNS: int64(b.Wall), CPUNS: int64(b.CPU),
		Allocs: b.Allocs, Bytes: b.Bytes, Metrics: b.metrics,
	}, nil
}

// Main is the main function of a worker program.
func (f Families) Main() {
	name := flag.String("workload", "", "what to do, such as propose/16B")
	n := flag.Int("n", 1000, "how many operations")
	list := flag.Bool("list", false, "print the families of workloads and exit")
	profile := flag.String("cpuprofile", "", "write a profile to this file")
	flag.Parse()
	if *list {
		names := make([]string, 0, len(f))
		for name := range f {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Println(strings.Join(names, "\n"))
		return
	}
	stop := startProfile(*profile)
	result, err := f.Run(*name, *n)
	stop()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
