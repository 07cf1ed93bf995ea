package host_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
	pb "quorate.example/raft/raftpb"
)

var manualSeeds = flag.Int("manual.seeds", 60, "seeds for the world of whole members")

// Claim: whole members, with proposals, reads, snapshots, forwarding and restarts, keep what their answers say
// while messages are lost, doubled and late and processes end at every boundary: what was answered is there once,
// at its place; what was called lost or dropped is nowhere; a read sees all that was answered before it.
func TestAnswersHoldInASimulatedWorld(t *testing.T) {
	counts := map[string]int{}
	for seed := 1; seed <= *manualSeeds; seed++ {
		w := newWorld(t, int64(seed))
		w.run(2500)
		w.heal()
		w.check()
		for outcome, n := range w.counts {
			counts[outcome] += n
		}
	}
	t.Logf("%v", counts)
	for _, outcome := range []string{"answered", "lost", "dropped", "unknown", "read", "crash", "snapshot", "change"} {
		require.NotZero(t, counts[outcome], outcome)
	}
}

// world is three members, what they share, and what clients were told.
type world struct {
	t       *testing.T
	seed    int64
	rand    *rand.Rand
	members []*simMember
	flying  []pb.Message
	cutOff  uint64 // nothing reaches this member or leaves it
	healed  bool
	next    int
	told    map[string]string // by proposal
	at      map[string]int    // the place of those that are answered
	counts  map[string]int
}

// simMember is one member, with what survives its process.
type simMember struct {
	*host.Manual
	w       *world
	id      uint64
	log     *hosttest.Log
	snaps   *hosttest.Snapshots
	durable *durableLedger // nil for some members
	ledger  *ledger
	tasks   []*host.Task // not run
	ran     []*host.Task // run, and not finished
	life    int64
	down    int // steps until it starts
}

func newWorld(t *testing.T, seed int64) *world {
	w := &world{t: t, seed: seed, rand: rand.New(rand.NewSource(seed)), told: map[string]string{},
		at: map[string]int{}, counts: map[string]int{}}
	for id := uint64(1); id <= 3; id++ {
		m := &simMember{w: w, id: id, log: hosttest.NewLog(), snaps: &hosttest.Snapshots{}}
		if seed%2 == 0 {
			m.durable = &durableLedger{ledger: &ledger{}}
		}
		w.members = append(w.members, m)
	}
	for _, m := range w.members {
		m.start()
	}
	return w
}

func (m *simMember) start() {
	m.life++
	m.ledger = &ledger{}
	cfg := host.Config{
		ID: m.id, Log: m.log, Snapshots: m.snaps, StateMachine: m.ledger, Transport: m,
		Bootstrap: []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}}, TickInterval: time.Second,
		Forward: m.w.seed%3 != 0, SnapshotEntries: 15, TailEntries: 3, TailBytes: -1,
		Seed: uint64(m.w.seed*1000+m.life*10) + m.id, Logger: raft.DiscardLogger(),
	}
	if m.w.seed%5 < 2 {
		cfg.GatherTime = time.Millisecond
	}
	if m.durable != nil {
		m.ledger = m.durable.ledger
		cfg.Snapshots, cfg.StateMachine = nil, m.durable
	}
	var err error
	m.Manual, err = host.NewManual(cfg)
	require.NoError(m.w.t, err, "seed %d", m.w.seed)
	m.collect()
}

// collect takes what the member wants done.
func (m *simMember) collect() {
	require.NoError(m.w.t, m.Err(), "seed %d", m.w.seed)
	messages, tasks := m.Take()
	m.w.flying = append(m.w.flying, messages...)
	m.tasks = append(m.tasks, tasks...)
}

// Send is not called: messages come from Take.
func (m *simMember) Send([]pb.Message) error { return errors.New("not called") }

// SendSnapshot hands a snapshot over at once, or loses it.
func (m *simMember) SendSnapshot(_ context.Context, msg pb.Message, content io.WriterTo) error {
	to := m.w.members[msg.To-1]
	if to.down > 0 || m.w.chance(4) || msg.To == m.w.cutOff || m.id == m.w.cutOff {
		return errors.New("lost")
	}
	var data bytes.Buffer
	if _, err := content.WriteTo(&data); err != nil {
		return err
	}
	var outcome error
	to.ReceiveSnapshot(msg, &data, func(err error) {
		if outcome = err; err == nil {
			m.w.counts["snapshot"]++
		}
	})
	to.collect()
	return outcome
}

