package host_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
	pb "quorate.example/raft/raftpb"
)

// fileLog is a log in memory that writes its entries to a file as well, and syncs it, for what a disk costs.
type fileLog struct {
	*hosttest.Log
	file *os.File
	buf  []byte
}

func newFileLog(b *testing.B) *fileLog {
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	b.Cleanup(func() { file.Close() })
	return &fileLog{Log: hosttest.NewLog(), file: file}
}

func (l *fileLog) Save(w host.Write) error {
	l.buf = l.buf[:0]
	for i := range w.Entries {
		l.buf = append(l.buf, w.Entries[i].Data...)
	}
	l.buf = binary.LittleEndian.AppendUint64(l.buf, w.HardState.Commit)
	if _, err := l.file.Write(l.buf); err != nil {
		return err
	}
	if w.Sync {
		if err := l.file.Sync(); err != nil {
			return err
		}
	}
	return l.Log.Save(w)
}

// counting is a state machine that only counts.
type counting struct{ ledger }

func (c *counting) Apply(entries []host.Entry) error {
	for i := range entries {
		entries[i].Result = i
	}
	return nil
}

// load has clients propose values of 1 KiB as fast as they are answered, and reports rate and latencies.
func load(b *testing.B, clients int, propose func(data []byte) error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, clients)
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := 0; c < clients; c++ {
		c := c
		wg.Add(1)
		go func() {
			defer wg.Done()
			for left.Add(-1) >= 0 {
				begin := time.Now()
				if err := propose(make([]byte, 1024)); err != nil {
					b.Error(err)
					return
				}
				took[c] = append(took[c], time.Since(begin))
			}
		}()
	}
	wg.Wait()
	b.StopTimer()
	all := join(took)
	slices.Sort(all)
	if len(all) > 0 {
		b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	}
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "proposals/s")
}

// BenchmarkPropose has clients at the leader of three members, each with a file that is synced.
func BenchmarkPropose(b *testing.B) {
	b.Run("clients=1", func(b *testing.B) { benchmarkHost(b, 1) })
	b.Run("clients=64", func(b *testing.B) { benchmarkHost(b, 64) })
}

func benchmarkHost(b *testing.B, clients int) {
	net := hosttest.NewNetwork()
	defer net.Close()
	first := []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}}
	var leader *host.Replica
	for _, p := range first {
		r, err := host.Start(host.Config{
			ID: p.ID, StateMachine: &counting{}, Log: newFileLog(b), Snapshots: &hosttest.Snapshots{},
			Transport: net.Transport(p.ID), Bootstrap: first, Logger: raft.DiscardLogger(),
			TickInterval: 20 * time.Millisecond,
		})
		require.NoError(b, err)
		defer r.Stop()
		net.Attach(p.ID, r)
		leader = r
	}
	_, err := leader.AwaitLeader(context.Background())
	require.NoError(b, err)
	require.NoError(b, leader.TransferLeadership(context.Background(), 3))
	load(b, clients, func(data []byte) error {
		_, err := leader.Propose(context.Background(), data)
		return err
	})
	m := leader.Metrics()
	b.ReportMetric(float64(m.EntriesAppended)/float64(m.Syncs), "entries/sync")
	b.ReportMetric(float64(m.Saves)/float64(m.Syncs), "saves/sync")
}

// BenchmarkLoopByHand is the same with a loop of Ready, save, send, apply and Advance that batches each turn.
func BenchmarkLoopByHand(b *testing.B) {
	b.Run("clients=1", func(b *testing.B) { benchmarkLoop(b, 1) })
	b.Run("clients=64", func(b *testing.B) { benchmarkLoop(b, 64) })
}

