// Package kvtest runs clusters of members inside a test: real stores, real TCP, one process.
package kvtest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/api"
	"quorate.example/raft/examples/kv/internal/expiry"
	"quorate.example/raft/examples/kv/internal/member"
	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/transport"
)

const (
	// Patience is how long a test waits for something that must happen.
	Patience = 20 * time.Second
	tick     = 20 * time.Millisecond
	poll     = 5 * time.Millisecond
	// heartbeat is that of watches.
	heartbeat = 50 * time.Millisecond
)

// Cluster is some members, by ID from 1.
type Cluster struct {
	t         testing.TB
	dir       string
	options   store.Options
	limits    member.Limits
	bootstrap map[uint64]string
	Members   map[uint64]*Member
}

// Member is one member, running or stopped.
type Member struct {
	ID      uint64
	Address string
	// Member, Store and URL are those of the present run.
	Member *member.Member
	Store  *store.Store
	URL    string
	// Err receives what the loop returned.
	Err chan error

	cancel context.CancelFunc
	peers  *transport.Transport
	server *httptest.Server
	// stopping ends the streams; expired is closed when nobody looks after leases any more.
	stopping, expired chan struct{}
}

// New starts a cluster of n voters, whose stores get options. The test's end stops it.
func New(t testing.TB, n int, options store.Options) *Cluster {
	t.Helper()
	return NewLimited(t, n, options, member.Limits{})
}

// NewLimited is New with limits for the log.
func NewLimited(t testing.TB, n int, options store.Options, limits member.Limits) *Cluster {
	t.Helper()
	c := &Cluster{
		t:         t,
		dir:       t.TempDir(),
		options:   options,
		limits:    limits,
		bootstrap: map[uint64]string{},
		Members:   map[uint64]*Member{},
	}
	t.Cleanup(func() {
		for id := range c.Members {
			c.Stop(id)
		}
	})
	for id := uint64(1); id <= uint64(n); id++ {
		c.bootstrap[id] = c.Prepare(id)
	}
	for id := range c.bootstrap {
		c.Start(id)
	}
	return c
}

// Prepare gives a member an address. It neither runs nor belongs to the cluster yet.
func (c *Cluster) Prepare(id uint64) string {
	c.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	defer l.Close()
	c.Members[id] = &Member{ID: id, Address: l.Addr().String()}
	return l.Addr().String()
}

// Dir is where a member's store lives.
func (c *Cluster) Dir(id uint64) string { return filepath.Join(c.dir, fmt.Sprint(id)) }

// Start starts a member that does not run.
func (c *Cluster) Start(id uint64) *Member {
	c.t.Helper()
	m := c.Members[id]
	options := c.options
	options.Dir, options.MemberID, options.Cluster = c.Dir(id), id, c.dir
	options.LogSegmentBytes = 256 << 10
	var err error
	m.Store, err = store.Open(options)
	require.NoError(c.t, err)
	meters := metrics.New(strconv.FormatUint(id, 10))
	var bootstrap map[uint64]string
	if c.bootstrap[id] != "" {
		bootstrap = c.bootstrap
	}
	m.Member, err = member.New(member.Config{
		ID: id, Store: m.Store, Metrics: meters, Logger: slog.New(slog.DiscardHandler),
		Bootstrap: bootstrap, Tick: tick, Limits: c.limits,
	})
	require.NoError(c.t, err)
	m.peers = transport.New(transport.Config{
		MemberID: id, Address: m.Address, Cluster: c.dir, Metrics: meters,
	}, m.Member)
	var l net.Listener
	Eventually(c.t, func() bool {
		l, err = net.Listen("tcp", m.Address)
		return err == nil
	}, "the address stays taken")
	go m.peers.Serve(l)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.Err = cancel, make(chan error, 1)
	running, peers, failed := m.Member, m.peers, m.Err
	go func() { failed <- running.Run(ctx, peers) }()
	m.stopping, m.expired = make(chan struct{}), make(chan struct{})
	state, expired := m.Store, m.expired
	go func() {
		defer close(expired)
		expiry.Run(ctx, running, state)
	}()
	m.server = httptest.NewServer(api.New(api.Config{
		Member: m.Member, Store: m.Store, Metrics: meters, Timeout: Patience,
		Heartbeat: heartbeat, Stopping: m.stopping,
	}))
	m.URL = m.server.URL
	return m
}

// Stop ends a member as abruptly as a test can without ending the process.
func (c *Cluster) Stop(id uint64) {
	c.t.Helper()
	m := c.Members[id]
	if m.cancel == nil {
		return
	}
	m.cancel()
	m.cancel = nil
	require.NoError(c.t, ignoreRemoved(<-m.Err))
	close(m.stopping)
	<-m.expired
	m.server.Close()
	m.peers.Close()
	require.NoError(c.t, m.Store.Close())
}

func ignoreRemoved(err error) error {
	if err == member.ErrRemoved {
		return nil
	}
	return err
}

// Running returns a running member other than those in except.
func (c *Cluster) Running(except ...uint64) *Member {
	c.t.Helper()
next:
	for id := uint64(1); id <= uint64(len(c.Members)); id++ {
		for _, x := range except {
			if x == id {
				continue next
			}
		}
		if m := c.Members[id]; m != nil && m.cancel != nil {
			return m
		}
	}
	require.FailNow(c.t, "no member runs")
	return nil
}

// Leader waits until all running members agree on a leader that runs, and returns it.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	var leader *Member
	Eventually(c.t, func() bool {
		leader = nil
		for _, m := range c.Members {
			if m.cancel == nil {
				continue
			}
			st, err := m.Member.Status(context.Background())
			if err != nil || c.Members[st.Leader] == nil || c.Members[st.Leader].cancel == nil {
				return false
			}
			if leader != nil && leader.ID != st.Leader {
				return false
			}
			leader = c.Members[st.Leader]
		}
		return leader != nil
	}, "no leader")
	return leader
}

// Eventually polls until claim holds. Polling is for what happens on another clock than the test's.
func Eventually(t testing.TB, claim func() bool, otherwise string) {
	t.Helper()
	require.Eventually(t, claim, Patience, poll, otherwise)
}
