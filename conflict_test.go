package raft_test

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// How a leader finds where a follower's log agrees with its own, and what a follower does about an
// append (thesis 3.5).

func ents(first uint64, terms ...uint64) []pb.Entry {
	var out []pb.Entry
	for i, term := range terms {
		out = append(out, pb.Entry{Term: term, Index: first + uint64(i), Data: []byte(fmt.Sprint(term))})
	}
	return out
}

// A leader whose log parts from a follower's finds the place by whole terms: it asks at most once for
// each term of the two logs, however long the tails are (B51, thesis 3.5 last paragraph).
func TestProbesAreNoMoreThanTerms(t *testing.T) {
	for seed := int64(0); seed < 60; seed++ {
		rng := rand.New(rand.NewSource(seed))
		ofLeader, ofFollower, _ := twoLogs(rng, 12+int(seed))
		if lastTerm(ofLeader) < lastTerm(ofFollower) {
			ofLeader, ofFollower = ofFollower, ofLeader
		}
		g := newGroup(t, 3)
		g.withLog(1, append(ofLeader, lastTerm(ofLeader)+1))
		g.withLog(2, ofFollower)
		g.withLog(3, append(ofLeader, lastTerm(ofLeader)+1))
		refusals := 0
		g.lose = func(m pb.Message) bool {
			if m.Type == pb.MsgAppResp && m.From == 2 && m.Reject {
				refusals++
			}
			return false
		}
		g.elect(1)
		limit := min(distinct(ofLeader), distinct(ofFollower)) + 1
		require.LessOrEqual(t, refusals, limit, "seed %d: %v against %v", seed, ofFollower, ofLeader)
		require.Equal(t, g.get(1).terms(), g.get(2).terms(), "seed %d", seed)
		g.requireSame(1, 2, 3)
	}
}

// A long tail of one term costs one refusal, not one for each entry (B51).
func TestLongTailOfOneTermIsOneRefusal(t *testing.T) {
	for name, c := range map[string]struct{ leader, follower []uint64 }{
		"at the follower": {[]uint64{1, 1, 5}, append([]uint64{1, 1}, repeat(2, 500)...)},
		"at the leader":   {append([]uint64{1, 1}, repeat(5, 500)...), []uint64{1, 1, 2, 2}},
		"at both":         {append([]uint64{1, 1}, repeat(5, 500)...), append([]uint64{1, 1}, repeat(2, 400)...)},
		"only missing":    {append([]uint64{1, 1}, repeat(5, 500)...), []uint64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 2)
			g.withLog(1, c.leader)
			g.withLog(2, c.follower)
			refusals := 0
			g.lose = func(m pb.Message) bool {
				if m.Type == pb.MsgAppResp && m.Reject {
					refusals++
				}
				return false
			}
			require.NoError(t, g.get(1).Campaign())
			g.settle()
			require.Equal(t, raft.StateLeader, state(g, 1))
			require.LessOrEqual(t, refusals, 2)
			require.Equal(t, g.get(1).terms(), g.get(2).terms())
		})
	}
}

// A search that has gone back by many terms goes on by doubling steps, so that it does not take a round trip
// for each of very many terms; with Mirror36 it does (D21). It sends no snapshot of what the log still holds.
func TestLongSearchGoesBackByDoublingSteps(t *testing.T) {
	const runs = 300
	ofLeader, ofFollower := repeat(1, 5), repeat(1, 5)
	for term := uint64(2); term < 2*runs; term += 2 {
		ofFollower = append(ofFollower, term)
		ofLeader = append(ofLeader, term+1)
	}
	search := func(compacted uint64, opts ...option) (refusals int) {
		g := newGroup(t, 3)
		g.withLog(1, append(ofLeader, 2*runs), opts...)
		g.withLog(2, ofFollower, opts...)
		g.withLog(3, append(ofLeader, 2*runs), opts...)
		g.isolate(2)
		g.elect(1)
		if compacted > 0 {
			require.NoError(t, g.get(1).store.Compact(compacted))
		}
		g.lose = func(m pb.Message) bool {
			if m.Type == pb.MsgAppResp && m.Reject {
				refusals++
			}
			require.NotEqual(t, pb.MsgSnap, m.Type)
			return false
		}
		g.heal()
		g.ticks(2, 1)
		want, got := g.get(1).terms(), g.get(2).terms()
		require.Equal(t, want, got[len(got)-len(want):])
		return refusals
	}
	require.Less(t, search(0), 20)
	require.Less(t, search(6), 20, "compacted up to where the logs part")
	require.Greater(t, search(0, mirror), runs-10)
}