func benchmarkLoop(b *testing.B, clients int) {
	loops := map[uint64]*handLoop{}
	storage := func() *fileLog {
		l := newFileLog(b)
		meta := pb.SnapshotMetadata{Index: 1, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}}}
		require.NoError(b, l.Log.Save(host.Write{Snapshot: &meta, HardState: pb.HardState{Term: 1, Commit: 1}, Sync: true}))
		return l
	}
	for id := uint64(1); id <= 3; id++ {
		loops[id] = &handLoop{id: id, log: storage(), loops: loops, wake: make(chan struct{}, 1),
			stop: make(chan struct{}), leads: make(chan struct{})}
	}
	var wg sync.WaitGroup
	for _, l := range loops {
		wg.Add(1)
		go func(l *handLoop) { defer wg.Done(); l.run(b) }(l)
	}
	<-loops[3].leads
	load(b, clients, func(data []byte) error {
		done := make(chan struct{})
		loops[3].put(func(l *handLoop) { l.waiting = append(l.waiting, handCall{data, done}) })
		<-done
		return nil
	})
	for _, l := range loops {
		close(l.stop)
	}
	wg.Wait()
}

type handCall struct {
	data []byte
	done chan struct{}
}

// handLoop is what one writes without package host.
type handLoop struct {
	id    uint64
	log   *fileLog
	loops map[uint64]*handLoop
	wake  chan struct{}
	stop  chan struct{}
	leads chan struct{}

	mu      sync.Mutex
	inbox   [][]byte
	waiting []handCall

	handed []handCall
	once   sync.Once
}

func (l *handLoop) put(add func(*handLoop)) {
	l.mu.Lock()
	add(l)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *handLoop) run(b *testing.B) {
	node, err := raft.NewRawNode(&raft.Config{ID: l.id, ElectionTick: 10, HeartbeatTick: 1, Storage: l.log,
		Applied: 1, MaxSizePerMsg: 1 << 20, MaxCommittedSizePerReady: 16 << 20, MaxInflightMsgs: 256, PreVote: true,
		CheckQuorum: true, Logger: raft.DiscardLogger()})
	if err != nil {
		b.Error(err)
		return
	}
	if l.id == 3 {
		_ = node.Campaign()
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		l.mu.Lock()
		inbox, waiting := l.inbox, l.waiting
		l.inbox, l.waiting = nil, nil
		l.mu.Unlock()
		for _, data := range inbox {
			var m pb.Message
			if err := pb.UnmarshalPeer(data, &m); err == nil {
				_ = node.Step(m)
			}
		}
		if len(waiting) > 0 {
			entries := make([]pb.Entry, len(waiting))
			for i, w := range waiting {
				entries[i].Data = w.data
			}
			if err := node.Step(pb.Message{Type: pb.MsgProp, From: l.id, Entries: entries}); err != nil {
				b.Error(err)
			}
			l.handed = append(l.handed, waiting...)
		}
		for node.HasReady() {
			l.ready(b, node)
		}
		select {
		case <-l.stop:
			return
		case <-l.wake:
		case <-ticker.C:
			node.Tick()
		}
	}
}

func (l *handLoop) ready(b *testing.B, node *raft.RawNode) {
	rd := node.Ready()
	if err := l.log.Save(host.Write{Entries: rd.Entries, HardState: rd.HardState, Sync: rd.MustSync}); err != nil {
		b.Error(err)
	}
	for i := range rd.Messages {
		data, err := rd.Messages[i].Marshal()
		if err != nil {
			b.Error(err)
		}
		to := l.loops[rd.Messages[i].To]
		to.put(func(l *handLoop) { l.inbox = append(l.inbox, data) })
	}
	for i := range rd.CommittedEntries {
		if len(rd.CommittedEntries[i].Data) == 0 {
			if node.BasicStatus().RaftState == raft.StateLeader {
				l.once.Do(func() { close(l.leads) })
			}
			continue
		}
		if l.id == 3 {
			close(l.handed[0].done)
			l.handed = l.handed[1:]
		}
	}
	node.Advance(rd)
}

func join(parts [][]time.Duration) (all []time.Duration) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
