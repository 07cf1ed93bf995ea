package raft_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// The two storage modes: what is durable when, and what happens when Storage fails.

// power ends a member before what it was given is saved, and starts it again.
func (g *group) power(id uint64, opts ...option) *member { return g.restart(id, opts...) }

// A crash between any two steps of the host leads to no second vote in a term: term and vote are one
// record, and it is saved before the answer leaves (B10, thesis 3.8).
func TestNoSecondVoteAfterACrash(t *testing.T) {
	ask := func(from uint64) pb.Message {
		return pb.Message{Type: pb.MsgVote, From: from, To: 1, Term: 7, LogTerm: 1, Index: 1}
	}
	for name, opts := range map[string][]option{"sync": nil, "async": {async}} {
		for _, saved := range []bool{false, true} {
			g := newGroup(t, 3, opts...)
			m := g.get(1)
			g.step(ask(2))
			rd := m.Ready()
			hard := rd.HardState
			require.Equal(t, pb.HardState{Term: 7, Vote: 2, Commit: 1}, hard, "one record, "+name)
			require.True(t, rd.MustSync)
			var grants []pb.Message
			if name == "sync" {
				grants = rd.Messages // to be sent after the rest is saved
			} else {
				require.Len(t, rd.Messages, 1)
				grants = rd.Messages[0].Responses
			}
			require.Equal(t, []pb.MessageType{pb.MsgVoteResp}, types(grants))
			if saved {
				require.NoError(t, m.store.SetHardState(hard))
			}
			// Here the power fails.
			g.power(1, opts...)
			g.step(ask(3))
			answers := g.emit(1)
			require.Len(t, answers, 1)
			require.Equal(t, saved, answers[0].Reject, "%s, saved %v", name, saved)
		}
	}
}

// A vote is taken back by nothing but a higher term (B11).
func TestVoteStaysForTheWholeTerm(t *testing.T) {
	g := newGroup(t, 3, checkQuorum)
	g.step(pb.Message{Type: pb.MsgVote, From: 2, To: 1, Term: 7, LogTerm: 1, Index: 1})
	vote := func() uint64 { return g.get(1).BasicStatus().Vote }
	require.Equal(t, uint64(2), vote())
	g.step(pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 7})
	require.NoError(t, g.get(1).ForgetLeader())
	g.step(pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 7},
		pb.Message{Type: pb.MsgSnap, From: 2, To: 1, Term: 7, Snapshot: &pb.Snapshot{
			Metadata: pb.SnapshotMetadata{Index: 5, Term: 7, ConfState: g.get(1).conf}}})
	require.Equal(t, uint64(2), vote())

	g = newGroup(t, 3, checkQuorum)
	g.elect(1)
	g.isolate(1)
	g.ticks(25, 1)
	require.Equal(t, raft.StateFollower, state(g, 1))
	require.Equal(t, uint64(1), g.get(1).BasicStatus().Vote, "its own, though it stepped down")
}

// A leader counts its own entries when they are durable, not before: with a quorum less one it waits for
// its own disk (B60, thesis 10.2.1).
func TestLeaderCountsItselfWhenItsLogIsDurable(t *testing.T) {
	g := newGroup(t, 3, async)
	s := g.slow(1)
	require.NoError(t, s.Campaign())
	s.gather()
	require.Equal(t, raft.StateCandidate, state(g, 1), "its own vote is not durable")
	g.step(pb.Message{Type: pb.MsgVoteResp, From: 2, To: 1, Term: 2})
	require.Equal(t, raft.StateCandidate, state(g, 1))
	g.respond(s.member, s.write())
	require.Equal(t, raft.StateLeader, state(g, 1))

	s.gather()
	ack := pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: 2}
	g.step(ack)
	require.Equal(t, uint64(1), g.commitOf(1), "one of three has it for certain")
	require.Equal(t, uint64(1), g.progress(1, 1).Match)
	g.respond(s.member, s.write())
	require.Equal(t, uint64(2), g.commitOf(1))

	// A quorum of others commits what the leader itself has not written yet.
	g.propose(1, "x")
	s.gather()
	for _, from := range []uint64{2, 3} {
		g.step(pb.Message{Type: pb.MsgAppResp, From: from, To: 1, Term: 2, Index: 3})
	}
	require.Equal(t, uint64(3), g.commitOf(1))
	s.gather()
	for _, job := range s.jobs {
		for _, e := range job.Entries {
			require.Less(t, e.Index, uint64(3), "but it does not apply it before it has it on disk")
		}
	}
	s.finish()
	require.Equal(t, []string{"x"}, s.values())
}

