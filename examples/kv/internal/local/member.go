package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// Member is one member of a cluster, whose process runs or does not. Its addresses stay the same when
// it is restarted.
type Member struct {
	ID uint64
	// Binary is the kv program; Wrap is what its command line begins with, for instance to enter a
	// network namespace.
	Binary string
	Wrap   []string
	// Cluster is the name that all members share.
	Cluster string
	// Peer and HTTP are the addresses it listens on.
	Peer, HTTP string
	// Data is its directory, Log the file that gets what it prints.
	Data, Log string
	// Flags are added to each start.
	Flags []string

	process atomic.Pointer[Process]
}

// Start starts the process.
func (m *Member) Start(extra ...string) error {
	line := append([]string{}, m.Wrap...)
	line = append(line, m.Binary, "serve", "-id", strconv.FormatUint(m.ID, 10), "-cluster", m.Cluster,
		"-data", m.Data, "-listen", m.Peer, "-http", m.HTTP, "-exit-with-stdin")
	line = append(line, m.Flags...)
	p, err := StartProcess(m.Log, append(line, extra...)...)
	if err == nil {
		m.process.Store(p)
	}
	return err
}

// Process returns the present or last process, nil if there was none.
func (m *Member) Process() *Process { return m.process.Load() }

// Running reports whether there is a process.
func (m *Member) Running() bool {
	p := m.Process()
	return p != nil && p.Running()
}

// Err waits for the end of the process and returns how it ended.
func (m *Member) Err() error {
	if p := m.Process(); p != nil {
		return p.Err()
	}
	return ErrNotRunning
}

// Signal sends a signal to the process.
func (m *Member) Signal(s os.Signal) error {
	if p := m.Process(); p != nil {
		return p.Signal(s)
	}
	return ErrNotRunning
}

// Kill ends the process, if there is one, without a warning and returns when it is gone.
func (m *Member) Kill() {
	if p := m.Process(); p != nil {
		p.Kill()
	}
}

// Stop asks the process to end, and kills it when ctx ends first.
func (m *Member) Stop(ctx context.Context) {
	if p := m.Process(); p != nil {
		p.Stop(ctx)
	}
}

// String names the member in reports.
func (m *Member) String() string { return fmt.Sprintf("member %d", m.ID) }

// FreeAddresses returns n loopback addresses that nobody listens on. All are taken at the same time, so
// they differ; a member waits a little should somebody take one in the meantime.
func FreeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}