func repeat(term uint64, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = term
	}
	return out
}

// twoLogs returns logs that agree on their first entries and then part: no term is in both tails, since
// a term has one leader.
func twoLogs(rng *rand.Rand, runs int) (one, two []uint64, common int) {
	start := randomTerms(rng, 1, 1, 4)
	next := lastTerm(start) + 1
	one = append(append(one, start...), randomTerms(rng, next, 2, runs)...)
	two = append(append(two, start...), randomTerms(rng, next+1, 2, runs)...)
	return one, two, len(start)
}

func randomTerms(rng *rand.Rand, from, stride uint64, runs int) []uint64 {
	var out []uint64
	term := from
	for n := 1 + rng.Intn(runs); n > 0; n-- {
		out = append(out, repeat(term, 1+rng.Intn(6))...)
		term += stride * (1 + uint64(rng.Intn(3)))
	}
	return out
}

func lastTerm(terms []uint64) uint64 { return terms[len(terms)-1] }

func distinct(terms []uint64) int {
	seen := map[uint64]bool{}
	for _, term := range terms {
		seen[term] = true
	}
	return len(seen)
}

// A follower that catches up over many appends commits and applies with each of them, not only when it
// has everything (B51).
func TestCommitAdvancesWhileCatchingUp(t *testing.T) {
	g := newGroup(t, 3)
	for id := uint64(1); id <= 3; id++ {
		g.restart(id, func(c *raft.Config) { c.MaxSizePerMsg = 200 })
	}
	g.elect(1)
	g.isolate(3)
	for i := 0; i < 50; i++ {
		g.commit(1, fmt.Sprintf("value %d", i))
	}
	g.heal()
	g.get(1).Tick()
	appends := 0
	for round := 0; round < 200; round++ {
		for _, m := range append(g.emit(1), g.emit(3)...) {
			g.step(m)
			if m.Type != pb.MsgApp || m.To != 3 || len(m.Entries) == 0 {
				continue
			}
			appends++
			g.wire = append(g.wire, g.emit(3)...)
			end := m.Entries[len(m.Entries)-1].Index
			require.Equal(t, min(end, m.Commit), g.commitOf(3))
			require.Equal(t, min(end, m.Commit), g.get(3).BasicStatus().Applied)
		}
		g.deliver()
	}
	require.GreaterOrEqual(t, appends, 5)
	g.settle()
	g.requireSame(1, 2, 3)
}

// What an append does to a log: entries that are there stay, whatever follows them, and a conflict
// drops the rest. The answer names the last entry of the append and nothing beyond (B39, B53; thesis
// Figure 3.1, AppendEntries 3 and 4).
func TestAppendKeepsWhatAgreesAndDropsWhatConflicts(t *testing.T) {
	log := []uint64{1, 2, 2, 3, 3} // indexes 2 to 6
	for name, c := range map[string]struct {
		prev  uint64
		terms []uint64
		want  []uint64
		ack   uint64
	}{
		"empty at the end":             {6, nil, log, 6},
		"empty in the middle":          {3, nil, log, 3},
		"empty at the start":           {1, nil, log, 1},
		"all known":                    {1, []uint64{1, 2, 2, 3, 3}, log, 6},
		"known and short":              {2, []uint64{2, 2}, log, 4},
		"known, then new":              {4, []uint64{3, 3, 4, 5}, []uint64{1, 2, 2, 3, 3, 4, 5}, 8},
		"new":                          {6, []uint64{5}, []uint64{1, 2, 2, 3, 3, 5}, 7},
		"conflict at the first":        {1, []uint64{4}, []uint64{4}, 2},
		"conflict at the last":         {4, []uint64{3, 4}, []uint64{1, 2, 2, 3, 4}, 6},
		"known, then conflict, longer": {2, []uint64{2, 5, 5, 5, 5}, []uint64{1, 2, 5, 5, 5, 5}, 7},
		"known, then conflict, short":  {2, []uint64{2, 5}, []uint64{1, 2, 5}, 4},
	} {
		for mode, opts := range map[string][]option{"sync": nil, "async": {async}} {
			g := newGroup(t, 3)
			m := g.withLog(1, log, opts...)
			at := append([]uint64{1}, log...)
			g.step(pb.Message{Type: pb.MsgApp, From: 2, To: 1, Term: 9, Index: c.prev,
				LogTerm: at[c.prev-1], Entries: ents(c.prev+1, c.terms...)})
			answers := only(g.emit(1), pb.MsgAppResp)
			require.Len(t, answers, 1, name+mode)
			require.False(t, answers[0].Reject, name+mode)
			require.Equal(t, c.ack, answers[0].Index, name+mode)
			require.Equal(t, c.want, m.terms(), name+mode)
		}
	}
}