// With synchronous writes a Ready may hold an entry both to be saved and to be applied, but never for a
// single voter, whose own disk is the quorum (B59).
func TestSingleVoterNeverAppliesBeforeItSaves(t *testing.T) {
	for name, opts := range map[string][]option{"sync": nil, "async": {async}} {
		g := newGroup(t, 1, opts...)
		g.elect(1)
		m := g.get(1)
		for i := 0; i < 20; i++ {
			for k := 0; k <= i%3; k++ {
				g.propose(1, fmt.Sprint(i, k))
			}
			for m.HasReady() {
				rd := m.Ready()
				last, _ := m.store.LastIndex()
				for _, e := range rd.CommittedEntries {
					require.LessOrEqual(t, e.Index, last, name)
				}
				if name == "async" {
					g.handleAsync(m, rd.Messages)
					continue
				}
				g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
				g.apply(m, rd.CommittedEntries)
				m.Advance(rd)
			}
		}
		require.Len(t, m.values(), 39, name)
	}
}

// A follower acknowledges when it has written: the acknowledgement is a response of the write
// (thesis 3.8).
func TestFollowerAcknowledgesWhatIsDurable(t *testing.T) {
	g := newGroup(t, 3, async)
	s := g.slow(2)
	g.step(pb.Message{Type: pb.MsgApp, From: 1, To: 2, Term: 2, Index: 1, LogTerm: 1, Entries: ents(2, 2, 2)})
	require.Empty(t, s.gather())
	responses := s.write()
	require.Equal(t, []pb.MessageType{pb.MsgAppResp, pb.MsgStorageAppendResp}, types(responses))
	require.Equal(t, uint64(3), responses[0].Index)
	require.Equal(t, raft.LocalAppendThread, responses[1].From)
	require.Equal(t, uint64(2), responses[1].To)
}

// Entries are written, overwritten and restored while the first write is still under way. Its completion
// says nothing about the third: the entries are taken for durable only when that one completes, and
// then they are (B56, the ABA race; B57).
func TestLateCompletionDoesNotVouchForRestoredEntries(t *testing.T) {
	g := newGroup(t, 5, async)
	s := g.slow(2)
	appendFrom := func(from, term uint64, es ...pb.Entry) {
		g.step(pb.Message{Type: pb.MsgApp, From: from, To: 2, Term: term, Index: 1, LogTerm: 1, Entries: es})
		s.gather()
	}
	a, c := ents(2, 2, 2), ents(2, 3)
	appendFrom(1, 2, a...)
	first := len(s.writes)
	appendFrom(3, 3, c...)
	appendFrom(1, 4, a...)
	require.Equal(t, 3, len(s.writes))

	// What the disk holds at each moment is what the member may apply, were it committed.
	g.step(pb.Message{Type: pb.MsgHeartbeat, From: 1, To: 2, Term: 4, Commit: 3})
	applies := func() []uint64 {
		var out []uint64
		s.gather()
		for _, job := range s.jobs {
			for _, e := range job.Entries {
				out = append(out, e.Index)
			}
		}
		return out
	}
	require.Empty(t, applies())
	for i := 0; i < first; i++ {
		g.respond(s.member, s.write())
	}
	require.Empty(t, applies(), "the first write was of these entries, but the disk is about to hold others")
	g.respond(s.member, s.write())
	require.Empty(t, applies())
	g.respond(s.member, s.write())
	require.Equal(t, []uint64{2, 3}, applies(), "no entry stays unwritten for ever")
	s.finish()
	require.Equal(t, []uint64{2, 2}, s.terms())
}

