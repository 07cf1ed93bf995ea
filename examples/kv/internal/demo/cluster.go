package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// cluster is a number of kv processes on this machine.
type cluster struct {
	binary  string
	dir     string
	name    string
	members []*process
	fail    context.CancelCauseFunc
}

// process is one member. Its addresses stay the same when it is restarted.
type process struct {
	id         uint64
	peer, http string
	dir, log   string

	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{}
	ending atomic.Bool // whether its end is wanted
}

// newCluster describes a cluster that does not run yet. A member that dies without being told to
// calls fail.
func newCluster(o Options, dir string, fail context.CancelCauseFunc) *cluster {
	c := &cluster{binary: o.Binary, dir: dir, name: "demo-" + rand.Text(), fail: fail}
	for i := range o.Members {
		c.members = append(c.members, &process{
			id:  uint64(i + 1),
			dir: filepath.Join(dir, fmt.Sprintf("member-%d", i+1)),
			log: filepath.Join(dir, fmt.Sprintf("member-%d.log", i+1)),
		})
	}
	return c
}

// startAll starts the members and returns when all of them know a leader.
func (c *cluster) startAll(ctx context.Context) error {
	addresses, err := reservePorts(2 * len(c.members))
	if err != nil {
		return err
	}
	var bootstrap []string
	for i, p := range c.members {
		p.peer, p.http = addresses[2*i], addresses[2*i+1]
		bootstrap = append(bootstrap, fmt.Sprintf("%d=%s", p.id, p.peer))
	}
	for _, p := range c.members {
		if err := c.start(p, "-bootstrap", strings.Join(bootstrap, ",")); err != nil {
			return err
		}
	}
	return c.waitReady(ctx)
}

// reservePorts returns free loopback addresses. All listeners are open at the same time, so the
// addresses differ; a member waits a little should somebody take one in the meantime.
func reservePorts(n int) ([]string, error) {
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

// start starts a member's process.
func (c *cluster) start(p *process, extra ...string) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	args := append([]string{
		"serve", "-id", strconv.FormatUint(p.id, 10), "-cluster", c.name, "-data", p.dir,
		"-listen", p.peer, "-http", p.http, "-max-body", strconv.Itoa(partBytes), "-exit-with-stdin",
	}, extra...)
	cmd := exec.Command(c.binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd)
	// The other end of this pipe closes when this process ends, in whatever way.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.stdin, p.exited = cmd, stdin, exited
	p.ending.Store(false)
	go func() {
		err := cmd.Wait()
		if !p.ending.Load() {
			c.fail(fmt.Errorf("member %d ended on its own: %v", p.id, err))
		}
		close(exited)
	}()
	return nil
}

// kill ends a member with SIGKILL and returns when it is gone.
func (p *process) kill() {
	p.ending.Store(true)
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.exited
}

// stop ends all members.
func (c *cluster) stop() {
	for _, p := range c.members {
		if p.cmd != nil {
			p.kill()
			p.stdin.Close()
		}
	}
}

func (c *cluster) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := newClient(c.addresses(), 1)
	for _, p := range c.members {
		for {
			st, err := client.status(ctx, p.id)
			if err == nil && st.Leader != 0 {
				break
			}
			if pause(ctx, 20*time.Millisecond) == nil {
				continue
			}
			if cause := context.Cause(ctx); cause != nil && cause != context.DeadlineExceeded {
				return cause
			}
			return fmt.Errorf("member %d knows no leader after %v", p.id, startTimeout)
		}
	}
	return nil
}

func (c *cluster) addresses() map[uint64]string {
	out := map[uint64]string{}
	for _, p := range c.members {
		out[p.id] = p.http
	}
	return out
}

func (c *cluster) member(id uint64) *process { return c.members[id-1] }

// printLogs shows the end of each member's log.
func (c *cluster) printLogs(w io.Writer) {
	const lines = 12
	for _, p := range c.members {
		data, err := os.ReadFile(p.log)
		if err != nil {
			continue
		}
		all := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		fmt.Fprintf(w, "member %d logged:\n", p.id)
		for _, line := range all[max(0, len(all)-lines):] {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
}
