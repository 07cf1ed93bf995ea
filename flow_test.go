package raft_test

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// How fast a leader sends (thesis 10.2.1), and what leaves in one Ready.

func window(msgs int, bytes uint64) option {
	return func(c *raft.Config) {
		c.MaxInflightMsgs, c.MaxInflightBytes = msgs, bytes
		c.MaxSizePerMsg = min(c.MaxSizePerMsg, 1<<20)
		if bytes > 0 {
			c.MaxSizePerMsg = min(c.MaxSizePerMsg, bytes)
		}
	}
}

// A new leader probes: one append with entries, and no more before it is answered (thesis 10.2.1).
func TestNewLeaderProbesBeforeItStreams(t *testing.T) {
	g := newGroup(t, 3)
	require.NoError(t, g.get(1).Campaign())
	for _, m := range g.emit(1) {
		g.step(m)
	}
	g.step(g.emit(2)...)
	probe := sentTo(g.emit(1), 2)
	require.Equal(t, []pb.MessageType{pb.MsgApp}, types(probe))
	pr := g.progress(1, 2)
	require.Equal(t, tracker.StateProbe, pr.State)
	require.True(t, pr.IsPaused())
	require.Zero(t, pr.Match)

	g.propose(1, "a", "b")
	require.Empty(t, sentTo(g.emit(1), 2), "a probe is under way")
	g.step(probe...)
	g.step(g.emit(2)...)
	pr = g.progress(1, 2)
	require.Equal(t, tracker.StateReplicate, pr.State)
	require.Equal(t, uint64(2), pr.Match)
	stream := sentTo(only(g.emit(1), pb.MsgApp), 2)
	require.Equal(t, []string{"a", "b"}, dataOf(stream[len(stream)-1].Entries))
}

// A stream runs ahead of its acknowledgements: Next moves when an append leaves, Match when it is
// acknowledged. Until a Ready is taken, Status lags behind what was proposed.
func TestStreamRunsAheadOfAcknowledgements(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	for i := uint64(0); i < 5; i++ {
		g.propose(1, fmt.Sprint(i))
		require.Equal(t, 3+i, g.progress(1, 2).Next, "not emitted yet")
		appends := sentTo(only(g.emit(1), pb.MsgApp), 2)
		require.Len(t, appends, 1)
		require.Equal(t, 2+i, appends[0].Index)
		pr := g.progress(1, 2)
		require.Equal(t, 4+i, pr.Next)
		require.Equal(t, uint64(2), pr.Match)
		require.Equal(t, int(i)+1, pr.Inflights.Count())
	}
}

// No more appends are under way than MaxInflightMsgs; an acknowledgement makes room for those it covers
// (thesis 10.2.1).
func TestWindowLimitsAppendsByCount(t *testing.T) {
	for name, opt := range map[string]option{"merged": func(*raft.Config) {}, "eager": eager, "mirror": mirror} {
		opt := opt
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 2, window(3, 0), opt)
			g.elect(1)
			var sent []pb.Message
			for i := 0; i < 8; i++ {
				g.propose(1, fmt.Sprint(i))
				sent = append(sent, only(g.emit(1), pb.MsgApp)...)
			}
			require.Len(t, sent, 3)
			require.True(t, g.progress(1, 2).Inflights.Full())
			require.True(t, g.progress(1, 2).IsPaused())
			g.step(sent[0], sent[1])
			g.step(g.emit(2)...)
			require.LessOrEqual(t, g.progress(1, 2).Inflights.Count(), 3)
			g.settle()
			g.step(sent[2])
			g.settle()
			require.Zero(t, g.progress(1, 2).Inflights.Count())
			require.Len(t, g.requireSame(1, 2), 8)
		})
	}
}

