// Package measure is what the worker programs share: a meter of time and memory, payloads that can be
// verified, proposers, and the result that a worker prints.
package measure

import (
	"runtime"
	"syscall"
	"time"
)

// Meter adds up what the stretches between Start and Stop cost.
type Meter struct {
	Wall   time.Duration
	CPU    time.Duration // of all threads, the collector's included
	Allocs uint64
	Bytes  uint64 // allocated

	mem  runtime.MemStats
	cpu  time.Duration
	wall time.Time
}

// Start begins a stretch.
func (m *Meter) Start() {
	runtime.ReadMemStats(&m.mem)
	m.cpu = cpuTime()
	m.wall = time.Now()
}

// Stop ends the stretch.
func (m *Meter) Stop() {
	m.Wall += time.Since(m.wall)
	m.CPU += cpuTime() - m.cpu
	allocs, bytes := m.mem.Mallocs, m.mem.TotalAlloc
	runtime.ReadMemStats(&m.mem)
	m.Allocs += m.mem.Mallocs - allocs
	m.Bytes += m.mem.TotalAlloc - bytes
}

func cpuTime() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// LiveHeap returns the bytes and objects that are reachable.
func LiveHeap() (bytes, objects uint64) {
	var mem runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&mem)
	return mem.HeapAlloc, mem.HeapObjects
}
