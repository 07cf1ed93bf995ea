package raft_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// Many goroutines may propose at once, and what they propose between two Readys goes out as one
// append for each follower (design 3).
func TestNodeSendsWhatManyProposeAsOneAppend(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 3, opts...)
		require.NoError(t, h.Propose(context.Background(), []byte("first")))
		held := h.next() // no other Ready while this one is not advanced, or while another is on offer
		const goroutines, each = 20, 25
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var wg sync.WaitGroup
		for i := 0; i < goroutines; i++ {
			i := i
			wg.Add(1)
			go func() {
				defer wg.Done()
				for k := 0; k < each; k++ {
					if err := h.Propose(ctx, []byte(fmt.Sprint(i, ":", k))); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		wg.Wait()
		h.handle(held)

		readys, appended := 0, data(held.Entries)
		for len(appended) < 1+goroutines*each {
			rd := h.next()
			readys++
			appended = append(appended, data(rd.Entries)...)
			appends := map[uint64]int{}
			for _, m := range rd.Messages {
				if m.Type == pb.MsgApp && len(m.Entries) > 0 {
					appends[m.To]++
				}
			}
			for to, n := range appends {
				require.Equal(t, 1, n, "appends for %d in one Ready", to)
			}
			h.handle(rd)
		}
		// With asynchronous writes some of the proposals are in the one that was on offer meanwhile.
		require.LessOrEqual(t, readys, 2)
		if !h.async {
			require.Equal(t, 1, readys)
		}
		requireInOrderPerGoroutine(t, appended)
	})
}

// While an entry is under way, proposals gather before a Ready takes them; it is put on offer though
// nobody calls again.
func TestProposalBehindOthersIsOfferedWithoutAnotherCall(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 3, opts...)
		for i := 0; i < 100; i++ { // nobody acknowledges any of them
			want := fmt.Sprint(i)
			require.NoError(t, h.Propose(context.Background(), []byte(want)))
			var got []string
			for len(got) == 0 {
				rd := h.next()
				got = data(rd.Entries)
				h.handle(rd)
			}
			require.Equal(t, []string{want}, got)
		}
	})
}

func requireInOrderPerGoroutine(t *testing.T, values []string) {
	next := map[int]int{}
	for _, v := range values {
		var i, k int
		if n, _ := fmt.Sscanf(v, "%d:%d", &i, &k); n == 2 {
			require.Equal(t, next[i], k)
			next[i]++
		}
	}
}

// A Ready counts as accepted when it is put on offer: what is proposed later is in the next one.
func TestNodeGathersLaterInputForTheNextReady(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 1, opts...)
		g := h.offerCommitted(large)
		proposed := make(chan error)
		go func() { proposed <- h.Propose(context.Background(), []byte("b")) }()
		h.store.open(g)
		require.NoError(t, <-proposed)

		offered := h.next()
		require.Equal(t, []string{large}, data(offered.CommittedEntries))
		require.Empty(t, data(offered.Entries))
		require.NoError(t, h.Propose(context.Background(), []byte("c")))
		h.handle(offered)
		var later []string
		for len(later) < 2 {
			rd := h.next()
			later = append(later, data(rd.Entries)...)
			h.handle(rd)
		}
		require.Equal(t, []string{"b", "c"}, later)
	})
}

// large is a value that a member does not keep in memory when it is durable.
var large = strings.Repeat("a", 1<<16+1)

// offerCommitted proposes value and goes on until the Ready that hands it out as committed is being
// taken, and waits in Storage.
func (h *nodeHost) offerCommitted(value string) gate {
	h.t.Helper()
	require.NoError(h.t, h.Propose(context.Background(), []byte(value)))
	rd := h.next()
	require.Equal(h.t, []string{value}, data(rd.Entries))
	h.save(rd.HardState, rd.Entries)
	if !h.async {
		g := h.store.close()
		h.Advance()
		<-g.entered
		return g
	}
	// The acknowledgement commits it; the report of the log writer then allows to apply it.
	h.respond(rd.Messages[0].Responses[:1])
	write := h.next().Messages[0]
	require.Equal(h.t, uint64(3), write.Commit)
	g := h.store.close()
	h.respond(write.Responses)
	<-g.entered
	return g
}

// Stop withdraws a Ready that nobody has taken.
func TestStopWithdrawsWhatIsOnOffer(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 1, opts...)
		g := h.offerCommitted(large)
		h.store.open(g)
		require.Positive(t, h.Status().Term) // after this the Ready is taken
		h.Stop()
		select {
		case rd := <-h.Ready():
			t.Fatalf("after Stop came %+v", rd)
		default:
		}
	})
}

