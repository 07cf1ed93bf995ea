// Package local runs members as processes of this machine, for the benchmark and the drill.
package local

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Process is a child that ends with this process, in whatever way that ends.
type Process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{}
	err    error // valid when exited is closed
}

// ErrNotRunning says that there is no process.
var ErrNotRunning = errors.New("the process does not run")

// StartProcess starts a command line whose output is appended to the file log.
func StartProcess(log string, line ...string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)
	// The other end of this pipe closes when this process ends; the child watches it.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, stdin: stdin, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Exited returns a channel that is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err waits for the end of the process and returns how it ended.
func (p *Process) Err() error {
	<-p.exited
	return p.err
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) error {
	if !p.Running() {
		return ErrNotRunning
	}
	return p.cmd.Process.Signal(s)
}

// Kill ends the process without a warning and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.exited
	p.stdin.Close()
}

// Stop asks the process to end, and kills it when ctx ends first.
func (p *Process) Stop(ctx context.Context) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-ctx.Done():
	}
	p.Kill()
}
