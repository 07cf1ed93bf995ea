package raft_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// trio is three members in one goroutine, with hosts that cost as little as can be. Messages go from one
// to the other as they are.
type trio struct {
	nodes  [3]*raft.RawNode
	stores [3]*raft.MemoryStorage
	inbox  [3][]pb.Message
	onTake func(raft.Ready) // sees each Ready
	taken  int              // entries applied, by all together
	reads  int
}

func newTrio(tb testing.TB, opts ...option) *trio {
	g := &trio{}
	for i := range g.nodes {
		store := raft.NewMemoryStorage()
		require.NoError(tb, store.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{
			Index: 1, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}}}}))
		c := testConfig(uint64(i+1), store, opts...)
		c.MaxSizePerMsg, c.PreVote, c.CheckQuorum = 1<<20, true, true
		rn, err := raft.NewRawNode(c)
		require.NoError(tb, err)
		g.nodes[i], g.stores[i] = rn, store
	}
	require.NoError(tb, g.nodes[0].Campaign())
	g.settle()
	require.Equal(tb, raft.StateLeader, g.nodes[0].BasicStatus().RaftState)
	return g
}

// settle works until nobody has anything to do.
func (g *trio) settle() {
	for busy := true; busy; {
		busy = false
		for i, n := range g.nodes {
			inbox := g.inbox[i]
			for k := range inbox {
				_ = n.Step(inbox[k])
			}
			clear(inbox)
			g.inbox[i] = inbox[:0]
			if n.HasReady() {
				busy = true
				g.handle(i)
			}
		}
	}
}

func (g *trio) handle(i int) {
	n := g.nodes[i]
	rd := n.Ready()
	if g.onTake != nil {
		g.onTake(rd)
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		_ = g.stores[i].SetHardState(rd.HardState)
	}
	_ = g.stores[i].Append(rd.Entries)
	for k := range rd.Messages {
		to := rd.Messages[k].To - 1
		g.inbox[to] = append(g.inbox[to], rd.Messages[k])
	}
	g.taken += len(rd.CommittedEntries)
	g.reads += len(rd.ReadStates)
	if len(rd.CommittedEntries) > 0 {
		if last := rd.CommittedEntries[len(rd.CommittedEntries)-1].Index; last%4096 < uint64(len(rd.CommittedEntries)) {
			_ = g.stores[i].Compact(last - min(last-1, 512))
		}
	}
	n.Advance(rd)
}

// propose hands n proposals to the leader, and settles.
func (g *trio) propose(n int, data []byte) {
	for ; n > 0; n-- {
		_ = g.nodes[0].Propose(data)
	}
	g.settle()
}

func BenchmarkProposalsAppliedByThreeMembers(b *testing.B) {
	for _, batch := range []int{1, 64, 1024} {
		batch := batch
		b.Run(fmt.Sprintf("%d between Readys", batch), func(b *testing.B) {
			g := newTrio(b)
			data := make([]byte, 16)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += batch {
				g.propose(batch, data)
			}
		})
	}
}

func BenchmarkReadsOfALeader(b *testing.B) {
	for _, batch := range []int{1, 64} {
		batch := batch
		b.Run(fmt.Sprintf("%d between Readys", batch), func(b *testing.B) {
			g := newTrio(b)
			request := []byte("r")
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += batch {
				for k := 0; k < batch; k++ {
					g.nodes[0].ReadIndex(request)
				}
				g.settle()
			}
		})
	}
}

func BenchmarkNodeProposals(b *testing.B) {
	for _, proposers := range []int{1, 64, 1024} {
		proposers := proposers
		b.Run(fmt.Sprintf("%d at once", proposers), func(b *testing.B) {
			store := raft.NewMemoryStorage()
			_ = store.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{
				Index: 1, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1}}}})
			n := raft.RestartNode(testConfig(1, store))
			defer n.Stop()
			stop := make(chan struct{})
			var host sync.WaitGroup
			host.Add(1)
			go func() {
				defer host.Done()
				for {
					select {
					case rd := <-n.Ready():
						_ = store.SetHardState(rd.HardState)
						_ = store.Append(rd.Entries)
						n.Advance()
					case <-stop:
						return
					}
				}
			}()
			_ = n.Campaign(context.Background())
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for p := 0; p < proposers; p++ {
				all.Add(1)
				go func() {
					defer all.Done()
					for i := 0; i < b.N/proposers+1; i++ {
						_ = n.Propose(context.Background(), []byte("x"))
					}
				}()
			}
			all.Wait()
			b.StopTimer()
			close(stop)
			host.Wait()
		})
	}
}