// No more bytes are under way than MaxInflightBytes and the append that crosses it (thesis 10.2.1).
func TestWindowLimitsAppendsByBytes(t *testing.T) {
	g := newGroup(t, 2, window(256, 100))
	g.elect(1)
	sizes := []int{}
	for i := 0; i < 8; i++ {
		require.NoError(t, g.get(1).Propose(make([]byte, 40)))
		for _, m := range only(g.emit(1), pb.MsgApp) {
			if len(m.Entries) > 0 {
				sizes = append(sizes, len(m.Entries[0].Data))
			}
		}
	}
	require.Equal(t, []int{40, 40, 40}, sizes)
	require.True(t, g.progress(1, 2).Inflights.Full())
	require.NoError(t, g.get(1).Step(pb.Message{Type: pb.MsgAppResp, From: 2, To: 1, Term: 2, Index: 3}))
	require.Len(t, only(g.emit(1), pb.MsgApp), 1)
}

// One append carries at most MaxSizePerMsg, and at least one entry; zero means one entry each.
func TestAppendsAreLimitedInSize(t *testing.T) {
	for limit, want := range map[uint64]int{0: 6, 1: 6, 120: 3, 1 << 20: 1} {
		g := newGroup(t, 2, func(c *raft.Config) { c.MaxSizePerMsg = limit })
		g.elect(1)
		g.lose = func(pb.Message) bool { return true }
		for i := 0; i < 6; i++ {
			require.NoError(t, g.get(1).Propose(make([]byte, 40)))
		}
		require.Len(t, only(g.emit(1), pb.MsgApp), want, "limit %d", limit)
	}
}

// All appends of a full window are lost: the answer to a heartbeat brings the stream to life again.
func TestHeartbeatResumesAStalledStream(t *testing.T) {
	for name, opt := range map[string]option{"merged": func(*raft.Config) {}, "eager": eager} {
		opt := opt
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 2, window(2, 0), opt)
			g.elect(1)
			for i := 0; i < 5; i++ {
				g.propose(1, fmt.Sprint(i))
				g.emit(1)
			}
			require.True(t, g.progress(1, 2).IsPaused())
			g.ticks(1, 1)
			require.Len(t, g.requireSame(1, 2), 5)
			require.Equal(t, tracker.StateReplicate, g.progress(1, 2).State)
		})
	}
}

// A lost probe is sent again at the next heartbeat's answer, not earlier.
func TestHeartbeatResumesALostProbe(t *testing.T) {
	g := newGroup(t, 2)
	g.lose = func(m pb.Message) bool { return m.Type == pb.MsgApp }
	require.NoError(t, g.get(1).Campaign())
	g.settle()
	require.True(t, g.progress(1, 2).IsPaused())
	g.ticks(3, 1)
	require.Zero(t, g.progress(1, 2).Match)
	g.lose = nil
	g.ticks(1, 1)
	require.Equal(t, uint64(2), g.progress(1, 2).Match)
}

// A member that has everything and is reported unreachable streams again after a heartbeat, though there
// is nothing to send (B41).
func TestUnreachableMemberThatIsCaughtUpStreamsAgain(t *testing.T) {
	for name, opt := range map[string]option{"merged": func(*raft.Config) {}, "eager": eager, "mirror": mirror} {
		opt := opt
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3, opt)
			g.elect(1)
			g.commit(1, "x")
			g.get(1).ReportUnreachable(2)
			require.Equal(t, tracker.StateProbe, g.progress(1, 2).State)
			g.ticks(1, 1)
			require.Equal(t, tracker.StateReplicate, g.progress(1, 2).State)
		})
	}
}

// What was under way to an unreachable member is sent again.
func TestUnreachableMemberGetsWhatWasLost(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.propose(1, "lost")
	g.emit(1)
	g.get(1).ReportUnreachable(2)
	pr := g.progress(1, 2)
	require.Equal(t, pr.Match+1, pr.Next)
	require.Zero(t, pr.Inflights.Count())
	g.propose(1, "next")
	g.settle()
	g.ticks(1, 1)
	require.Equal(t, []string{"lost", "next"}, g.requireSame(1, 2, 3))
}

