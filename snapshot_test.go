package raft_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// Snapshots between members (thesis 5).

// behind returns a group in which 3 needs entries that the leader, 1, does not have any more. The
// leader's snapshot for it is on the wire, and returned.
func behind(t *testing.T, opts ...option) (*group, pb.Message) {
	t.Helper()
	g := newGroup(t, 3, opts...)
	g.elect(1)
	g.isolate(3)
	g.commit(1, "a", "b", "c")
	g.compact(1)
	g.commit(1, "d")
	g.heal()
	// 3 was away for so long that its stream was given up.
	g.get(1).ReportUnreachable(3)
	g.get(1).Tick()
	g.step(sentTo(only(g.emit(1), pb.MsgHeartbeat), 3)...)
	g.step(g.emit(3)...)
	snaps := only(g.emit(1), pb.MsgSnap)
	require.Len(t, snaps, 1)
	require.Equal(t, uint64(3), snaps[0].To)
	return g, snaps[0]
}

// A member that needs what was compacted gets the snapshot, and nothing else until it has answered
// (thesis 5).
func TestSnapshotIsSentWhenTheLogNoLongerReachesBack(t *testing.T) {
	g, snap := behind(t)
	require.Equal(t, uint64(5), snap.Snapshot.Metadata.Index)
	require.Equal(t, []byte("state at 5"), snap.Snapshot.Data)
	pr := g.progress(1, 3)
	require.Equal(t, tracker.StateSnapshot, pr.State)
	require.Equal(t, uint64(5), pr.PendingSnapshot)
	require.True(t, pr.IsPaused())
	g.propose(1, "meanwhile")
	g.get(1).Tick()
	require.Equal(t, []pb.MessageType{pb.MsgHeartbeat}, types(sentTo(g.emit(1), 3)))
}

// A received snapshot is saved before it is acknowledged, replaces log and membership, and the
// acknowledgement alone makes the leader stream from there (thesis 5, 3.8).
func TestSnapshotIsSavedThenAcknowledged(t *testing.T) {
	for name, opts := range map[string][]option{"sync": nil, "async": {async}} {
		opts := opts
		t.Run(name, func(t *testing.T) {
			g, snap := behind(t, opts...)
			g.step(snap)
			m := g.get(3)
			if len(opts) == 0 {
				rd := m.Ready()
				require.Equal(t, *snap.Snapshot, rd.Snapshot)
				require.Equal(t, uint64(5), rd.HardState.Commit)
				require.Empty(t, rd.CommittedEntries)
				require.Equal(t, []pb.MessageType{pb.MsgAppResp}, types(rd.Messages))
				require.Equal(t, uint64(5), rd.Messages[0].Index)
				g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
				require.Less(t, m.BasicStatus().Applied, uint64(5))
				m.Advance(rd)
				g.step(rd.Messages...)
			} else {
				s := g.slow(3)
				require.Empty(t, s.gather(), "nothing leaves before it is saved")
				require.Len(t, s.writes, 1)
				require.Equal(t, snap.Snapshot, s.writes[0].Snapshot)
				require.Less(t, m.BasicStatus().Applied, uint64(5))
				responses := s.write()
				require.Equal(t, []pb.MessageType{pb.MsgAppResp, pb.MsgStorageAppendResp}, types(responses))
				g.respond(m, responses)
				g.deliver()
			}
			require.Equal(t, uint64(5), m.BasicStatus().Applied)
			pr := g.progress(1, 3)
			require.Equal(t, tracker.StateReplicate, pr.State)
			require.Equal(t, uint64(5), pr.Match)
			g.settle()
			require.Equal(t, []string{"d"}, m.values())
		})
	}
}

// ReportSnapshot(finish) makes the leader probe behind the snapshot, but only when it hears of the member
// again; ReportSnapshot(failure) makes it start from what was acknowledged.
func TestReportedSnapshotIsProbed(t *testing.T) {
	for _, c := range []struct {
		status raft.SnapshotStatus
		next   uint64
	}{{raft.SnapshotFinish, 6}, {raft.SnapshotFailure, 3}} {
		g, _ := behind(t)
		g.get(1).ReportSnapshot(3, c.status)
		pr := g.progress(1, 3)
		require.Equal(t, tracker.StateProbe, pr.State)
		require.Equal(t, c.next, pr.Next)
		require.Zero(t, pr.PendingSnapshot)
		require.True(t, pr.IsPaused())
		require.Empty(t, sentTo(only(g.emit(1), pb.MsgApp), 3))
		// Whatever was reported, the member comes up in the end.
		g.ticks(4, 1)
		require.Equal(t, g.commitOf(1), g.commitOf(3))
		require.Equal(t, tracker.StateReplicate, g.progress(1, 3).State)
	}
}

