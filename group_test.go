package raft_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// member is one RawNode with a host that does everything at once.
type member struct {
	*raft.RawNode
	cfg      *raft.Config
	store    *raft.MemoryStorage
	conf     pb.ConfState
	applied  []pb.Entry
	reads    []raft.ReadState
	events   []raft.Event
	lastSync bool
}

// group is some members in one goroutine, and the messages that are under way between them.
type group struct {
	t       *testing.T
	members map[uint64]*member
	ids     []uint64
	wire    []pb.Message
	cut     map[[2]uint64]bool // from, to: lost
	lose    func(pb.Message) bool
}

// option changes a member's configuration.
type option func(*raft.Config)

func preVote(c *raft.Config)     { c.PreVote = true }
func checkQuorum(c *raft.Config) { c.CheckQuorum = true }
func async(c *raft.Config)       { c.AsyncStorageWrites = true }

// steady makes the election timeout of member i ElectionTick + i - 1, so that elections are no luck.
type steady uint64

func (s steady) Uint64() uint64 { return uint64(s) }

func testConfig(id uint64, store raft.Storage, opts ...option) *raft.Config {
	c := &raft.Config{
		ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: store,
		MaxSizePerMsg: math.MaxUint64, MaxInflightMsgs: 256,
		Logger: raft.DiscardLogger(), Rand: steady(id - 1),
	}
	for _, o := range opts {
		o(c)
	}
	return c
}

// newGroup returns a group of voters 1..n at term 0, whose log begins after a snapshot at index 1.
func newGroup(t *testing.T, n int, opts ...option) *group {
	var conf pb.ConfState
	for id := uint64(1); id <= uint64(n); id++ {
		conf.Voters = append(conf.Voters, id)
	}
	return newGroupOf(t, conf, opts...)
}

func newGroupOf(t *testing.T, conf pb.ConfState, opts ...option) *group {
	t.Helper()
	g := &group{t: t, members: map[uint64]*member{}, cut: map[[2]uint64]bool{}}
	for _, ids := range [][]uint64{conf.Voters, conf.Learners} {
		for _, id := range ids {
			g.add(id, conf, opts...)
		}
	}
	return g
}

// add starts a member whose log begins after a snapshot at index 1 that holds conf.
func (g *group) add(id uint64, conf pb.ConfState, opts ...option) *member {
	g.t.Helper()
	store := raft.NewMemoryStorage()
	require.NoError(g.t, store.ApplySnapshot(pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 1, Term: 1, ConfState: conf}}))
	require.NoError(g.t, store.SetHardState(pb.HardState{Term: 1, Commit: 1}))
	return g.start(id, store, opts...)
}

// start starts a member on what store holds.
func (g *group) start(id uint64, store *raft.MemoryStorage, opts ...option) *member {
	g.t.Helper()
	m := &member{store: store}
	opts = append(opts, func(c *raft.Config) {
		c.OnEvent = raft.EventFunc(func(e raft.Event) { m.events = append(m.events, e) })
	})
	m.cfg = testConfig(id, store, opts...)
	rn, err := raft.NewRawNode(m.cfg)
	require.NoError(g.t, err)
	m.RawNode = rn
	_, m.conf, _ = store.InitialState()
	if _, known := g.members[id]; !known {
		g.ids = append(g.ids, id)
	}
	g.members[id] = m
	return m
}

// restart ends a member and starts it again on what it saved.
func (g *group) restart(id uint64, opts ...option) *member {
	return g.start(id, g.members[id].store, opts...)
}

func (g *group) get(id uint64) *member { return g.members[id] }

// handle does all that member m wants done, and puts its messages on the wire.
func (g *group) handle(m *member) {
	for m.HasReady() {
		rd := m.Ready()
		m.lastSync = rd.MustSync
		m.reads = append(m.reads, rd.ReadStates...)
		if m.cfg.AsyncStorageWrites {
			g.handleAsync(m, rd.Messages)
			continue
		}
		g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
		g.wire = append(g.wire, rd.Messages...)
		g.apply(m, rd.CommittedEntries)
		m.Advance(rd)
	}
}

func (g *group) handleAsync(m *member, msgs []pb.Message) {
	for _, msg := range msgs {
		switch msg.To {
		case raft.LocalAppendThread:
			snap := pb.Snapshot{}
			if msg.Snapshot != nil {
				snap = *msg.Snapshot
			}
			g.save(m, pb.HardState{Term: msg.Term, Vote: msg.Vote, Commit: msg.Commit}, msg.Entries, snap)
			g.respond(m, msg.Responses)
		case raft.LocalApplyThread:
			g.apply(m, msg.Entries)
			g.respond(m, msg.Responses)
		default:
			g.wire = append(g.wire, msg)
		}
	}
}