func (w *world) pick(n int) int {
	if w.rand == nil {
		return 0
	}
	return w.rand.Intn(n)
}

func (w *world) chance(oneIn int) bool { return !w.healed && w.rand.Intn(oneIn) == 0 }

func (w *world) run(steps int) {
	for i := 0; i < steps; i++ {
		if w.chance(400) {
			w.cutOff = uint64(w.rand.Intn(2 * len(w.members)))
		}
		m := w.members[w.rand.Intn(len(w.members))]
		if m.down > 0 {
			if m.down--; m.down == 0 {
				m.start()
			}
			continue
		}
		switch k := w.rand.Intn(100); {
		case k < 8:
			m.Tick()
		case k < 40 && w.chance(3):
			m.Together(func() {
				for n := w.rand.Intn(4); n > 0; n-- {
					w.deliverTo(m.id)
				}
				w.propose(m)
			})
		case k < 40:
			w.deliverTo(0)
			continue
		case k < 60:
			m.runTask()
		case k < 80:
			m.finishTask()
		case k < 88 && !w.healed:
			w.propose(m)
		case k < 92 && !w.healed:
			w.read(m)
		case k == 92 && w.chance(4):
			m.crash()
			continue
		case k == 93 && w.chance(3):
			w.change(m)
		}
		m.collect()
	}
}

// runTask runs one of the tasks that wait, which within a lane are at most one.
func (m *simMember) runTask() {
	if len(m.tasks) == 0 {
		return
	}
	i := m.w.pick(len(m.tasks))
	t := m.tasks[i]
	m.tasks = append(m.tasks[:i:i], m.tasks[i+1:]...)
	t.Run()
	m.ran = append(m.ran, t)
}

func (m *simMember) finishTask() {
	if len(m.ran) == 0 {
		return
	}
	i := m.w.pick(len(m.ran))
	t := m.ran[i]
	m.ran = append(m.ran[:i:i], m.ran[i+1:]...)
	m.Finish(t)
}

// crash ends the process where it is: tasks that were not run never are, and what was not synced may be lost.
func (m *simMember) crash() {
	w := m.w
	w.counts["crash"]++
	m.Stop()
	log, err := m.log.Crash(w.rand.Intn(m.log.Unsynced() + 1))
	require.NoError(w.t, err)
	m.log, m.tasks, m.ran = log, nil, nil
	if m.durable != nil && w.seed%4 == 0 {
		m.durable.revert()
	}
	m.down = 1 + w.rand.Intn(60)
}

// deliverTo takes one of the messages on their way, mostly an old one, if it is to a member; 0 stands for all.
func (w *world) deliverTo(id uint64) {
	if len(w.flying) == 0 {
		return
	}
	i := w.rand.Intn(min(len(w.flying), 6))
	msg := w.flying[i]
	if id != 0 && msg.To != id {
		return
	}
	if !w.chance(15) { // else it arrives twice
		w.flying = append(w.flying[:i:i], w.flying[i+1:]...)
	}
	to := w.members[msg.To-1]
	if to.down > 0 || w.chance(20) || msg.To == w.cutOff || msg.From == w.cutOff {
		return
	}
	data, err := msg.Marshal()
	require.NoError(w.t, err)
	var arrived pb.Message
	require.NoError(w.t, pb.UnmarshalPeer(data, &arrived))
	require.NoError(w.t, to.Step(arrived))
	if id == 0 {
		to.collect()
	}
}

func (w *world) propose(m *simMember) {
	w.next++
	text := fmt.Sprint("p", w.next)
	settled := false
	m.Propose([]byte(text), func(r host.Result, err error) {
		require.False(w.t, settled, "seed %d: %s is answered twice", w.seed, text)
		settled = true
		outcome := "answered"
		switch {
		case err == nil:
			w.at[text] = r.Value.(int)
		case errors.Is(err, host.ErrLost):
			outcome = "lost"
		case errors.Is(err, host.ErrUnknown):
			outcome = "unknown"
		default:
			outcome = "dropped"
		}
		w.told[text] = outcome
		w.counts[outcome]++
	})
}