// A proposal waits while there is no leader, until there is one or its caller's context ends; so does
// one that another member has forwarded.
func TestProposeWaitsForALeader(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newNodeHost(t, 1, opts...)
		forwarded := pb.Message{Type: pb.MsgProp, From: 2, Entries: []pb.Entry{{Data: []byte("x")}}}
		require.ErrorIs(t, h.Propose(canceled(), []byte("x")), context.Canceled)
		require.ErrorIs(t, h.Step(canceled(), forwarded), context.Canceled)
		require.ErrorIs(t, h.ProposeConfChange(canceled(), pb.ConfChange{NodeID: 2}), context.Canceled)
		require.NoError(t, h.ReadIndex(context.Background(), []byte("x")), "only proposals wait")

		results := make(chan error, 2)
		go func() { results <- h.Propose(context.Background(), []byte("x")) }()
		go func() { results <- h.Step(context.Background(), forwarded) }()
		require.NoError(t, h.Campaign(context.Background()))
		h.until(func(st raft.Status) bool { return st.Applied == 4 })
		require.NoError(t, <-results)
		require.NoError(t, <-results)
	})
}

// A caller that waits for a slow Storage leaves when its context ends, and Tick waits for nothing.
func TestCallersLeaveWhileStorageIsSlow(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 1, opts...)
		g := h.offerCommitted(large)
		ctx, cancel := context.WithCancel(context.Background())
		calls := map[string]func() error{
			"Propose":           func() error { return h.Propose(ctx, []byte("b")) },
			"ProposeConfChange": func() error { return h.ProposeConfChange(ctx, pb.ConfChange{NodeID: 2}) },
			"Campaign":          func() error { return h.Campaign(ctx) },
			"ReadIndex":         func() error { return h.ReadIndex(ctx, []byte("r")) },
			"ForgetLeader":      func() error { return h.ForgetLeader(ctx) },
			"Step": func() error {
				return h.Step(ctx, pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 9})
			},
			"TransferLeadership": func() error { h.TransferLeadership(ctx, 1, 2); return ctx.Err() },
		}
		results := make(chan error, len(calls))
		for _, call := range calls {
			call := call
			go func() { results <- call() }()
		}
		for i := 0; i < 1000; i++ {
			h.Tick()
		}
		cancel()
		for range calls {
			require.ErrorIs(t, <-results, context.Canceled)
		}
		h.store.open(g)
		h.until(func(st raft.Status) bool { return st.Applied == 3 })
	})
}

// A caller leaves when its context ends, also when its own call is what reads from the slow Storage:
// here the answer to a heartbeat makes the leader probe another member.
func TestCallerWhoseCallReadsSlowlyLeaves(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 3, opts...)
		h.mute = true
		require.NoError(t, h.Propose(context.Background(), []byte(large)))
		h.until(func(st raft.Status) bool { return st.Progress[1].Match == 3 })
		h.ReportUnreachable(3)
		g := h.store.close()
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan error, 1)
		go func() {
			left <- h.Step(ctx, pb.Message{Type: pb.MsgHeartbeatResp, From: 3, To: 1, Term: 2})
		}()
		<-g.entered
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		h.store.open(g)
	})
}

// slowTerms is a Storage whose Term waits until it is opened.
type slowTerms struct {
	*raft.MemoryStorage
	entered, opened chan struct{}
}

func (s *slowTerms) Term(i uint64) (uint64, error) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.opened
	return s.MemoryStorage.Term(i)
}

// Tick waits for nothing, also when it is the one that makes the member campaign, which reads Storage.
func TestTickDoesNotWaitForStorage(t *testing.T) {
	store := &slowTerms{raft.NewMemoryStorage(), make(chan struct{}, 1), make(chan struct{})}
	require.NoError(t, store.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{
		Index: 1, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}}}}))
	n := raft.RestartNode(testConfig(1, store))
	defer n.Stop()
	for i := 0; i < 10; i++ {
		n.Tick()
	}
	<-store.entered
	for i := 0; i < 1000; i++ {
		n.Tick()
	}
	close(store.opened)
}

// Ticks that come while the member is busy are made up for.
func TestTicksOfABusyNodeAreMadeUpFor(t *testing.T) {
	h := newLeaderHost(t, 3, checkQuorum)
	h.mute = true
	require.NoError(t, h.Propose(context.Background(), []byte(large)))
	h.handle(h.next())
	h.mute = false
	g := h.store.close()
	require.NoError(t, h.Step(context.Background(), pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: 3}))
	for entered := false; !entered; {
		select {
		case <-g.entered:
			entered = true
		case rd := <-h.Ready():
			h.handle(rd)
		}
	}
	for i := 0; i < 25; i++ { // more than two election timeouts without a word
		h.Tick()
	}
	h.store.open(g)
	require.Equal(t, raft.StateFollower, h.Status().RaftState)
}