// A stale append that was overtaken neither truncates nor takes back an acknowledgement (B53).
func TestReorderedAppendsDoNotTruncate(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	var held []pb.Message
	for i := 0; i < 4; i++ {
		g.propose(1, fmt.Sprint(i))
		held = append(held, sentTo(only(g.emit(1), pb.MsgApp), 2)...)
	}
	require.Len(t, held, 4)
	g.step(held...)
	g.emit(2)
	for _, i := range []int{2, 0, 3, 1} {
		g.step(held[i])
		answer := only(g.emit(2), pb.MsgAppResp)
		require.Len(t, answer, 1)
		require.False(t, answer[0].Reject)
		require.LessOrEqual(t, answer[0].Index, held[i].Index+1)
		require.Len(t, g.get(2).entries(), 5)
	}
}

// A refusal names the highest place where the follower's log can agree; where that lies below what it
// still has, the hint's term is 0 (B38).
func TestHintBelowTheLogHasTermZero(t *testing.T) {
	g := newGroup(t, 3)
	m := g.get(1)
	require.NoError(t, m.store.ApplySnapshot(pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 10, Term: 5, ConfState: m.conf}}))
	require.NoError(t, m.store.Append(ents(11, 5, 5, 6)))
	require.NoError(t, m.store.SetHardState(pb.HardState{Term: 6, Commit: 10}))
	g.start(1, m.store)
	for _, c := range []struct{ prev, prevTerm, hint, hintTerm uint64 }{
		{20, 3, 9, 0}, // our terms are all higher
		{13, 3, 9, 0},
		{20, 5, 12, 5}, // the last of term 5
		{20, 9, 13, 6}, // our end
		{13, 5, 12, 5},
	} {
		g.step(pb.Message{Type: pb.MsgApp, From: 2, To: 1, Term: 9, Index: c.prev, LogTerm: c.prevTerm})
		answer := g.emit(1)
		require.Len(t, answer, 1)
		require.True(t, answer[0].Reject)
		require.Equal(t, c.prev, answer[0].Index)
		require.Equal(t, c.hint, answer[0].RejectHint, "%+v", c)
		require.Equal(t, c.hintTerm, answer[0].LogTerm, "%+v", c)
	}
	// An old append from before the compaction is answered with what is committed.
	g.step(pb.Message{Type: pb.MsgApp, From: 2, To: 1, Term: 9, Index: 3, LogTerm: 2, Entries: ents(4, 2)})
	answer := g.emit(1)
	require.Len(t, answer, 1)
	require.False(t, answer[0].Reject)
	require.Equal(t, uint64(10), answer[0].Index)
}

// Any leader finds any follower's place, wherever either log was compacted (B38, B51).
func TestAnyTwoLogsComeToAgree(t *testing.T) {
	for seed := int64(0); seed < 80; seed++ {
		rng := rand.New(rand.NewSource(seed))
		g := newGroup(t, 2)
		one, two, common := twoLogs(rng, 4)
		for id, terms := range map[uint64][]uint64{1: one, 2: two} {
			m := g.withLog(id, terms)
			known := 1 + uint64(rng.Intn(common+1)) // committed, applied and compacted on this member
			hard, _, _ := m.store.InitialState()
			hard.Commit = known
			require.NoError(t, m.store.SetHardState(hard))
			if known > 1 {
				_, err := m.store.CreateSnapshot(known, &m.conf, nil)
				require.NoError(t, err)
				require.NoError(t, m.store.Compact(known))
			}
			g.start(id, m.store)
		}
		lead := uint64(1)
		if lastTerm(two) > lastTerm(one) || lastTerm(two) == lastTerm(one) && len(two) > len(one) {
			lead = 2
		}
		g.restart(3 - lead)
		require.NoError(t, g.get(lead).Campaign())
		g.settle()
		if state(g, lead) != raft.StateLeader { // it had to learn a higher term first
			require.NoError(t, g.get(lead).Campaign())
			g.settle()
		}
		require.Equal(t, raft.StateLeader, state(g, lead), "seed %d", seed)
		g.commit(lead, "last")
		require.Equal(t, g.commitOf(1), g.commitOf(2), "seed %d", seed)
		a, b := g.get(1).entries(), g.get(2).entries()
		n := min(len(a), len(b))
		require.Equal(t, a[len(a)-n:], b[len(b)-n:], "seed %d", seed)
	}
}

