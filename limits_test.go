package raft_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// tenBytes is a proposal, and entrySize what its entry takes as long as index and term are small.
var tenBytes = []byte("ten bytes!")

func entrySize() uint64 {
	e := pb.Entry{Term: 2, Index: 3, Data: tenBytes}
	return uint64(e.Size())
}

// appendSizes returns how many entries each append of a Ready for member 2 has, when six were proposed.
func appendSizes(t *testing.T, limit uint64) []int {
	g := newGroup(t, 2, func(c *raft.Config) { c.MaxSizePerMsg, c.MaxCommittedSizePerReady = limit, 1000 })
	g.elect(1)
	g.isolate(2)
	for i := 0; i < 6; i++ {
		require.NoError(t, g.get(1).Propose(tenBytes))
	}
	var sizes []int
	for _, m := range g.get(1).Ready().Messages {
		require.Equal(t, pb.MsgApp, m.Type)
		sizes = append(sizes, len(m.Entries))
	}
	return sizes
}

// An append has as many entries as fit into MaxSizePerMsg, to the byte, and at least one.
func TestAppendIsFilledUpToMaxSizePerMsg(t *testing.T) {
	size := entrySize()
	for limit, want := range map[uint64][]int{
		0: {1, 1, 1, 1, 1, 1}, 1: {1, 1, 1, 1, 1, 1}, size: {1, 1, 1, 1, 1, 1},
		2*size - 1: {1, 1, 1, 1, 1, 1}, 2 * size: {2, 2, 2}, 3*size - 1: {2, 2, 2}, 3 * size: {3, 3},
		4 * size: {4, 2}, 6*size - 1: {5, 1}, 6 * size: {6}, math.MaxUint64: {6},
	} {
		require.Equal(t, want, appendSizes(t, limit), "limit %d, entries of %d", limit, size)
	}
}

// One Ready hands out as many committed entries as fit into MaxCommittedSizePerReady, to the byte, and
// at least one; zero means MaxSizePerMsg (scenario B65).
func TestReadyIsFilledUpToMaxCommittedSize(t *testing.T) {
	size := entrySize()
	for _, c := range []struct {
		perReady, perMsg uint64
		want             []int
	}{
		{1, math.MaxUint64, []int{1, 1, 1, 1, 1, 1}},
		{2*size - 1, math.MaxUint64, []int{1, 1, 1, 1, 1, 1}},
		{2 * size, 0, []int{2, 2, 2}},
		{4 * size, 0, []int{4, 2}},
		{math.MaxUint64, 0, []int{6}},
		{0, 0, []int{1, 1, 1, 1, 1, 1}},
		{0, 3 * size, []int{3, 3}},
		{0, math.MaxUint64, []int{6}},
	} {
		g := newGroup(t, 1, func(c2 *raft.Config) {
			c2.MaxSizePerMsg, c2.MaxCommittedSizePerReady = c.perMsg, c.perReady
		})
		g.elect(1)
		for i := 0; i < 6; i++ {
			require.NoError(t, g.get(1).Propose(tenBytes))
		}
		m, got := g.get(1), []int(nil)
		for m.HasReady() {
			rd := m.Ready()
			g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
			if n := len(rd.CommittedEntries); n > 0 {
				got = append(got, n)
			}
			m.Advance(rd)
		}
		require.Equal(t, c.want, got, "%+v", c)
		require.Equal(t, uint64(8), m.BasicStatus().Applied)
	}
}

