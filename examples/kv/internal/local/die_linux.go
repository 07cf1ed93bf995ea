package local

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when the parent ends, even if it cannot say goodbye.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