// Who waits inside a Node that is stopped gets ErrStopped, also while Storage is slow.
func TestStopReleasesWhoWaits(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 1, opts...)
		g := h.offerCommitted(large)
		results := make(chan error, 2)
		go func() { results <- h.Propose(context.Background(), []byte("b")) }()
		go func() { results <- h.ReadIndex(context.Background(), []byte("b")) }()
		stopped := make(chan struct{})
		go func() { h.Stop(); close(stopped) }()
		require.ErrorIs(t, <-results, raft.ErrStopped)
		require.ErrorIs(t, <-results, raft.ErrStopped)
		h.store.open(g)
		<-stopped

		waiting := newNodeHost(t, 3, opts...)
		go func() { results <- waiting.Propose(context.Background(), []byte("no leader")) }()
		waiting.Stop()
		require.ErrorIs(t, <-results, raft.ErrStopped)
	})
}

// After Stop every method returns at once, with ErrStopped if it returns an error.
func TestStoppedNodeSaysSo(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		h := newLeaderHost(t, 1, opts...)
		h.Stop()
		h.Stop()
		ctx := context.Background()
		for name, err := range map[string]error{
			"Propose":           h.Propose(ctx, []byte("x")),
			"ProposeConfChange": h.ProposeConfChange(ctx, pb.ConfChange{NodeID: 2}),
			"Campaign":          h.Campaign(ctx),
			"Step":              h.Step(ctx, pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 9}),
			"Step proposal":     h.Step(ctx, pb.Message{Type: pb.MsgProp, Entries: []pb.Entry{{}}}),
			"ReadIndex":         h.ReadIndex(ctx, []byte("x")),
			"ForgetLeader":      h.ForgetLeader(ctx),
		} {
			require.ErrorIs(t, err, raft.ErrStopped, name)
		}
		h.Tick()
		h.Advance()
		h.TransferLeadership(ctx, 1, 2)
		h.ReportUnreachable(2)
		h.ReportSnapshot(2, raft.SnapshotFinish)
		require.Equal(t, raft.Status{}, h.Status())
		require.Equal(t, &pb.ConfState{}, h.ApplyConfChange(pb.ConfChange{NodeID: 2}))
	})
}

// A Node never delivers an empty Ready, also when Storage was compacted under an append that was due.
func TestNodeNeverDeliversAnEmptyReady(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		one := func(c *raft.Config) { c.MaxSizePerMsg, c.MaxCommittedSizePerReady, c.MaxInflightMsgs = 0, 1000, 1 }
		h := newLeaderHost(t, 5, append(opts, one)...)
		h.mute = true
		for i := 0; i < 3; i++ {
			require.NoError(t, h.Propose(context.Background(), []byte(large)))
		}
		h.until(func(st raft.Status) bool { return st.Progress[1].Match == 5 })

		// One more acknowledgement opens a window, but what is to be sent cannot be read.
		tried := make(chan struct{})
		var once sync.Once
		hook := func() error {
			once.Do(func() { close(tried) })
			return raft.ErrCompacted
		}
		h.store.hook.Store(&hook)
		require.NoError(t, h.Step(context.Background(),
			pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: 3}))
		for empty := false; !empty; {
			select {
			case <-tried:
				empty = true
			case rd := <-h.Ready():
				h.handle(rd)
			}
		}
		h.store.hook.Store(nil)
		h.Tick()
		for _, m := range h.next().Messages {
			require.Equal(t, pb.MsgHeartbeat, m.Type)
		}
	})
}

// With synchronous writes the next Ready comes after Advance; an Advance without a Ready is nothing.
func TestReadyWaitsForAdvance(t *testing.T) {
	h := newNodeHost(t, 1)
	h.Advance()
	h.Advance()
	require.NoError(t, h.Campaign(context.Background()))
	first := h.next()
	require.Equal(t, uint64(1), first.Vote)
	require.NoError(t, h.ReadIndex(context.Background(), []byte("r")))
	require.Equal(t, raft.StateCandidate, h.Status().RaftState, "its own vote counts when it is durable")
	select {
	case rd := <-h.Ready():
		t.Fatalf("before Advance came %+v", rd)
	default:
	}
	h.handle(first)
	require.Equal(t, raft.StateLeader, h.Status().RaftState)
	require.Equal(t, raft.StateLeader, h.next().SoftState.RaftState)
}