// A leader compacted its whole log, and knows nothing of a member: it needs no proposal to send the
// snapshot (B49).
func TestCompactedLeaderBringsAnUnknownMemberUp(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.isolate(3)
	g.commit(1, "a", "b", "c")
	g.compact(1)
	g.compact(2)
	g.heal()
	g.restart(3)
	g.elect(2)
	g.compact(2)
	g.ticks(2, 2)
	require.Equal(t, g.commitOf(2), g.commitOf(3))
	require.Equal(t, tracker.StateReplicate, g.progress(2, 3).State)
}

// ---- what leaves in one Ready

// HasReady says exactly whether Ready holds something, in any state that traffic leads to.
func TestHasReadyIsExact(t *testing.T) {
	for seed := int64(0); seed < 6; seed++ {
		for name, opts := range map[string][]option{"merged": nil, "eager": {eager}, "preVote": {preVote, checkQuorum}} {
			rng := rand.New(rand.NewSource(seed))
			chance := rand.New(rand.NewSource(-seed))
			g := newGroup(t, 3, append(opts, window(2, 0), func(c *raft.Config) { c.Rand = chance })...)
			for i := 0; i < 400; i++ {
				randomInput(g, rng)
				m := g.get(uint64(1 + rng.Intn(3)))
				if rng.Intn(2) == 0 {
					continue
				}
				has := m.HasReady()
				rd := g.ready(m.cfg.ID)
				require.Equal(t, has, !isEmpty(rd), "seed %d %s step %d: %+v", seed, name, i, rd)
				g.wire = append(g.wire, rd.Messages...)
			}
			g.settle()
			g.ticks(60, 1, 2, 3)
			g.ticks(60, 1, 2, 3)
			require.NotEqual(t, raft.None, g.leader(), "seed %d %s", seed, name)
			g.requireSame(1, 2, 3)
		}
	}
}

func randomInput(g *group, rng *rand.Rand) {
	m := g.get(uint64(1 + rng.Intn(3)))
	switch k := rng.Intn(100); {
	case k < 25:
		m.Tick()
	case k < 50:
		_ = m.Propose([]byte(fmt.Sprint(k)))
	case k < 52:
		_ = m.Campaign()
	case k < 54:
		m.ReportUnreachable(uint64(1 + rng.Intn(3)))
	case k < 57:
		m.ReadIndex([]byte("r"))
	case k < 58:
		m.TransferLeader(uint64(1 + rng.Intn(3)))
	default:
		for n := rng.Intn(4); n > 0 && len(g.wire) > 0; n-- {
			at := rng.Intn(len(g.wire))
			msg := g.wire[at]
			g.wire = append(g.wire[:at], g.wire[at+1:]...)
			if rng.Intn(10) > 0 {
				_ = g.get(msg.To).Step(overWire(g.t, msg))
			}
		}
	}
}

func isEmpty(rd raft.Ready) bool {
	return rd.SoftState == nil && raft.IsEmptyHardState(rd.HardState) && raft.IsEmptySnap(rd.Snapshot) &&
		len(rd.Entries)+len(rd.CommittedEntries)+len(rd.Messages)+len(rd.ReadStates) == 0
}

// Asking for the state changes nothing: HasReady and Status may be called at any time.
func TestAskingChangesNothing(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.propose(1, "x")
	m := g.get(1)
	before := m.Status()
	for i := 0; i < 5; i++ {
		require.True(t, m.HasReady())
		require.Equal(t, before, m.Status())
	}
	require.Len(t, only(g.emit(1), pb.MsgApp), 2)
}