// Completions may come late, twice and in any order: what is durable only grows (B61).
func TestCompletionsInAnyOrder(t *testing.T) {
	for seed := int64(0); seed < 30; seed++ {
		rng := rand.New(rand.NewSource(seed))
		g := newGroup(t, 1, async)
		g.elect(1)
		s := g.slow(1)
		var done []pb.Message
		for i := 0; i < 30; i++ {
			g.propose(1, fmt.Sprint(i))
			s.gather()
			for len(s.writes) > 0 && rng.Intn(2) == 0 {
				done = append(done, s.write()...)
			}
			rng.Shuffle(len(done), func(i, k int) { done[i], done[k] = done[k], done[i] })
			for len(done) > 0 && rng.Intn(3) > 0 {
				require.NoError(t, s.Step(done[0]))
				if rng.Intn(3) > 0 {
					done = done[1:]
				}
			}
			last, _ := s.store.LastIndex()
			require.LessOrEqual(t, g.commitOf(1), last, "seed %d", seed)
		}
		g.respond(s.member, done)
		s.finish()
		require.Len(t, s.values(), 30, "seed %d", seed)
	}
}

// A completion of an earlier term, that of the bootstrap entries say, comes after one of a later term and
// takes nothing back (B61).
func TestCompletionOfAnEarlierTermTakesNothingBack(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{})
	m := g.start(1, raft.NewMemoryStorage(), async)
	require.NoError(t, m.Bootstrap([]raft.Peer{{ID: 1}, {ID: 2}}))
	s := g.slow(1)
	s.gather()
	require.NotEmpty(t, s.writes)
	bootstrap := s.write()
	g.step(pb.Message{Type: pb.MsgApp, From: 2, To: 1, Term: 2, Index: 2, LogTerm: 1, Entries: ents(3, 2), Commit: 3})
	s.gather()
	g.respond(s.member, s.write())
	s.gather()
	require.NoError(t, s.Step(bootstrap[len(bootstrap)-1]))
	s.finish()
	require.Equal(t, uint64(3), s.BasicStatus().Applied)
	require.Equal(t, []uint64{1, 1, 2}, s.terms())
}

// Groups whose disks and state machines are slow, each at its own pace, agree in both modes.
func TestSlowDisksAgree(t *testing.T) {
	for seed := int64(0); seed < 15; seed++ {
		rng := rand.New(rand.NewSource(seed))
		chance := rand.New(rand.NewSource(-seed))
		g := newGroup(t, 3, async, func(c *raft.Config) { c.Rand = chance })
		slows := map[uint64]*slow{1: g.slow(1), 2: g.slow(2), 3: g.slow(3)}
		for i := 0; i < 600; i++ {
			s := slows[uint64(1+rng.Intn(3))]
			randomInput(g, rng)
			switch rng.Intn(3) {
			case 0:
				g.wire = append(g.wire, s.gather()...)
			case 1:
				if len(s.writes) > 0 {
					g.respond(s.member, s.write())
				}
			default:
				if len(s.jobs) > 0 {
					g.apply(s.member, s.jobs[0].Entries)
					g.respond(s.member, s.jobs[0].Responses)
					s.jobs = s.jobs[1:]
				}
			}
		}
		for _, s := range slows {
			s.finish()
		}
		g.settle()
		g.ticks(80, 1, 2, 3)
		lead := g.leader()
		require.NotEqual(t, raft.None, lead, "seed %d", seed)
		g.commit(lead, "last")
		require.Contains(t, g.requireSame(1, 2, 3), "last", "seed %d", seed)
	}
}

// A snapshot that is being written stays its member's truth when the term changes meanwhile: unlike
// entries it cannot have been replaced.
func TestSnapshotWriteOutlivesItsTerm(t *testing.T) {
	g := newGroup(t, 3, async)
	s := g.slow(2)
	g.step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 2, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 9, Term: 2, ConfState: s.conf}}})
	s.gather()
	g.step(pb.Message{Type: pb.MsgHeartbeat, From: 3, To: 2, Term: 5})
	g.respond(s.member, s.write())
	require.Equal(t, uint64(9), s.BasicStatus().Applied)
	s.finish()
	require.NoError(t, s.Campaign())
	require.Equal(t, raft.StateCandidate, state(g, 2), "the snapshot waits no longer")
}

// ---- Storage fails