// A report on a member that no snapshot was sent to means nothing.
func TestReportWithoutASnapshotMeansNothing(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	before := g.get(1).Status()
	for _, status := range []raft.SnapshotStatus{raft.SnapshotFinish, raft.SnapshotFailure, raft.SnapshotInProgress, 77} {
		for _, id := range []uint64{0, 1, 2, 9} {
			g.get(1).ReportSnapshot(id, status)
			g.get(2).ReportSnapshot(id, status)
		}
	}
	require.Equal(t, before, g.get(1).Status())
}

// Any acknowledgement that reconnects the member with the leader's log ends the wait, also one of another
// snapshot than the one that was sent.
func TestAnySnapshotThatReconnectsTheLogIsTaken(t *testing.T) {
	g, _ := behind(t)
	m := g.get(1)
	g.commit(1, "e", "f")
	last := m.BasicStatus().Applied
	term, err := m.store.Term(last)
	require.NoError(t, err)
	// The host fetched a newer one by itself, from 2 say.
	newer := pb.Message{Type: pb.MsgSnap, From: 1, To: 3, Term: 2, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: last, Term: term, ConfState: m.conf}}}
	g.step(newer)
	g.settle()
	require.Equal(t, tracker.StateReplicate, g.progress(1, 3).State)
	require.Equal(t, last, g.progress(1, 3).Match)
	g.commit(1, "g")
	require.Equal(t, []string{"g"}, g.get(3).values())
}

// An acknowledgement that does not reach the leader's log leaves the wait as it is.
func TestAckBelowTheLogDoesNotEndTheWait(t *testing.T) {
	g, _ := behind(t)
	g.step(pb.Message{Type: pb.MsgAppResp, From: 3, To: 1, Term: 2, Index: 3})
	require.Equal(t, tracker.StateSnapshot, g.progress(1, 3).State)
	require.Equal(t, uint64(3), g.progress(1, 3).Match)
}

// A snapshot that nobody answers is given up after SnapshotTimeout, with an event, and the member is
// probed; each further one waits twice as long, until one is answered (D7, B68).
func TestUnansweredSnapshotIsGivenUp(t *testing.T) {
	g, _ := behind(t, func(c *raft.Config) { c.SnapshotTimeout = 30 })
	g.lose = func(m pb.Message) bool { return m.Type == pb.MsgSnap }
	var ticks []int
	for waited := 0; len(ticks) < 3; {
		require.Less(t, waited, 200)
		g.ticks(1, 1)
		waited++
		if given := giveUps(g.get(1)); len(given) > len(ticks) {
			last := given[len(given)-1]
			require.Equal(t, uint64(3), last.To)
			require.Equal(t, uint64(5), last.Index)
			require.InDelta(t, last.Ticks, waited, 2, "ticks until it was given up")
			ticks = append(ticks, last.Ticks)
			waited = 0
		}
	}
	require.Equal(t, []int{30, 60, 120}, ticks)

	g.lose = nil
	g.ticks(250, 1)
	require.Equal(t, g.commitOf(1), g.commitOf(3))

	// One that was answered: the next starts with the first patience again.
	g.isolate(3)
	g.commit(1, "e", "f")
	g.compact(1)
	g.heal()
	g.get(1).ReportUnreachable(3)
	g.lose = func(m pb.Message) bool { return m.Type == pb.MsgSnap }
	g.ticks(40, 1)
	given := giveUps(g.get(1))
	require.Equal(t, 30, given[len(given)-1].Ticks)
}

func giveUps(m *member) []raft.SnapshotGivenUp {
	var out []raft.SnapshotGivenUp
	for _, e := range m.events {
		if s, ok := e.(raft.SnapshotGivenUp); ok {
			out = append(out, s)
		}
	}
	return out
}