// An Advance too many confirms nothing that the host has not received: not its own vote, either.
func TestAdvanceDoesNotCountForWhatIsOnlyOnOffer(t *testing.T) {
	h := newNodeHost(t, 1)
	require.NoError(t, h.Campaign(context.Background()))
	for i := 0; i < 100; i++ {
		h.Advance()
		require.Equal(t, raft.StateCandidate, h.Status().RaftState)
	}
	h.handle(h.next())
	require.Equal(t, raft.StateLeader, h.Status().RaftState)
}

// With asynchronous writes Readys come without Advance, which does nothing.
func TestAsyncReadyDoesNotWaitForAdvance(t *testing.T) {
	h := newNodeHost(t, 1, async)
	require.NoError(t, h.Campaign(context.Background()))
	first := h.next()
	h.Advance()
	require.Equal(t, raft.StateCandidate, h.Status().RaftState)
	require.NoError(t, h.Step(context.Background(), pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 7}))
	second := h.next()
	require.Equal(t, raft.StateFollower, second.SoftState.RaftState)
	require.NotEmpty(t, first.Messages)
}

// No goroutine of a Node is left when Stop returns, whatever it was doing.
func TestStopLeavesNoGoroutine(t *testing.T) {
	before := nodeGoroutines()
	bothModes(t, func(t *testing.T, opts ...option) {
		var waiting sync.WaitGroup
		for i := 0; i < 10; i++ {
			idle := newNodeHost(t, 3, opts...)
			waiting.Add(1)
			go func() { defer waiting.Done(); _ = idle.Propose(context.Background(), nil) }()
			offering := newNodeHost(t, 1, opts...)
			require.NoError(t, offering.Campaign(context.Background()))
			leading := newLeaderHost(t, 3, opts...)
			leading.Tick()
			for _, h := range []*nodeHost{idle, offering, leading} {
				h.Stop()
			}
		}
		waiting.Wait()
	})
	// A goroutine says that it has ended a moment before it has.
	require.Eventually(t, func() bool { return nodeGoroutines() <= before }, 10*time.Second, time.Millisecond)
}

func nodeGoroutines() int {
	buf := make([]byte, 4<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "raft.(*node)")
}

// Removing this member makes proposals wait, and taking it back lets them go on.
func TestProposeWaitsAfterRemoval(t *testing.T) {
	h := newLeaderHost(t, 3)
	conf := h.ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 1})
	require.Equal(t, []uint64{2, 3}, conf.Voters)
	require.ErrorIs(t, h.Propose(canceled(), []byte("x")), context.Canceled)
	conf = h.ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 2})
	require.Equal(t, []uint64{3}, conf.Voters)
	require.ErrorIs(t, h.Propose(canceled(), []byte("x")), context.Canceled, "it is still removed")

	result := make(chan error, 1)
	go func() { result <- h.Propose(context.Background(), []byte("x")) }()
	h.ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: 1})
	require.NoError(t, <-result)
}

// A member that is not in the configuration yet, since it joins, may propose through the leader.
func TestMemberThatJoinsMayForwardProposals(t *testing.T) {
	store := raft.NewMemoryStorage()
	n := raft.RestartNode(testConfig(4, store))
	defer n.Stop()
	require.NoError(t, n.Step(context.Background(), pb.Message{Type: pb.MsgHeartbeat, From: 1, To: 4, Term: 2}))
	n.ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: 1})
	require.NoError(t, n.Propose(context.Background(), []byte("x")))
}

// Messages of the network that only this process may make are ignored, as are answers of strangers;
// what cannot be true is an error that says so (design 5).
func TestNodeStepRefusesWhatCannotBeTrue(t *testing.T) {
	h := newLeaderHost(t, 3)
	ctx := context.Background()
	before := h.Status()
	for typ := range pb.MessageType_name {
		if m := (pb.Message{Type: pb.MessageType(typ), From: 2, To: 1, Term: 99}); raft.IsLocalMsg(m.Type) {
			require.NoError(t, h.Step(ctx, m), m.Type)
		}
	}
	require.NoError(t, h.Step(ctx, pb.Message{Type: pb.MsgAppResp, From: 9, To: 1, Term: 99}))
	for _, m := range []pb.Message{
		{Type: 99, From: 2, To: 1, Term: 3},
		{Type: pb.MsgApp, From: 2, To: 1, Term: 3, Entries: []pb.Entry{{Index: 7, Term: 3}}},
		{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: 1000},
		{Type: pb.MsgProp, From: 2, To: 1},
	} {
		require.ErrorIs(t, h.Step(ctx, m), raft.ErrBadMessage, "%+v", m)
	}
	require.Equal(t, before.HardState, h.Status().HardState)
	require.Equal(t, raft.StateLeader, h.Status().RaftState)
}

