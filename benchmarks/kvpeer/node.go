package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
	"go.etcd.io/bbolt"
)

const (
	transportTimeout = 10 * time.Second
	transportPool    = 3
	cachedEntries    = 16 << 10
	keptSnapshots    = 1
	retryPause       = 20 * time.Millisecond
	// maxEntries of 1 KiB are as much as kv puts into one message; the library allows no more.
	maxEntries = 1024
)

// logStore is what both of the library's stores offer: the log, and the votes.
type logStore interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

// openLog opens a store that syncs each time before it returns.
func openLog(kind, dir string) (logStore, error) {
	switch kind {
	case "boltdb":
		return boltdb.New(boltdb.Options{
			Path:        filepath.Join(dir, "raft.db"),
			BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
		})
	case "wal":
		dir = filepath.Join(dir, "wal")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		return openWAL(dir)
	}
	return nil, fmt.Errorf("-log %s: want boltdb or wal", kind)
}

// walStore closes what the store leaves open: the small database that it keeps its votes in.
type walStore struct {
	*wal.WAL
	meta *metadb.BoltMetaDB
}

func openWAL(dir string) (logStore, error) {
	meta := new(metadb.BoltMetaDB)
	log, err := wal.Open(dir, wal.WithMetaStore(meta))
	if err != nil {
		return nil, err
	}
	return walStore{log, meta}, nil
}

// Close implements io.Closer.
func (s walStore) Close() error { return errors.Join(s.WAL.Close(), s.meta.Close()) }

// node is one member.
type node struct {
	id      uint64
	http    string
	raft    *raft.Raft
	machine *machine
	log     logStore
	network *raft.NetworkTransport
	// readable is the term in which this member leads and has applied all that earlier leaders
	// acknowledged.
	readable atomic.Uint64
}

func newNode(o options) (*node, error) {
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return nil, err
	}
	log, err := openLog(o.log, o.data)
	if err != nil {
		return nil, err
	}
	state, err := openMachine(filepath.Join(o.data, "state"))
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	n := &node{id: o.id, http: o.http, machine: state, log: log}
	if err := n.start(o); err != nil {
		return nil, errors.Join(err, n.close())
	}
	go n.watch()
	return n, nil
}

func (n *node) start(o options) error {
	logger := hclog.New(&hclog.LoggerOptions{Name: "raft", Level: hclog.Warn, Output: os.Stderr})
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(o.data, keptSnapshots, logger)
	if err != nil {
		return err
	}
	n.network, err = raft.NewTCPTransportWithConfig(o.listen, nil, &raft.NetworkTransportConfig{
		MaxPool: transportPool, Timeout: transportTimeout, MaxRPCsInFlight: o.inflight, Logger: logger,
	})
	if err != nil {
		return err
	}
	cached, err := raft.NewLogCache(cachedEntries, n.log)
	if err != nil {
		return err
	}
	config := raft.DefaultConfig()
	config.LocalID = serverID(o.id)
	config.Logger = logger
	config.BatchApplyCh = true
	config.MaxAppendEntries = maxEntries
	config.SnapshotThreshold = o.snapshotEntries
	config.SnapshotInterval = o.snapshotInterval
	config.TrailingLogs = o.keepEntries
	old, err := raft.HasExistingState(cached, n.log, snapshots)
	if err != nil {
		return err
	}
	if !old && len(o.bootstrap) > 0 {
		first := raft.Configuration{Servers: o.bootstrap}
		if err := raft.BootstrapCluster(config, cached, n.log, snapshots, n.network, first); err != nil {
			return err
		}
	}
	n.raft, err = raft.NewRaft(config, n.machine, cached, n.log, snapshots, n.network)
	return err
}

func serverID(id uint64) raft.ServerID { return raft.ServerID(strconv.FormatUint(id, 10)) }

func (n *node) close() error {
	var all []error
	if n.raft != nil {
		all = append(all, n.raft.Shutdown().Error())
	}
	if n.network != nil {
		all = append(all, n.network.Close())
	}
	return errors.Join(append(all, n.log.Close(), n.machine.db.Close())...)
}

// watch tells the others where this member serves clients whenever it comes to lead. When that is
// applied, so is everything before it.
func (n *node) watch() {
	for leads := range n.raft.LeaderCh() {
		for leads {
			term := n.raft.CurrentTerm()
			err := n.raft.Apply(encodeLeader(n.http), 0).Error()
			if err == nil {
				n.readable.Store(term)
			}
			if err == nil || n.raft.State() != raft.Leader {
				break
			}
		}
	}
}

var (
	errNoLeader = errors.New("no leader answered within the deadline, nothing was changed")
	errUnknown  = errors.New("no answer within the deadline, the change may or may not have been made")
)

// put replicates a put and returns its revision. A member that does not lead returns raft.ErrNotLeader.
func (n *node) put(ctx context.Context, key string, value []byte) (uint64, error) {
	deadline, _ := ctx.Deadline()
	future := n.raft.Apply(encodePut(key, value), time.Until(deadline))
	switch err := future.Error(); {
	case err == nil:
		return future.Response().(uint64), nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return 0, raft.ErrNotLeader
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return 0, errNoLeader
	default:
		return 0, errUnknown
	}
}

// barrier returns when a read of this member's state is linearizable. A member that does not lead returns
// raft.ErrNotLeader.
func (n *node) barrier(ctx context.Context) error {
	commit := n.raft.CommitIndex()
	if n.readable.Load() != n.raft.CurrentTerm() {
		return raft.ErrNotLeader
	}
	if n.raft.VerifyLeader().Error() != nil {
		return raft.ErrNotLeader
	}
	for n.raft.AppliedIndex() < commit {
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pause waits a moment before another attempt.
func pause(ctx context.Context) error {
	select {
	case <-time.After(retryPause):
		return nil
	case <-ctx.Done():
		return errNoLeader
	}
}

// leaderHTTP returns where another member that leads serves clients, "" if that is not known.
func (n *node) leaderHTTP() string {
	_, id := n.raft.LeaderWithID()
	address := n.machine.leader.Load()
	if id == "" || id == serverID(n.id) || address == nil || *address == n.http {
		return ""
	}
	return *address
}

// status is what kv bench wants to know.
type status struct {
	ID       uint64 `json:"id"`
	Leader   uint64 `json:"leader"`
	State    string `json:"state"`
	Term     uint64 `json:"term"`
	Commit   uint64 `json:"commit"`
	Applied  uint64 `json:"applied"`
	Revision uint64 `json:"revision"`
	FirstLog uint64 `json:"first_log"`
	LastLog  uint64 `json:"last_log"`
}

func (n *node) status() (status, error) {
	s := status{
		ID: n.id, State: n.raft.State().String(), Term: n.raft.CurrentTerm(), Commit: n.raft.CommitIndex(),
		Applied: n.raft.AppliedIndex(), Revision: n.machine.revision.Load(), LastLog: n.raft.LastIndex(),
	}
	var err error
	if s.FirstLog, err = n.log.FirstIndex(); err != nil {
		return s, err
	}
	if _, id := n.raft.LeaderWithID(); id != "" {
		s.Leader, err = strconv.ParseUint(string(id), 10, 64)
	}
	return s, err
}
