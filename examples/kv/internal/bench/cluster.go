package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quorate.example/raft/examples/kv/internal/local"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 5 * time.Second
)

// ownCluster returns a round on a cluster of its own, which begins empty: what one round leaves behind
// does not slow the next one down.
func (o Options) ownCluster(binary string) func(context.Context) (Sample, error) {
	return func(ctx context.Context) (sample Sample, err error) {
		dir, err := os.MkdirTemp(o.Dir, "kv-bench-")
		if err != nil {
			return Sample{}, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		members, err := describe(binary, dir, o.Members, o.Flags)
		if err != nil {
			return Sample{}, err
		}
		defer stopAll(members)
		if err := startAll(ctx, members); err != nil {
			return Sample{}, errors.Join(err, lastWords(members))
		}
		var endpoints []string
		for _, m := range members {
			endpoints = append(endpoints, m.HTTP)
		}
		return drive(ctx, o.Load, endpoints)
	}
}

func describe(binary, dir string, n int, flags []string) ([]*local.Member, error) {
	addresses, err := local.FreeAddresses(2 * n)
	if err != nil {
		return nil, err
	}
	name := "bench-" + rand.Text()
	var members []*local.Member
	for i := range n {
		members = append(members, &local.Member{
			ID: uint64(i + 1), Binary: binary, Cluster: name, Flags: flags,
			Peer: addresses[2*i], HTTP: addresses[2*i+1],
			Data: filepath.Join(dir, fmt.Sprintf("member-%d", i+1)),
			Log:  filepath.Join(dir, fmt.Sprintf("member-%d.log", i+1)),
		})
	}
	return members, nil
}

// startAll starts the members and returns when all of them know a leader.
func startAll(ctx context.Context, members []*local.Member) error {
	var first []string
	for _, m := range members {
		first = append(first, fmt.Sprintf("%d=%s", m.ID, m.Peer))
	}
	for _, m := range members {
		if err := m.Start("-bootstrap", strings.Join(first, ",")); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, m := range members {
		err := local.Until(ctx, func() bool {
			st, err := local.FetchStatus(ctx, http.DefaultClient, m.HTTP)
			return err == nil && st.Leader != 0 || !m.Running()
		})
		if err != nil {
			return fmt.Errorf("%s knows no leader: %w", m, err)
		}
		if !m.Running() {
			return fmt.Errorf("%s ended: %w", m, m.Err())
		}
	}
	return nil
}

func stopAll(members []*local.Member) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, m := range members {
		m.Stop(ctx)
	}
}

// lastWords returns the end of what the members logged, as an error.
func lastWords(members []*local.Member) error {
	var all []error
	for _, m := range members {
		data, err := os.ReadFile(m.Log)
		if err != nil || len(data) == 0 {
			continue
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		all = append(all, fmt.Errorf("%s logged: %s", m, lines[len(lines)-1]))
	}
	return errors.Join(all...)
}