func (w *world) read(m *simMember) {
	var before []string
	for text := range w.at {
		before = append(before, text)
	}
	ledger := m.ledger
	m.Read(func(err error) {
		if err != nil {
			return
		}
		w.counts["read"]++
		have := map[string]bool{}
		for _, line := range ledger.all() {
			have[line] = true
		}
		for _, text := range before {
			require.True(w.t, have[text], "seed %d: a read on member %d misses %s", w.seed, m.id, text)
		}
	})
}

// change makes the third member a learner, or a voter.
func (w *world) change(m *simMember) {
	typ := []pb.ConfChangeType{pb.ConfChangeAddNode, pb.ConfChangeAddLearnerNode}[w.rand.Intn(2)]
	options := []host.ChangeOption{host.IfConfiguration(m.Status().ConfIndex)}
	m.Change([]pb.ConfChangeSingle{{Type: typ, NodeID: 3}}, func(_ uint64, err error) {
		if err != nil {
			return
		}
		w.counts["change"]++
		conf := m.Status().Conf
		require.Equal(w.t, typ == pb.ConfChangeAddLearnerNode, len(conf.Learners) == 1, "seed %d: %v", w.seed, conf)
	}, options...)
}

// heal ends the faults and lets the members agree.
func (w *world) heal() {
	w.healed, w.cutOff = true, 0
	for _, m := range w.members {
		if m.down > 0 {
			m.down = 0
			m.start()
		}
	}
	for round := 0; round < 200; round++ {
		w.run(300)
		a := w.members[0].Status()
		same := a.Leader != raft.None && len(w.flying) < 50
		for _, m := range w.members[1:] {
			b := m.Status()
			same = same && b.Applied == a.Applied && b.Leader == a.Leader && b.Applied == b.LastLog
		}
		if same && a.Applied > 3 && len(w.told) == w.next {
			return
		}
	}
	for _, m := range w.members {
		w.t.Logf("member %d: %+v\n%s", m.id, m.Status(), m.Explain())
	}
	require.Fail(w.t, "the members do not agree, or do not answer", "seed %d: %d of %d answered", w.seed,
		len(w.told), w.next)
}

func (w *world) check() {
	lines := w.members[0].ledger.all()
	for _, m := range w.members[1:] {
		require.Equal(w.t, lines, m.ledger.all(), "seed %d: member %d", w.seed, m.id)
	}
	place := map[string]int{}
	for i, line := range lines {
		require.Zero(w.t, place[line], "seed %d: %s is there twice", w.seed, line)
		place[line] = i + 1
	}
	for text, outcome := range w.told {
		switch outcome {
		case "answered":
			require.Equal(w.t, w.at[text], place[text], "seed %d: %s", w.seed, text)
		case "lost", "dropped":
			require.Zero(w.t, place[text], "seed %d: %s was %s and is there", w.seed, text, outcome)
		}
	}
}

// Claim: what a new leader replaces while it still waits for the log writer is not written.
func TestReplacedEntriesAreNotWritten(t *testing.T) {
	w := &world{t: t}
	m := &simMember{w: w, id: 1, log: hosttest.NewLog(), snaps: &hosttest.Snapshots{}}
	m.start()
	entries := func(term uint64, from, to uint64) (out []pb.Entry) {
		for i := from; i <= to; i++ {
			out = append(out, pb.Entry{Index: i, Term: term, Data: []byte(fmt.Sprint(term))})
		}
		return out
	}
	appendOf := func(from, term, prev, prevTerm uint64, ents []pb.Entry) {
		require.NoError(t, m.Step(pb.Message{Type: pb.MsgApp, From: from, To: 1, Term: term, Index: prev,
			LogTerm: prevTerm, Entries: ents}))
		m.collect()
	}
	appendOf(2, 2, 3, 1, entries(2, 4, 4)) // a save of the first configuration is under way
	appendOf(2, 2, 4, 2, entries(2, 5, 8))
	appendOf(3, 3, 5, 2, entries(3, 6, 6))
	for len(m.tasks) > 0 {
		m.runTask()
		m.finishTask()
		m.collect()
	}
	last, err := m.log.LastIndex()
	require.NoError(t, err)
	require.EqualValues(t, 6, last)
	for i, term := range []uint64{2, 2, 3} {
		got, err := m.log.Term(uint64(4 + i))
		require.NoError(t, err)
		require.Equal(t, term, got)
	}
}
