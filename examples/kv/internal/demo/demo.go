// Package demo shows a cluster at work on real input: it copies a directory into a cluster of separate
// processes, kills the leader with SIGKILL half-way, restarts it, and reads everything back from
// every member.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Options says what to show.
type Options struct {
	// Binary is the kv program, which Run starts once for each member.
	Binary string
	// Dir is the directory whose files are replicated. Skip names directories right below it that
	// are left out.
	Dir  string
	Skip []string
	// Members is the size of the cluster, Writers the number of concurrent clients.
	Members int
	Writers int
	// Out receives the progress and the table; Terminal says whether it understands a bar that moves.
	Out      io.Writer
	Terminal bool
}

const (
	startTimeout = 30 * time.Second
	catchUpLimit = 2 * time.Minute
)

// Run shows it. It returns a one-line summary, or an error that says what is wrong; either way its
// processes and directories are gone then.
func Run(ctx context.Context, o Options) (summary string, err error) {
	dir, err := os.MkdirTemp("", "kv-demo-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files, err := scan(o.Dir, append(o.Skip, dir))
	if err != nil {
		return "", err
	}
	if len(files.parts) == 0 {
		return "", fmt.Errorf("there are no files under %s", o.Dir)
	}
	fmt.Fprintf(o.Out, "%d files, %s under %s\n", files.count, megabytes(files.bytes), o.Dir)
	for _, note := range files.notes {
		fmt.Fprintln(o.Out, note)
	}
	summary, err = replicate(ctx, o, dir, files)
	if ctx.Err() != nil {
		return "", errors.New("interrupted")
	}
	return summary, err
}

// replicate runs a cluster in dir and tells the story with it.
func replicate(parent context.Context, o Options, dir string, files *manifest) (string, error) {
	begin := time.Now()
	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	c := newCluster(o, dir, fail)
	defer c.stop()
	s := &story{Options: o, files: files, cluster: c}
	if err := s.tell(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // what made everything else fail
		}
		if parent.Err() == nil {
			c.printLogs(o.Out)
		}
		return "", err
	}
	s.printTable(o.Out)
	return fmt.Sprintf("OK: %d files (%s) are the same on disk and on all %d members after the leader was killed; %.1f s",
		files.count, megabytes(files.bytes), o.Members, time.Since(begin).Seconds()), nil
}

// story is what happens, and what was measured.
type story struct {
	Options
	files   *manifest
	cluster *cluster
	client  *client

	write      writeReport
	killed     uint64        // the leader's ID
	leaderless time.Duration // until the next write was acknowledged
	catchUp    time.Duration // of the restarted member, after the last write
	restarted  memberStatus
	digests    []digest
}

func (s *story) tell(ctx context.Context) error {
	if err := s.cluster.startAll(ctx); err != nil {
		return err
	}
	s.client = newClient(s.cluster.addresses(), s.Writers)
	fmt.Fprintf(s.Out, "%d members run, data in %s\n", s.Members, s.cluster.dir)
	if err := s.writeAll(ctx); err != nil {
		return err
	}
	if err := s.waitForCatchUp(ctx); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "member %d has caught up, reading everything back\n", s.killed)
	return s.verify(ctx)
}

// waitForCatchUp returns when the restarted member has applied what the leader has committed.
func (s *story) waitForCatchUp(ctx context.Context) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, catchUpLimit)
	defer cancel()
	commit := uint64(0)
	for _, m := range s.cluster.members {
		st, err := s.client.status(ctx, m.id)
		if err != nil && m.id != s.killed {
			return fmt.Errorf("member %d: %w", m.id, err)
		}
		commit = max(commit, st.Commit)
	}
	for {
		st, err := s.client.status(ctx, s.killed)
		if err == nil && st.Applied >= commit {
			s.restarted, s.catchUp = st, time.Since(begin)
			return nil
		}
		if e := pause(ctx, 20*time.Millisecond); e != nil {
			return fmt.Errorf("member %d has applied %d of %d after %v: %w",
				s.killed, st.Applied, commit, catchUpLimit, errors.Join(err, e))
		}
	}
}

// pause waits, and returns an error if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