// The default patience is fifty election timeouts; SnapshotInProgress starts it again; a negative one
// lasts for ever, as does v3.6.0's (D7).
func TestSnapshotPatience(t *testing.T) {
	for name, c := range map[string]struct {
		opt      option
		progress bool
		after    int // ticks to the first event; 0: none in 2000
	}{
		"default":     {func(*raft.Config) {}, false, 500},
		"in progress": {func(*raft.Config) {}, true, 900},
		"negative":    {func(c *raft.Config) { c.SnapshotTimeout = -1 }, false, 0},
		"mirror":      {mirror, false, 0},
	} {
		g, _ := behind(t, c.opt)
		g.lose = func(m pb.Message) bool { return m.Type == pb.MsgSnap }
		after := 0
		for i := 1; i <= 2000 && after == 0; i++ {
			if c.progress && i == 401 {
				g.get(1).ReportSnapshot(3, raft.SnapshotInProgress)
			}
			g.get(1).Tick()
			if i%10 == 0 {
				g.settle()
			}
			if len(giveUps(g.get(1))) > 0 {
				after = i
			}
		}
		require.Equal(t, c.after, after, name)
	}
}

// A member that was not heard from gets no snapshot: it would only be lost.
func TestSilentMemberGetsNoSnapshot(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.isolate(3)
	g.commit(1, "a", "b")
	g.compact(1)
	g.compact(2)
	g.elect(2) // knows nothing of 3
	g.ticks(5, 2)
	require.Empty(t, only(g.emit(2), pb.MsgSnap))
	require.Equal(t, tracker.StateProbe, g.progress(2, 3).State)
	g.heal()
	g.ticks(3, 2)
	require.Equal(t, g.commitOf(2), g.commitOf(3))
}

// Storage that has no snapshot ready is asked again at the next answer to a heartbeat.
func TestSnapshotThatIsNotReadyIsAskedForAgain(t *testing.T) {
	g := newGroup(t, 3)
	disk := g.breakable(1)
	g.elect(1)
	g.isolate(3)
	g.commit(1, "a", "b")
	g.compact(1)
	g.heal()
	disk.snapshot = raft.ErrSnapshotTemporarilyUnavailable
	g.get(1).ReportUnreachable(3)
	g.ticks(3, 1)
	require.Equal(t, tracker.StateProbe, g.progress(1, 3).State)
	require.Less(t, g.commitOf(3), g.commitOf(1))
	disk.snapshot = nil
	g.ticks(2, 1)
	require.Equal(t, g.commitOf(1), g.commitOf(3))
}

// A snapshot that is not ahead of what is committed here is answered with that, and changes nothing; one
// with another term at a committed index least of all (B70).
func TestOldOrContradictorySnapshotChangesNothing(t *testing.T) {
	for _, meta := range []pb.SnapshotMetadata{
		{Index: 1, Term: 1}, {Index: 3, Term: 2}, {Index: 4, Term: 2}, // old
		{Index: 3, Term: 1}, {Index: 4, Term: 3}, // contradicts
	} {
		g := newGroup(t, 3)
		g.elect(1)
		g.commit(1, "a", "b")
		m := g.get(2)
		before, log := m.Status(), m.entries()
		meta.ConfState = pb.ConfState{Voters: []uint64{2, 7}}
		_ = m.Step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 3, Snapshot: &pb.Snapshot{Metadata: meta}})
		after := m.Status()
		require.Equal(t, before.Commit, after.Commit)
		require.Equal(t, before.Applied, after.Applied)
		require.Equal(t, before.Config, after.Config)
		for _, answer := range g.emit(2) {
			require.Equal(t, uint64(4), answer.Index)
			require.False(t, answer.Reject)
		}
		require.Equal(t, log, m.entries())
		require.Equal(t, []string{"a", "b"}, m.values())
	}
}

// A snapshot whose last entry is in the log already only shows that it is committed: the log stays.
func TestSnapshotOfWhatIsHereOnlyCommits(t *testing.T) {
	g := newGroup(t, 3)
	g.withLog(2, []uint64{2, 2, 2})
	conf := g.get(2).conf
	g.step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 3, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 3, Term: 2, ConfState: conf}}})
	rd := g.ready(2)
	require.True(t, raft.IsEmptySnap(rd.Snapshot))
	require.Len(t, rd.CommittedEntries, 2)
	require.Equal(t, uint64(3), rd.Messages[0].Index)
	require.Len(t, g.get(2).entries(), 3)
}

// A snapshot drops a log that conflicts with it, the whole of it (thesis 5).
func TestSnapshotReplacesAConflictingLog(t *testing.T) {
	g := newGroup(t, 3)
	g.withLog(2, []uint64{2, 2, 2, 2, 2})
	g.step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 3, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 4, Term: 3, ConfState: g.get(2).conf}}})
	answers := g.emit(2)
	require.Equal(t, uint64(4), answers[0].Index)
	require.Empty(t, g.get(2).entries())
	require.Equal(t, uint64(4), g.commitOf(2))
}

