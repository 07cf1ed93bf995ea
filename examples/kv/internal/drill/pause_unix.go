//go:build unix

package drill

import "syscall"

// The signals that stop a process and let it go on.
const (
	signalStop     = syscall.SIGSTOP
	signalContinue = syscall.SIGCONT
)

// mayPause says whether this system knows them.
const mayPause = true