// In steady state a member allocates little but what leaves it: the budgets are for a proposal or a read on
// all three members together, their storages included.
func TestAllocationsStayWithinTheirBudgets(t *testing.T) {
	g := newTrio(t)
	data, request := make([]byte, 16), []byte("r")
	for name, c := range map[string]struct {
		budget float64
		each   int
		work   func()
	}{
		"one proposal at a time": {2, 1, func() { g.propose(1, data) }},
		"64 proposals at a time": {0.1, 64, func() { g.propose(64, data) }},
		"one read at a time":     {2, 1, func() { g.nodes[0].ReadIndex(request); g.settle() }},
		"64 reads at a time": {0.2, 64, func() {
			for i := 0; i < 64; i++ {
				g.nodes[0].ReadIndex(request)
			}
			g.settle()
		}},
		"a tick of a follower": {0, 1, func() { g.nodes[1].TickQuiesced() }},
	} {
		for i := 0; i < 200; i++ {
			c.work()
		}
		perRun := testing.AllocsPerRun(500, c.work)
		require.LessOrEqual(t, perRun/float64(c.each), c.budget, name)
	}
}

// kept is a Ready, and what it said when it was taken.
type kept struct {
	rd   raft.Ready
	said string
}

func say(rd raft.Ready) string { return fmt.Sprintf("%#v", rd) }

// What leaves the library belongs to the host for good: no memory of it is used again, whatever the member
// goes on to do, and whether load comes or goes.
func TestNothingThatLeftIsEverChanged(t *testing.T) {
	for name, opts := range map[string][]option{
		"merged": nil, "eager": {eager}, "small appends": {func(c *raft.Config) { c.MaxInflightMsgs = 2 }},
	} {
		g := newTrio(t, opts...)
		var all []kept
		g.onTake = func(rd raft.Ready) { all = append(all, kept{rd: rd, said: say(rd)}) }
		for i := 0; i < 120; i++ {
			data := []byte(fmt.Sprint("value ", i))
			g.propose(i%7*i%23+1, data)
			for k := 0; k < i%5; k++ {
				g.nodes[i%3].ReadIndex([]byte(fmt.Sprint("read ", i, k)))
			}
			if i%10 == 0 { // quiet: memory that only load justifies is let go
				for k := 0; k < 4; k++ {
					for _, n := range g.nodes {
						n.Tick()
					}
					g.settle()
				}
			}
			if i%40 == 39 { // another leader, who may overwrite what this one appended last
				_ = g.nodes[0].Propose([]byte("nobody hears of it"))
				g.inbox[1], g.inbox[2] = nil, nil
				g.nodes[0].TransferLeader(uint64(2 + i%2))
				g.settle()
				_ = g.nodes[1].Campaign()
				g.settle()
				g.nodes[1].TransferLeader(1)
				g.settle()
			}
		}
		require.Greater(t, len(all), 500, name)
		for _, k := range all {
			require.Equal(t, k.said, say(k.rd), name)
		}
	}
}

// A Ready's slices end where they end: appending to them writes into nothing of the library's.
func TestAppendingToAReadyChangesNothingElse(t *testing.T) {
	g := newTrio(t)
	junk := pb.Entry{Term: math.MaxUint64, Index: math.MaxUint64, Data: []byte("junk")}
	g.onTake = func(rd raft.Ready) {
		_ = append(rd.Entries, junk, junk)
		_ = append(rd.CommittedEntries, junk, junk)
		_ = append(rd.Messages, pb.Message{Type: pb.MsgTimeoutNow, To: 1, Entries: []pb.Entry{junk}})
		_ = append(rd.ReadStates, raft.ReadState{Index: math.MaxUint64})
		for i := range rd.Messages {
			_ = append(rd.Messages[i].Entries, junk)
			_ = append(rd.Messages[i].Context, 1, 2, 3)
		}
	}
	before := g.taken
	for i := 0; i < 300; i++ {
		g.propose(i%9+1, []byte("v"))
		g.nodes[0].ReadIndex([]byte("r"))
		g.settle()
	}
	want := 0
	for i := 0; i < 300; i++ {
		want += i%9 + 1
	}
	require.Equal(t, 3*want, g.taken-before)
	require.Equal(t, 300, g.reads)
	for i := range g.stores {
		last, err := g.stores[i].LastIndex()
		require.NoError(t, err)
		first, err := g.stores[i].FirstIndex()
		require.NoError(t, err)
		ents, err := g.stores[i].Entries(first, last+1, math.MaxUint64)
		require.NoError(t, err)
		for k := range ents {
			require.NotEqual(t, junk.Term, ents[k].Term)
		}
	}
}