// The configuration is the snapshot's, whatever was applied or waits in the log that it replaces (B71).
func TestSnapshotResetsTheConfiguration(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	require.NoError(t, g.change(1, "l4", auto))
	g.settle()
	require.Equal(t, "voters=(1 2 3) learners=(4)", conf(g, 2))
	g.step(pb.Message{Type: pb.MsgSnap, From: 3, To: 2, Term: 9, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 40, Term: 8, ConfState: pb.ConfState{
			Voters: []uint64{2, 3}, VotersOutgoing: []uint64{1, 2, 3}, LearnersNext: []uint64{1}, AutoLeave: true}}}})
	require.Equal(t, "voters=(2 3)&&(1 2 3) learners_next=(1) autoleave", conf(g, 2))
	g.emit(2)
	g.restart(2)
	require.Equal(t, "voters=(2 3)&&(1 2 3) learners_next=(1) autoleave", conf(g, 2))
}

// A snapshot that does not name this member is not for it.
func TestSnapshotThatDoesNotNameTheMemberIsIgnored(t *testing.T) {
	g := newGroup(t, 3)
	g.step(pb.Message{Type: pb.MsgSnap, From: 1, To: 2, Term: 3, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 40, Term: 2, ConfState: pb.ConfState{Voters: []uint64{1, 3}}}}})
	answers := g.emit(2)
	require.Len(t, answers, 1)
	require.Equal(t, uint64(1), answers[0].Index)
	require.Equal(t, uint64(1), g.commitOf(2))
}

// A member that installs a snapshot does not campaign, however long that takes: it keeps following, and
// is done when the snapshot is on disk (B72, B19).
func TestSlowInstallDoesNotCampaign(t *testing.T) {
	g, snap := behind(t, async)
	s := g.slow(3)
	g.step(snap)
	s.gather()
	for i := 0; i < 60; i++ { // the write takes its time, and there is no heartbeat even
		s.Tick()
	}
	require.Equal(t, raft.StateFollower, state(g, 3), "it may not lead without its log")
	require.Equal(t, uint64(2), term(g, 3))
	require.Len(t, s.writes, 1)
	g.respond(s.member, s.write())
	g.settle()
	require.Equal(t, g.commitOf(1), g.commitOf(3))
}

// The same snapshot twice, or an older one after a newer, is installed once (B72).
func TestRepeatedSnapshotIsInstalledOnce(t *testing.T) {
	g, snap := behind(t)
	installed := 0
	for i := 0; i < 3; i++ {
		g.step(snap)
		rd := g.ready(3)
		g.wire = append(g.wire, rd.Messages...)
		if !raft.IsEmptySnap(rd.Snapshot) {
			installed++
		}
	}
	require.Equal(t, 1, installed)
	g.settle()
	require.Equal(t, g.commitOf(1), g.commitOf(3))
}

// While a snapshot waits to be saved, appends behind it are taken, and a newer snapshot replaces it; what
// is applied starts behind the last of them.
func TestAppendsBehindASnapshotThatIsNotSavedYet(t *testing.T) {
	g, snap := behind(t, async)
	s := g.slow(3)
	g.step(snap)
	s.gather()
	g.step(pb.Message{Type: pb.MsgApp, From: 1, To: 3, Term: 2, Index: 5, LogTerm: 2,
		Entries: []pb.Entry{{Term: 2, Index: 6, Data: []byte("d")}}, Commit: 6})
	s.gather()
	require.Len(t, s.writes, 2)
	require.Empty(t, s.jobs, "nothing is applied over a state that is not there yet")
	s.finish()
	require.Equal(t, []string{"d"}, s.values())
	require.Equal(t, uint64(6), s.BasicStatus().Applied)
}

// A leader that meets the snapshot of a leader of a later term follows it; a candidate that meets one of
// its own term too (B19).
func TestCandidateThatMeetsASnapshotFollows(t *testing.T) {
	g := newGroup(t, 3)
	require.NoError(t, g.get(3).Campaign())
	g.emit(3)
	require.Equal(t, raft.StateCandidate, state(g, 3))
	g.step(pb.Message{Type: pb.MsgSnap, From: 1, To: 3, Term: 2, Snapshot: &pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 7, Term: 2, ConfState: g.get(3).conf}}})
	require.Equal(t, raft.StateFollower, state(g, 3))
	g.emit(3)
	require.Equal(t, uint64(7), g.commitOf(3))
}
