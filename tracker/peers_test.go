package tracker_test

import (
	"math/rand"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

func restored(t *testing.T, cs pb.ConfState) tracker.Peers {
	t.Helper()
	ps, err := tracker.RestorePeers(cs, 10)
	require.NoError(t, err)
	return ps
}

func TestMembersAreFoundByID(t *testing.T) {
	for _, stride := range []uint64{1, 10} {
		for n := 1; n <= 40; n++ {
			ps := group(t, n, stride)
			require.Equal(t, n, ps.Len())
			for i, p := range ps.All() {
				require.Equal(t, uint64(i+1)*stride, p.ID)
				require.Same(t, &ps.All()[i], ps.Get(p.ID))
			}
			for _, unknown := range []uint64{0, uint64(n)*stride + 1, uint64(n)*stride*2 + 5, 1<<64 - 1} {
				require.Nil(t, ps.Get(unknown), "%d of %d", unknown, n)
			}
		}
	}
	var empty tracker.Peers
	require.Nil(t, empty.Get(1))
	require.False(t, empty.IsVoter(1))
}

func TestPeersKnowTheirParts(t *testing.T) {
	ps := restored(t, pb.ConfState{
		Voters: []uint64{1, 2}, VotersOutgoing: []uint64{2, 3, 4}, Learners: []uint64{5},
		LearnersNext: []uint64{4}, AutoLeave: true,
	})
	require.Equal(t, 5, ps.Len())
	require.True(t, ps.Joint())
	require.True(t, ps.AutoLeave())
	require.False(t, ps.Singleton())
	incoming, outgoing := ps.Voters()
	require.Equal(t, []int{2, 3}, []int{incoming, outgoing})

	for id, want := range map[uint64]tracker.Role{
		1: tracker.Incoming,
		2: tracker.Incoming | tracker.Outgoing,
		3: tracker.Outgoing,
		4: tracker.Outgoing | tracker.LearnerNext,
		5: tracker.Learner,
	} {
		p := ps.Get(id)
		require.Equal(t, want, p.Role, "%d", id)
		require.Equal(t, id != 5, ps.IsVoter(id), "%d", id)
		require.Equal(t, id == 5, p.IsLearner, "%d", id)
		require.Equal(t, id <= 2, p.Role.Incoming(), "%d", id)
		require.Equal(t, id >= 2 && id <= 4, p.Role.Outgoing(), "%d", id)
		require.Equal(t, id == 5, p.Role.Learner(), "%d", id)
		require.Equal(t, id == 4, p.Role.LearnerNext(), "%d", id)
	}

	single := restored(t, pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}})
	require.True(t, single.Singleton())
	require.False(t, single.Joint())
}

// A new term knows nothing of anybody but oneself.
func TestResetForgetsEverythingButTheParts(t *testing.T) {
	cs := pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}}
	ps := restored(t, cs)
	for i := range ps.All() {
		p := &ps.All()[i]
		p.Ballot, p.Queued, p.ReadAck, p.TickAck, p.Floor = tracker.Granted, 4, 5, 6, 7
		p.BecomeReplicate()
		p.MaybeUpdate(9)
		p.SentCommit(8)
		p.Window(4, 0)
		p.SentEntries(1, 1)
	}
	ps.Reset(2, 20)
	for _, p := range ps.All() {
		want := tracker.Peer{Member: tracker.Member{ID: p.ID, Role: p.Role}}
		want.Next, want.IsLearner = 21, p.ID == 3
		if p.ID == 2 {
			want.Match = 20
		}
		require.Equal(t, want, p)
	}
	require.Equal(t, cs, ps.ConfState())
}

func TestWindowsAreMadeWhenNeededAndKept(t *testing.T) {
	var ps tracker.Peers
	ps, err := ps.Simple(5, pb.ConfChangeSingle{NodeID: 1})
	require.NoError(t, err)
	p := ps.Get(1)
	require.Nil(t, p.Inflights)
	p.Window(2, 100)
	window := p.Inflights
	p.BecomeReplicate()
	p.SentEntries(1, 50)
	p.Window(2, 100)
	require.Same(t, window, p.Inflights)
	require.False(t, p.IsPaused())
	p.SentEntries(1, 50)
	require.True(t, p.IsPaused())
}

// Scenario B26: nothing of a configuration is lost on the way through a snapshot.
func TestConfStateRoundTrips(t *testing.T) {
	for seed := int64(0); seed < 2000; seed++ {
		cs := randomConfState(rand.New(rand.NewSource(seed)), 5)
		ps := restored(t, cs)
		require.Equal(t, cs, ps.ConfState(), "seed %d", seed)
	}
}

func TestListsWithoutMembersAreNil(t *testing.T) {
	var ps tracker.Peers
	require.Equal(t, pb.ConfState{}, ps.ConfState())
	cfg := ps.Config()
	require.NotNil(t, cfg.Voters[0])
	require.Nil(t, cfg.Voters[1])
	require.Nil(t, cfg.Learners)
	require.Nil(t, cfg.LearnersNext)
}

func TestProgressMapIsACopy(t *testing.T) {
	ps := restored(t, pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}})
	m := ps.ProgressMap()
	require.Equal(t, "1: StateProbe match=0 next=10\n2: StateProbe match=0 next=10 learner\n", m.String())
	m[1].Match = 7
	require.Zero(t, ps.Get(1).Match)
}

// A process may run thousands of groups: the slot of a peer is a cache line and a half.
func TestAPeerIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(tracker.Peer{}), uintptr(96))
}
