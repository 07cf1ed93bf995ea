//go:build !unix

package drill

import "syscall"

// There are no such signals here; faults that need them are left out.
const (
	signalStop     = syscall.Signal(0)
	signalContinue = syscall.Signal(0)
	mayPause       = false
)
