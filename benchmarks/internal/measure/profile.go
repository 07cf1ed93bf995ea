package measure

import (
	"os"
	"runtime"
	"runtime/pprof"
)

// startProfile returns what ends the profile; allocations go to a file of their own beside it.
func startProfile(name string) (stop func()) {
	// A worker links the profiler, which then samples allocations of every run, unlike a service's.
	runtime.MemProfileRate = 0
	if name == "" {
		return func() {}
	}
	runtime.MemProfileRate = 512 << 10
	f, err := os.Create(name)
	Must(err)
	Must(pprof.StartCPUProfile(f))
	return func() {
		pprof.StopCPUProfile()
		Must(f.Close())
		mem, err := os.Create(name + ".allocs")
		Must(err)
		Must(pprof.Lookup("allocs").WriteTo(mem, 0))
		Must(mem.Close())
	}
}