// breaks says how to make Storage fail, and which input makes the member meet the failure.
var breaks = map[string]func(g *group, disk *faulty){
	"an append": func(g *group, disk *faulty) {
		disk.entries = errDisk
		g.get(1).ReportUnreachable(2)
		_ = g.get(1).Step(pb.Message{Type: pb.MsgHeartbeatResp, From: 2, To: 1, Term: term(g, 1)})
	},
	"a snapshot": func(g *group, disk *faulty) {
		disk.snapshot = errDisk
		g.compact(1)
		g.get(1).ReportUnreachable(2)
		_ = g.get(1).Step(pb.Message{Type: pb.MsgHeartbeatResp, From: 2, To: 1, Term: term(g, 1)})
	},
	"too few entries": func(g *group, disk *faulty) {
		disk.mangle = func(es []pb.Entry) []pb.Entry { return es[:0] }
		g.get(1).ReportUnreachable(2)
		_ = g.get(1).Step(pb.Message{Type: pb.MsgHeartbeatResp, From: 2, To: 1, Term: term(g, 1)})
	},
	"other entries": func(g *group, disk *faulty) {
		disk.mangle = func(es []pb.Entry) []pb.Entry { return es[1:] }
		g.get(1).ReportUnreachable(2)
		_ = g.get(1).Step(pb.Message{Type: pb.MsgHeartbeatResp, From: 2, To: 1, Term: term(g, 1)})
	},
}

func failing(t *testing.T, opts ...option) (*group, *faulty) {
	g := newGroup(t, 3, opts...)
	disk := g.breakable(1, opts...)
	g.elect(1)
	g.isolate(2)
	g.commit(1, "a", "b", "c")
	g.handle(g.get(1))
	return g, disk
}

// A Storage that fails stops its member, in both modes: the host gets the error once, nothing that was
// decided after it leaves, and every further input is ErrHalted (B48).
func TestStorageErrorHaltsTheMember(t *testing.T) {
	for what, breakIt := range breaks {
		for mode, opts := range map[string][]option{"sync": nil, "async": {async}, "eager": {eager}} {
			var errs []error
			g, disk := failing(t, append(opts, func(c *raft.Config) {
				c.OnStorageError = raft.StorageErrorFunc(func(err error) { errs = append(errs, err) })
			})...)
			m := g.get(1)
			breakIt(g, disk)
			if len(errs) == 0 {
				require.True(t, isEmpty(m.Ready()), "%s, %s", what, mode)
			}
			require.Len(t, errs, 1, "%s, %s", what, mode)
			if disk.mangle == nil {
				require.ErrorIs(t, errs[0], errDisk)
			}
			require.ErrorContains(t, errs[0], "Storage.", "it says which call failed")

			require.False(t, m.HasReady(), "%s, %s", what, mode)
			require.True(t, isEmpty(m.Ready()))
			require.ErrorIs(t, m.Propose([]byte("x")), raft.ErrHalted)
			require.ErrorIs(t, m.Campaign(), raft.ErrHalted)
			require.ErrorIs(t, m.ForgetLeader(), raft.ErrHalted)
			require.ErrorIs(t, m.ProposeConfChange(pb.ConfChange{NodeID: 9}), raft.ErrHalted)
			require.ErrorIs(t, m.Step(pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 9}), raft.ErrHalted)
			m.Tick()
			m.ReadIndex([]byte("r"))
			m.TransferLeader(2)
			m.ReportUnreachable(3)
			m.ReportSnapshot(3, raft.SnapshotFailure)
			m.Advance(raft.Ready{})
			require.False(t, m.HasReady())
			require.Len(t, errs, 1, "told once")
			require.Equal(t, uint64(1), m.Status().ID, "its state can still be asked for")

			// The rest of the group goes on without it.
			g.isolate(1)
			delete(g.cut, [2]uint64{2, 3})
			delete(g.cut, [2]uint64{3, 2})
			require.NoError(t, g.get(3).Campaign())
			g.settle()
			g.commit(3, "goes on")
			require.Equal(t, []string{"a", "b", "c", "goes on"}, g.requireSame(2, 3))
		}
	}
}

// Without OnStorageError the library itself panics, with the error, whatever the Logger does.
func TestStorageErrorPanicsByDefault(t *testing.T) {
	for what, breakIt := range breaks {
		for mode, opts := range map[string][]option{"sync": nil, "async": {async}, "mirror": {mirror}} {
			g, disk := failing(t, opts...)
			require.Panics(t, func() {
				breakIt(g, disk)
				g.get(1).Ready()
			}, "%s, %s", what, mode)
		}
	}
}

