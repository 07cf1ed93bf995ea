// Command hashicorp does the workloads with proposers on github.com/hashicorp/raft: three members in one
// process, with its transport and stores in memory.
package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"quorate.example/raft/benchmarks/internal/measure"
)

func main() {
	measure.Families{"node": proposers}.Main()
}

// machine is the state machine of a member. It applies in batches, as BatchApplyCh allows.
type machine struct {
	digest  measure.Digest
	count   atomic.Uint64
	onApply func(data []byte)
}

func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	for _, l := range logs {
		m.Apply(l)
	}
	return make([]any, len(logs))
}

func (m *machine) Apply(l *raft.Log) any {
	if l.Type == raft.LogCommand {
		m.digest.Add(l.Data)
		m.count.Store(m.digest.Count)
		if f := m.onApply; f != nil {
			f(l.Data)
		}
	}
	return nil
}

func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return nothing{}, nil }
func (m *machine) Restore(r io.ReadCloser) error       { return r.Close() }

// nothing is a snapshot that is never needed.
type nothing struct{}

func (nothing) Persist(s raft.SnapshotSink) error { return s.Close() }
func (nothing) Release()                          {}

type member struct {
	raft    *raft.Raft
	machine *machine
}

func newConfig(i int) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(fmt.Sprint(i + 1))
	c.Logger = hclog.NewNullLogger()
	const patience = 10 * time.Second
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = patience, patience, patience
	c.BatchApplyCh = true
	c.MaxAppendEntries = 1024
	c.NoLegacyTelemetry = true
	return c
}

func start() []*member {
	members := make([]*member, 3)
	transports := make([]*raft.InmemTransport, len(members))
	var all raft.Configuration
	for i := range transports {
		var addr raft.ServerAddress
		addr, transports[i] = raft.NewInmemTransport("")
		all.Servers = append(all.Servers, raft.Server{ID: newConfig(i).LocalID, Address: addr})
	}
	for i, from := range transports {
		for j, to := range transports {
			if i != j {
				from.Connect(all.Servers[j].Address, to)
			}
		}
		store, snapshots, m := raft.NewInmemStore(), raft.NewInmemSnapshotStore(), &machine{}
		measure.Must(raft.BootstrapCluster(newConfig(i), store, store, snapshots, from, all))
		r, err := raft.NewRaft(newConfig(i), m, store, store, snapshots, from)
		measure.Must(err)
		members[i] = &member{r, m}
	}
	return members
}

// leader waits for one.
func leader(members []*member) *member {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, m := range members {
			if m.raft.State() == raft.Leader && m.raft.VerifyLeader().Error() == nil {
				return m
			}
		}
	}
	panic("benchmark: no leader")
}

func proposers(b *measure.Bench) {
	count := measure.Number(b.Param)
	each := max(1, b.N/count)
	b.N = count * each
	warmEach := max(1, each/10)
	warm, measured := measure.NewProposers(count, warmEach), measure.NewProposers(count, each)
	members := start()
	lead := leader(members)
	propose := func(data []byte) error { return lead.raft.Apply(data, 0).Error() }
	lead.machine.onApply = warm.Applied
	warm.Run(propose)
	lead.machine.onApply = measured.Applied
	b.Start()
	measured.Run(propose)
	b.Stop()
	verify(members, b.N+count*warmEach)
	measured.Latencies(b)
}

// verify waits until all have applied n entries, and compares.
func verify(members []*member, n int) {
	deadline := time.Now().Add(30 * time.Second)
	for _, m := range members {
		for m.machine.count.Load() < uint64(n) {
			measure.Check(time.Now().Before(deadline), "a member has applied %d of %d", m.machine.count.Load(), n)
			time.Sleep(time.Millisecond)
		}
	}
	for _, m := range members {
		measure.Must(m.raft.Shutdown().Error())
		measure.Check(m.machine.digest == members[0].machine.digest, "members differ")
		measure.Check(m.machine.digest.Count == uint64(n), "applied %d of %d", m.machine.digest.Count, n)
	}
}