// With asynchronous writes, what is handed out and not applied counts: nothing more comes until the
// state machine has made room.
func TestCommittedEntriesWaitUntilOthersAreApplied(t *testing.T) {
	g := newGroup(t, 1, async, func(c *raft.Config) { c.MaxCommittedSizePerReady = 2 * entrySize() })
	g.elect(1)
	m := g.get(1)
	for i := 0; i < 5; i++ {
		require.NoError(t, m.Propose(tenBytes))
	}
	applies := [][]pb.Message{}
	work := func() {
		for m.HasReady() {
			for _, msg := range m.Ready().Messages {
				if msg.To == raft.LocalApplyThread {
					applies = append(applies, msg.Responses)
					continue
				}
				g.save(m, pb.HardState{}, msg.Entries, pb.Snapshot{})
				g.respond(m, msg.Responses)
			}
		}
	}
	work()
	require.Len(t, applies, 1)
	for i, want := range []uint64{4, 6, 7} {
		require.Len(t, applies, i+1)
		require.NoError(t, m.Step(applies[i][0]))
		require.Equal(t, want, m.BasicStatus().Applied)
		work()
	}
}

// oddStorage has its own idea of sizes: it returns perCall entries whatever the limit is.
type oddStorage struct {
	*raft.MemoryStorage
	perCall uint64
}

func (s *oddStorage) Entries(lo, hi, _ uint64) ([]pb.Entry, error) {
	return s.MemoryStorage.Entries(lo, min(hi, lo+s.perCall), math.MaxUint64)
}

// A Storage that counts sizes differently, and returns more or fewer entries than the library would,
// drops nothing, and the saved commit index never falls (scenario B62).
func TestPagesOfAnySizeLoseNothing(t *testing.T) {
	for _, perCall := range []uint64{1, 2, 3, 1000} {
		for _, limit := range []uint64{0, 1, 40, 100} {
			g := newGroup(t, 1, func(c *raft.Config) {
				c.Storage = &oddStorage{c.Storage.(*raft.MemoryStorage), perCall}
				c.MaxCommittedSizePerReady = limit
			})
			g.elect(1)
			m, commit := g.get(1), uint64(0)
			var want []string
			for i := 0; i < 20; i++ {
				want = append(want, fmt.Sprintf("%d: %0*d", i, i, 0))
				require.NoError(t, m.Propose([]byte(want[i])))
				if i%7 > 0 {
					continue
				}
				for m.HasReady() {
					rd := m.Ready()
					if !raft.IsEmptyHardState(rd.HardState) {
						require.GreaterOrEqual(t, rd.HardState.Commit, commit)
						commit = rd.HardState.Commit
					}
					g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
					g.apply(m, rd.CommittedEntries)
					m.Advance(rd)
				}
			}
			g.settle()
			require.Equal(t, want, m.values(), "%d a call, limit %d", perCall, limit)

			// After a restart all of it comes again, from Storage.
			again := g.restart(1, func(c *raft.Config) {
				c.Storage = &oddStorage{c.Storage.(*raft.MemoryStorage), perCall}
				c.MaxCommittedSizePerReady = limit
			})
			g.settle()
			require.Equal(t, want, again.values(), "%d a call, limit %d, restarted", perCall, limit)
		}
	}
}

func quota(n uint64) option {
	return func(c *raft.Config) { c.MaxUncommittedEntriesSize = n }
}

// The quota for what is uncommitted counts payload, to the byte; what has none always goes, and so
// does one proposal when nothing else is there, however large (scenario B44).
func TestProposalsBeyondTheQuotaAreDropped(t *testing.T) {
	g := newGroup(t, 3, quota(20))
	g.elect(1)
	g.isolate(1)
	m := g.get(1)
	require.NoError(t, m.Propose(tenBytes))
	require.ErrorIs(t, m.Propose(append(tenBytes[:10:10], '!')), raft.ErrProposalDropped)
	require.NoError(t, m.Propose(tenBytes))
	require.ErrorIs(t, m.Propose([]byte{1}), raft.ErrProposalDropped)
	require.NoError(t, m.Propose(nil))
	require.ErrorIs(t, m.Step(pb.Message{Type: pb.MsgProp, From: 2, Entries: []pb.Entry{{}, {Data: []byte{1}}}}),
		raft.ErrProposalDropped, "forwarded ones count too, and go as a whole or not at all")
	g.settle()
	require.Len(t, m.entries(), 4, "one of the leader's own, and three proposals")

	g.heal()
	g.ticks(2, 1)
	require.NoError(t, m.Propose(make([]byte, 1000)), "alone")
	require.ErrorIs(t, m.Propose([]byte{1}), raft.ErrProposalDropped)
	g.settle()
	require.NoError(t, m.Propose(make([]byte, 20)), "it is applied, so all is free again")
}