// A failure in the middle of an application stops the member before it hands out anything.
func TestFailureToReadCommittedEntriesHalts(t *testing.T) {
	var errs []error
	g := newGroup(t, 3)
	g.elect(1)
	g.commit(1, "a", "b")
	store := g.get(2).store
	disk := &faulty{MemoryStorage: store, entries: errDisk}
	m := g.start(2, store, func(c *raft.Config) {
		c.Storage = disk
		c.OnStorageError = raft.StorageErrorFunc(func(err error) { errs = append(errs, err) })
	})
	require.True(t, isEmpty(m.Ready()))
	require.Len(t, errs, 1)
	require.True(t, errors.Is(errs[0], errDisk))

	// Compacted before it was applied: the host broke its promise, and is told.
	errs = nil
	disk.entries = raft.ErrCompacted
	m = g.start(2, store, func(c *raft.Config) {
		c.Storage = disk
		c.OnStorageError = raft.StorageErrorFunc(func(err error) { errs = append(errs, err) })
	})
	require.True(t, isEmpty(m.Ready()))
	require.Len(t, errs, 1)
}

// A Storage that cannot be read at the start is an error of the constructor, not a panic.
func TestStorageErrorAtTheStartIsReturned(t *testing.T) {
	for _, disk := range []*faulty{
		{MemoryStorage: raft.NewMemoryStorage(), first: errDisk},
	} {
		_, err := raft.NewRawNode(testConfig(1, disk))
		require.ErrorIs(t, err, errDisk)
		require.ErrorContains(t, err, "Storage.FirstIndex")
	}
	store := raft.NewMemoryStorage()
	require.NoError(t, store.SetHardState(pb.HardState{Term: 3, Commit: 9}))
	_, err := raft.NewRawNode(testConfig(1, store))
	require.ErrorContains(t, err, "HardState.Commit is 9; allowed: 0 to 0")
}

// A Node whose Storage failed stops giving Readys, and its calls return ErrHalted.
func TestNodeHaltsToo(t *testing.T) {
	store := raft.NewMemoryStorage()
	require.NoError(t, store.ApplySnapshot(pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 1, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1}}}}))
	require.NoError(t, store.SetHardState(pb.HardState{Term: 1, Commit: 1}))
	require.NoError(t, store.Append(ents(2, 1)))
	require.NoError(t, store.SetHardState(pb.HardState{Term: 1, Commit: 2}))
	disk := &faulty{MemoryStorage: store, entries: errDisk}
	failed := make(chan error, 1)
	cfg := testConfig(1, disk)
	cfg.OnStorageError = raft.StorageErrorFunc(func(err error) { failed <- err })
	n := raft.RestartNode(cfg)
	defer n.Stop()
	require.ErrorIs(t, <-failed, errDisk)
	require.ErrorIs(t, n.Campaign(context.Background()), raft.ErrHalted)
	select {
	case rd := <-n.Ready():
		require.Fail(t, "a halted member gives no Ready", "%+v", rd)
	default:
	}
}

// Storage that returns fewer entries than were asked for is asked again for the rest: nothing is skipped
// and nothing is applied twice, however it counts sizes (B62).
func TestStorageMayReturnLess(t *testing.T) {
	for seed := int64(0); seed < 20; seed++ {
		rng := rand.New(rand.NewSource(seed))
		less := func(es []pb.Entry) []pb.Entry {
			if len(es) == 0 {
				return es
			}
			return es[:1+rng.Intn(len(es))]
		}
		g := newGroup(t, 3)
		opts := []option{func(c *raft.Config) { c.MaxCommittedSizePerReady, c.MaxSizePerMsg = 60, 60 }}
		for id := uint64(1); id <= 3; id++ {
			g.breakable(id, opts...).mangle = less
		}
		g.elect(1)
		g.isolate(3)
		var want []string
		for i := 0; i < 40; i++ {
			want = append(want, fmt.Sprint("value ", i))
			g.propose(1, want[i])
			if rng.Intn(4) == 0 {
				g.settle()
			}
		}
		g.settle()
		g.heal()
		g.ticks(3, 1)
		require.Equal(t, want, g.requireSame(1, 2, 3), "seed %d", seed)
		for id := uint64(1); id <= 3; id++ {
			for i, e := range g.get(id).applied {
				require.Equal(t, uint64(i)+2, e.Index)
			}
			require.Equal(t, g.commitOf(1), g.get(id).BasicStatus().Applied)
		}
	}
}