// Each member gets its messages in the order of their causes: a heartbeat between two proposals stands
// between their appends, and what comes after it opens a new append.
func TestMessagesOfOneMemberKeepTheirOrder(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.propose(1, "a", "b")
	g.get(1).Tick()
	g.propose(1, "c", "d")
	msgs := sentTo(g.ready(1).Messages, 2)
	require.Equal(t, pb.MsgApp, msgs[0].Type)
	require.Equal(t, pb.MsgHeartbeat, msgs[1].Type)
	require.Equal(t, []string{"a", "b", "c", "d"}, dataOf(msgs[0].Entries), "all that was proposed by then")
	require.Len(t, msgs, 2, "the second append would only repeat the first")
}

// Heartbeats that leave in one Ready are one, with the newest read number; so are appends that only
// bring a commit index, and acknowledgements to the leader.
func TestOneReadyHoldsNoRepetitions(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	for i := 0; i < 3; i++ {
		g.get(1).ReadIndex([]byte{byte(i)})
		g.get(1).Tick()
	}
	beats := sentTo(only(g.emit(1), pb.MsgHeartbeat), 2)
	require.Len(t, beats, 1)
	require.Equal(t, []byte{3, 0, 0, 0, 0, 0, 0, 0}, beats[0].Context)

	var appends []pb.Message
	for i := 0; i < 4; i++ {
		g.propose(1, fmt.Sprint(i))
		appends = append(appends, sentTo(only(g.emit(1), pb.MsgApp), 2)...)
	}
	require.Len(t, appends, 4)
	g.step(appends...)
	answers := only(g.emit(2), pb.MsgAppResp)
	require.Len(t, answers, 1)
	require.Equal(t, uint64(6), answers[0].Index)
}

// Acknowledgements of appends never merge over a refusal (thesis 3.5: a refusal names a place).
func TestAcknowledgementsDoNotMergeOverARefusal(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	app := pb.Message{Type: pb.MsgApp, From: 1, To: 2, Term: 2, Index: 2, LogTerm: 2}
	one, gap, two := app, app, app
	one.Entries = ents(3, 2)
	gap.Index = 50
	two.Index, two.Entries = 3, ents(4, 2)
	g.step(one, gap, two)
	answers := g.emit(2)
	require.Len(t, answers, 3)
	require.Equal(t, []bool{false, true, false}, []bool{answers[0].Reject, answers[1].Reject, answers[2].Reject})
	require.Equal(t, []uint64{3, 50, 4}, []uint64{answers[0].Index, answers[1].Index, answers[2].Index})
}

// EagerAppends stops all merging: appends, heartbeats and acknowledgements are counted one by one.
func TestEagerAppendsMergeNothing(t *testing.T) {
	g := newGroup(t, 3, eager)
	g.elect(1)
	g.propose(1, "a", "b", "c")
	g.get(1).Tick()
	g.get(1).Tick()
	msgs := sentTo(g.emit(1), 2)
	require.Equal(t, []pb.MessageType{pb.MsgApp, pb.MsgApp, pb.MsgApp, pb.MsgHeartbeat, pb.MsgHeartbeat}, types(msgs))
	for i, m := range msgs[:3] {
		require.Equal(t, []string{string(rune('a' + i))}, dataOf(m.Entries))
	}
	g.step(msgs...)
	require.Equal(t, []pb.MessageType{pb.MsgAppResp, pb.MsgAppResp, pb.MsgAppResp, pb.MsgHeartbeatResp, pb.MsgHeartbeatResp},
		sortedTypes(g.emit(2)))
}

func sortedTypes(msgs []pb.Message) []pb.MessageType {
	return append(types(only(msgs, pb.MsgAppResp)), types(only(msgs, pb.MsgHeartbeatResp))...)
}

// What was marked and not yet emitted dies with the leadership.
func TestMarkedAppendsDieWithTheLeadership(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.propose(1, "never sent")
	g.get(1).Tick()
	g.step(pb.Message{Type: pb.MsgHeartbeat, From: 2, To: 1, Term: 9})
	msgs := g.emit(1)
	require.Empty(t, only(msgs, pb.MsgApp))
	require.Empty(t, only(msgs, pb.MsgHeartbeat))
	require.Len(t, only(msgs, pb.MsgHeartbeatResp), 1)
}

