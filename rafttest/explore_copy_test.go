package rafttest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
)

// Members that count as being in one state go on alike, whatever way they came there: what is left out of
// the comparison decides nothing.
func TestStatesThatCountAsOneGoOnAlike(t *testing.T) {
	for name, x := range map[string]Exploration{
		"crashes": {Voters: 2, Campaigns: 2, Proposals: 1, Crashes: 1},
		"ticks":   {Voters: 2, Campaigns: 1, Proposals: 1, Ticks: 2, Reads: 1},
		"async": {Voters: 2, Campaigns: 1, Proposals: 1, Crashes: 1, Config: func(_ uint64, cfg *raft.Config) {
			cfg.AsyncStorageWrites = true
		}},
	} {
		x := x
		t.Run(name, func(t *testing.T) {
			e := newExplorer(x.withDefaults())
			require.Nil(t, e.run().Violation)
			require.Positive(t, e.compareTwins(t))
		})
	}
}

// compareTwins takes each step again and lets the process that comes out of it do all that the one does
// that was kept for its state. It returns the number of comparisons.
func (e *explorer) compareTwins(t *testing.T) (compared int) {
	next := map[localID][]action{}
	for key := range e.steps {
		from := localID(key >> 32)
		next[from] = append(next[from], actionOfStep(uint32(key)))
	}
	for from, actions := range next {
		for _, a := range actions {
			p := e.play(from, a)
			state := e.step(from, a).next
			twin := localID(len(e.locals))
			e.locals = append(e.locals, local{id: p.id, node: p.node, explored: p.explored})
			for _, b := range next[state] {
				want, got := *e.step(state, b), e.take(twin, b)
				require.Equal(t, want.next, got.next, "%v and then %v", a, b)
				require.Equal(t, want.sent, got.sent, "%v and then %v", a, b)
				require.Equal(t, want.notes, got.notes, "%v and then %v", a, b)
				compared++
			}
			e.locals = e.locals[:twin]
		}
	}
	return compared
}

func actionOfStep(step uint32) action {
	return action{kind: actionKind(step >> 28), crashAt: uint8(step >> 24 & 15), arg: step & maxArg}
}

// A copy of a member shares nothing with the original that either of them changes.
func TestACopiedMemberGoesItsOwnWay(t *testing.T) {
	e := newExplorer(Exploration{Voters: 1, Campaigns: 2}.withDefaults())
	state, violation := e.begin(1)
	require.Nil(t, violation)
	before := e.shapes.printNode(nil, e.locals[state].node)
	p := e.play(state, action{kind: actCampaign, member: 1})
	require.Equal(t, raft.StateLeader, p.role)
	require.Equal(t, before, e.shapes.printNode(nil, e.locals[state].node))
	require.NotEqual(t, before, e.shapes.printNode(nil, p.node))
}

// The queues and windows of the core still look as the comparison knows them. If not, it takes them whole,
// and explorations find more states than there are.
func TestQueuesOfTheCoreAreKnown(t *testing.T) {
	s := newShapes()
	s.copyNode(mustStart(t), nil)
	found := map[string]bool{}
	for _, shape := range s.known {
		found["window"] = found["window"] || shape.window != nil
		for _, l := range shape.links {
			found["queue"] = found["queue"] || l.queue != nil
		}
	}
	require.True(t, found["window"])
	require.True(t, found["queue"])
}

func mustStart(t *testing.T) *raft.RawNode {
	node, err := raft.NewRawNode(&raft.Config{ID: 1, ElectionTick: 2, HeartbeatTick: 1, MaxInflightMsgs: 1,
		Storage: raft.NewMemoryStorage(), Logger: quiet})
	require.NoError(t, err)
	return node
}