// A group that has applied everything has its whole quota, also after refused configuration changes
// and changes of leader (scenario B44).
func TestQuotaIsWholeAgainWhenAllIsApplied(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		g := newGroup(t, 3, append(opts, quota(30))...)
		for i := 0; i < 20; i++ {
			lead := uint64(i%3) + 1
			g.elect(lead)
			m := g.get(lead)
			_ = m.ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: 9})
			require.Error(t, m.ProposeConfChange(pb.ConfChange{Type: pb.ConfChangeAddLearnerNode, NodeID: 8}))
			_ = m.Propose(tenBytes)
			g.settle()
			require.NoError(t, m.Propose(tenBytes), "round %d", i)
			require.NoError(t, m.Propose(append(tenBytes[:10:10], tenBytes...)), "round %d", i)
			require.ErrorIs(t, m.Propose([]byte{1}), raft.ErrProposalDropped, "round %d", i)
			g.settle()
		}
	})
}

// A new leader counts what it inherited and has not applied (scenario B44).
func TestNewLeaderCountsWhatItInherited(t *testing.T) {
	g := newGroup(t, 3, quota(20))
	g.elect(1)
	g.isolate(3)
	g.lose = isType(pb.MsgAppResp)
	require.NoError(t, g.get(1).Propose(tenBytes))
	require.NoError(t, g.get(1).Propose(tenBytes))
	g.settle()
	g.elect(2)
	require.Equal(t, uint64(2), g.get(2).BasicStatus().Commit, "nobody acknowledges anything")
	require.ErrorIs(t, g.get(2).Propose([]byte{1}), raft.ErrProposalDropped)
	g.lose = nil
	g.ticks(2, 2)
	require.Equal(t, uint64(5), g.get(2).BasicStatus().Applied)
	require.NoError(t, g.get(2).Propose(tenBytes))
	require.NoError(t, g.get(2).Propose(tenBytes))
	require.ErrorIs(t, g.get(2).Propose([]byte{1}), raft.ErrProposalDropped)
}

// Nothing must be synced for a commit index alone (scenario B64).
func TestCommitAloneNeedsNoSync(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	require.NoError(t, g.get(1).Propose([]byte("x")))
	follower := g.get(2)
	g.handle(g.get(1))
	g.deliver()
	rd := follower.Ready()
	require.True(t, rd.MustSync, "there are entries")
	require.Len(t, rd.Entries, 1)
	g.save(follower, rd.HardState, rd.Entries, rd.Snapshot)
	g.wire = append(g.wire, rd.Messages...)
	follower.Advance(rd)
	g.deliver()
	g.handle(g.get(1))
	g.deliver()

	rd = follower.Ready()
	require.Equal(t, uint64(3), rd.HardState.Commit)
	require.Len(t, rd.CommittedEntries, 1)
	require.False(t, rd.MustSync)
	follower.Advance(rd)
	require.NoError(t, follower.Step(pb.Message{Type: pb.MsgHeartbeat, From: 1, To: 2, Term: 2, Commit: 3}))
	rd = follower.Ready()
	require.True(t, raft.IsEmptyHardState(rd.HardState))
	require.False(t, rd.MustSync, "nothing is to be saved at all")
	follower.Advance(rd)
	require.NoError(t, follower.Step(pb.Message{Type: pb.MsgHeartbeat, From: 3, To: 2, Term: 7}))
	require.True(t, follower.Ready().MustSync, "the term is new")
}