// What was marked for a member that is removed before it is emitted is not sent; the others get theirs.
func TestMarkedAppendsDieWithTheMember(t *testing.T) {
	g := newGroup(t, 4)
	g.elect(1)
	g.propose(1, "x")
	g.get(1).ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 3})
	msgs := g.emit(1)
	require.Empty(t, sentTo(msgs, 3))
	require.Len(t, sentTo(msgs, 2), 1)
	require.Len(t, sentTo(msgs, 4), 1)
}

// Who joins between the mark and its emission is not meant by it.
func TestMarksAreNotForWhoJoinsLater(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.get(1).Tick()
	g.get(1).ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeAddNode, NodeID: 4})
	beats := only(g.emit(1), pb.MsgHeartbeat)
	require.Len(t, sentTo(beats, 2), 1)
	require.Len(t, sentTo(beats, 3), 1)
	require.Empty(t, sentTo(beats, 4))
}

// A mark that dies with its member leaves nothing to do: HasReady stays exact.
func TestMarksOfARemovedMemberAreNoReady(t *testing.T) {
	g := newGroupOf(t, pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}})
	g.elect(1)
	g.get(1).Tick()
	require.True(t, g.get(1).HasReady(), "a heartbeat for the learner")
	g.get(1).ApplyConfChange(pb.ConfChange{Type: pb.ConfChangeRemoveNode, NodeID: 2})
	require.False(t, g.get(1).HasReady())
}

// The log is compacted between the mark of an append and its emission: the append is dropped, nothing
// breaks, and the next heartbeat's answer brings a snapshot.
func TestCompactionBetweenMarkAndEmission(t *testing.T) {
	g := newGroup(t, 3, window(2, 0))
	g.elect(1)
	var held []pb.Message
	g.lose = func(m pb.Message) bool {
		if m.From == 3 {
			held = append(held, m)
		}
		return m.From == 3
	}
	g.commit(1, "a", "b", "c", "d")
	g.lose = nil
	require.True(t, g.progress(1, 3).Inflights.Full())
	g.step(held...) // the window is free again, and appends are marked
	require.True(t, g.get(1).HasReady())
	g.compact(1)
	require.Empty(t, sentTo(only(g.emit(1), pb.MsgApp), 3))
	g.ticks(2, 1)
	g.commit(1, "e")
	require.Equal(t, g.commitOf(1), g.commitOf(3))
	require.Equal(t, []string{"a", "b", "e"}, g.get(3).values(), "the rest came with the snapshot")
}

// Entries that are handed out are the host's to read: what it appends to a slice does not reach the log,
// a message or another Ready (B43).
func TestHostMayAppendToWhatItWasGiven(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	m := g.get(1)
	poison := pb.Entry{Term: 99, Index: 99, Data: []byte("poison")}
	for i := 0; i < 40; i++ {
		g.propose(1, fmt.Sprint(i))
		rd := m.Ready()
		g.save(m, rd.HardState, append([]pb.Entry(nil), rd.Entries...), rd.Snapshot)
		_ = append(rd.Entries, poison, poison)
		_ = append(rd.CommittedEntries, poison, poison)
		for k := range rd.Messages {
			g.wire = append(g.wire, overWire(t, rd.Messages[k]))
			_ = append(rd.Messages[k].Entries, poison, poison)
		}
		_ = append(rd.Messages, pb.Message{Type: pb.MsgTimeoutNow})
		g.apply(m, rd.CommittedEntries)
		m.Advance(rd)
		if i%3 == 0 {
			g.deliver()
		}
	}
	g.settle()
	g.ticks(2, 1)
	require.Len(t, g.requireSame(1, 2, 3), 40)
	for id := uint64(1); id <= 3; id++ {
		require.NotContains(t, g.get(id).values(), "poison")
	}
}