// What a host reports reaches the leader.
func TestNodeTakesReports(t *testing.T) {
	h := newLeaderHost(t, 3)
	h.ReportUnreachable(2)
	require.Equal(t, tracker.StateProbe, h.Status().Progress[2].State)
	h.ReportSnapshot(3, raft.SnapshotFailure)
	require.Equal(t, tracker.StateReplicate, h.Status().Progress[3].State, "it was not sent one")
	h.TransferLeadership(context.Background(), 1, 3)
	require.Equal(t, uint64(3), h.Status().LeadTransferee)
	require.ErrorIs(t, h.Propose(context.Background(), []byte("x")), raft.ErrProposalDropped)
	sent := false
	for !sent {
		rd := h.next()
		for _, m := range rd.Messages {
			sent = sent || m.Type == pb.MsgTimeoutNow && m.To == 3
		}
		h.handle(rd)
	}
}

// A follower that forgets its leader makes proposals wait again.
func TestForgottenLeaderMakesProposeWait(t *testing.T) {
	h := newNodeHost(t, 3)
	ctx := context.Background()
	require.NoError(t, h.Step(ctx, pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 2}))
	require.NoError(t, h.Propose(ctx, []byte("x")))
	require.NoError(t, h.ForgetLeader(ctx))
	require.Zero(t, h.Status().Lead)
	require.ErrorIs(t, h.Propose(canceled(), []byte("x")), context.Canceled)
}

// A Storage that fails stops one member, and the process goes on: input is refused, no Ready comes, and
// the error has gone to OnStorageError, once.
func TestFailedStorageHaltsTheNode(t *testing.T) {
	bothModes(t, func(t *testing.T, opts ...option) {
		failures := make(chan error, 10)
		h := newLeaderHost(t, 1, append(opts, func(c *raft.Config) {
			c.OnStorageError = raft.StorageErrorFunc(func(err error) { failures <- err })
		})...)
		broken := errors.New("disk on fire")
		hook := func() error { return broken }
		require.NoError(t, h.Propose(context.Background(), []byte(large)))
		h.store.hook.Store(&hook)
		var err error
		for err == nil {
			select {
			case err = <-failures:
			case rd := <-h.Ready():
				require.Empty(t, rd.CommittedEntries)
				h.handle(rd)
			}
		}
		require.ErrorIs(t, err, broken)
		ctx := context.Background()
		require.ErrorIs(t, h.Propose(ctx, []byte("b")), raft.ErrHalted)
		require.ErrorIs(t, h.Campaign(ctx), raft.ErrHalted)
		require.ErrorIs(t, h.Step(ctx, pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 9}), raft.ErrHalted)
		h.Tick()
		h.Advance()
		select {
		case rd := <-h.Ready():
			t.Fatalf("a halted member gave %+v", rd)
		default:
		}
		require.Empty(t, failures)
	})
}

// The constructors panic if they cannot make a Node of what they are given; StartNode starts a group.
func TestStartNodeHandsOutItsVoters(t *testing.T) {
	require.Panics(t, func() { raft.StartNode(testConfig(1, raft.NewMemoryStorage()), nil) })
	require.Panics(t, func() { raft.StartNode(&raft.Config{}, []raft.Peer{{ID: 1}}) })
	require.Panics(t, func() { raft.RestartNode(&raft.Config{}) })

	store := &hookStorage{MemoryStorage: raft.NewMemoryStorage()}
	n := raft.StartNode(testConfig(1, store), []raft.Peer{{ID: 1, Context: []byte("here")}})
	defer n.Stop()
	h := &nodeHost{Node: n, t: t, store: store}
	rd := h.next()
	require.Len(t, rd.CommittedEntries, 1)
	require.Equal(t, pb.HardState{Term: 1, Commit: 1}, rd.HardState)
	var cc pb.ConfChange
	require.NoError(t, cc.Unmarshal(rd.CommittedEntries[0].Data))
	require.Equal(t, pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: 1, Context: []byte("here")}, cc)
	require.Equal(t, []uint64{1}, h.ApplyConfChange(cc).Voters)
	h.handle(rd)
	require.NoError(t, h.Campaign(context.Background()))
	h.until(func(st raft.Status) bool { return st.RaftState == raft.StateLeader && st.Applied == 2 })
}