// Only entries of the leader's own term commit by counting (thesis 3.6.2, Figure 3.7): an entry of an
// earlier term on a majority may still be overwritten, until one of this term is there too.
func TestOnlyOwnTermCommitsByCounting(t *testing.T) {
	g := newGroup(t, 5)
	g.withLog(1, []uint64{2})
	g.withLog(2, []uint64{2})
	g.withLog(5, []uint64{3})
	g.isolate(5)
	// 1 leads again, at term 3, and brings its entry of term 2 to 3, but not yet its own.
	g.lose = func(m pb.Message) bool {
		if m.Type != pb.MsgApp {
			return false
		}
		for _, e := range m.Entries {
			if e.Term > 2 {
				return true
			}
		}
		return false
	}
	require.NoError(t, g.get(1).Campaign())
	g.settle()
	require.Equal(t, raft.StateLeader, state(g, 1))
	// An acknowledgement of the old entry from a majority.
	for _, id := range []uint64{2, 3} {
		g.step(pb.Message{Type: pb.MsgAppResp, From: id, To: 1, Term: term(g, 1), Index: 2})
	}
	g.emit(1)
	require.Equal(t, uint64(1), g.commitOf(1))
	for _, id := range []uint64{2, 3} {
		g.step(pb.Message{Type: pb.MsgAppResp, From: id, To: 1, Term: term(g, 1), Index: 3})
	}
	g.emit(1)
	require.Equal(t, uint64(3), g.commitOf(1), "both at once")
}

// A member that lags behind, and refuses every append, still hears its leader: it does not campaign
// (B8).
func TestRefusingFollowerDoesNotCampaign(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	for i := 0; i < 60; i++ {
		g.get(2).Tick()
		if i%5 == 0 {
			g.step(pb.Message{Type: pb.MsgApp, From: 1, To: 2, Term: 2, Index: 100, LogTerm: 2})
			answer := g.emit(2)
			require.Len(t, answer, 1)
			require.True(t, answer[0].Reject)
			require.Equal(t, uint64(2), answer[0].Term, "a refusal carries the term")
		}
	}
	require.Equal(t, raft.StateFollower, state(g, 2))
}

// A heartbeat's answer says nothing about the log: Match moves by appends only (B45).
func TestHeartbeatAnswerIsNoLogMatch(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.isolate(2)
	g.commit(1, "a", "b")
	before := g.progress(1, 2).Match
	g.step(pb.Message{Type: pb.MsgHeartbeatResp, From: 2, To: 1, Term: 2, Index: 4, Commit: 4, LogTerm: 2})
	require.Equal(t, before, g.progress(1, 2).Match)
	// And a heartbeat tells no commit index beyond what the member is known to have.
	g.emit(1)
	g.get(1).Tick()
	beats := sentTo(only(g.emit(1), pb.MsgHeartbeat), 2)
	require.Len(t, beats, 1)
	require.Equal(t, before, beats[0].Commit)
}

// A follower whose disk lost a batch, and came back without it, refuses what follows; the leader starts
// again behind what was acknowledged, and Status shows it (B55).
func TestLostBatchIsSentAgain(t *testing.T) {
	g := newGroup(t, 3)
	g.elect(1)
	g.propose(1, "lost")
	for _, m := range g.emit(1) {
		if m.To == 3 {
			g.step(m)
		}
	}
	g.emit(3) // its answer is lost too
	g.propose(1, "after")
	later := sentTo(g.emit(1), 2) // 2 never got the first
	g.step(later...)
	refusal := g.emit(2)
	require.Len(t, refusal, 1)
	require.True(t, refusal[0].Reject)
	require.Equal(t, "StateReplicate", g.progress(1, 2).State.String())
	g.step(refusal...)
	pr := g.progress(1, 2)
	require.Equal(t, "StateProbe", pr.State.String())
	require.Equal(t, uint64(2), pr.Match)
	require.Equal(t, uint64(3), pr.Next)
	g.settle()
	require.Equal(t, "StateReplicate", g.progress(1, 2).State.String())
	require.Equal(t, []string{"lost", "after"}, g.get(2).values())
}