func (g *group) respond(m *member, responses []pb.Message) {
	for _, r := range responses {
		if r.To == m.cfg.ID {
			require.NoError(g.t, m.Step(r))
		} else {
			g.wire = append(g.wire, r)
		}
	}
}

func (g *group) save(m *member, hard pb.HardState, ents []pb.Entry, snap pb.Snapshot) {
	if !raft.IsEmptySnap(snap) {
		require.NoError(g.t, m.store.ApplySnapshot(snap))
		m.conf = snap.Metadata.ConfState
	}
	require.NoError(g.t, m.store.Append(ents))
	if !raft.IsEmptyHardState(hard) {
		require.NoError(g.t, m.store.SetHardState(hard))
	}
}

func (g *group) apply(m *member, ents []pb.Entry) {
	for _, e := range ents {
		switch e.Type {
		case pb.EntryConfChange:
			var cc pb.ConfChange
			require.NoError(g.t, cc.Unmarshal(e.Data))
			m.conf = *m.ApplyConfChange(cc)
		case pb.EntryConfChangeV2:
			var cc pb.ConfChangeV2
			require.NoError(g.t, cc.Unmarshal(e.Data))
			m.conf = *m.ApplyConfChange(cc)
		}
		m.applied = append(m.applied, e)
	}
}

// settle handles and delivers until nothing happens any more.
func (g *group) settle() {
	g.t.Helper()
	for round := 0; ; round++ {
		require.Less(g.t, round, 10_000, "the group does not come to rest")
		for _, id := range g.ids {
			g.handle(g.members[id])
		}
		if len(g.wire) == 0 {
			return
		}
		g.deliver()
	}
}

// deliver delivers what is on the wire now, but for what is cut or lost.
func (g *group) deliver() {
	wire := g.wire
	g.wire = nil
	for _, msg := range wire {
		to := g.members[msg.To]
		if to == nil || g.cut[[2]uint64{msg.From, msg.To}] || g.lose != nil && g.lose(msg) {
			continue
		}
		_ = to.Step(overWire(g.t, msg))
	}
}

// overWire returns msg as a peer would decode it.
func overWire(t *testing.T, msg pb.Message) pb.Message {
	data, err := msg.Marshal()
	require.NoError(t, err)
	var out pb.Message
	require.NoError(t, pb.UnmarshalPeer(data, &out))
	return out
}

// isolate cuts a member off from all others.
func (g *group) isolate(id uint64) {
	for _, other := range g.ids {
		if other != id {
			g.cut[[2]uint64{id, other}] = true
			g.cut[[2]uint64{other, id}] = true
		}
	}
}

// heal restores all connections.
func (g *group) heal() { g.cut = map[[2]uint64]bool{} }

// elect makes a member leader.
func (g *group) elect(id uint64) {
	g.t.Helper()
	require.NoError(g.t, g.get(id).Campaign())
	g.settle()
	require.Equal(g.t, raft.StateLeader, g.get(id).BasicStatus().RaftState)
}

// ticks lets time pass for some members, everything being delivered in between.
func (g *group) ticks(n int, ids ...uint64) {
	g.t.Helper()
	for ; n > 0; n-- {
		for _, id := range ids {
			g.get(id).Tick()
		}
		g.settle()
	}
}

// leader returns the leader of the highest term, None if there is none.
func (g *group) leader() uint64 {
	lead, term := raft.None, uint64(0)
	for _, id := range g.ids {
		if st := g.get(id).BasicStatus(); st.RaftState == raft.StateLeader && st.Term > term {
			lead, term = id, st.Term
		}
	}
	return lead
}

// values returns what a member applied that is not empty.
func (m *member) values() []string {
	var out []string
	for _, e := range m.applied {
		if e.Type == pb.EntryNormal && len(e.Data) > 0 {
			out = append(out, string(e.Data))
		}
	}
	return out
}

// requireSame requires that the given members applied the same values, and returns them.
func (g *group) requireSame(ids ...uint64) []string {
	g.t.Helper()
	first := g.get(ids[0]).values()
	for _, id := range ids[1:] {
		require.Equal(g.t, first, g.get(id).values(), fmt.Sprintf("members %d and %d", ids[0], id))
	}
	return first
}
