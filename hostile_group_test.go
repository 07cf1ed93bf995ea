package raft_test

import (
	"encoding/binary"
	"math/rand"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// attack is a group, one member of which is sent hostile messages between valid ones. The member is
// silent if what it says does not reach the others, who then stay sound.
type attack struct {
	*group
	*coin
	victim        *member
	id            uint64
	opts          []option
	silent        bool
	steps, passed int
	followed      bool // the victim was sound at the end and caught up
	floor         pb.HardState
}

// newAttack makes a group of three voters and a learner with a little history, and puts its victim into
// some role.
func newAttack(t *testing.T, data []byte) *attack {
	a := &attack{coin: &coin{data: data}}
	flags := a.below(32)
	for i, o := range []option{preVote, checkQuorum, async, eager, leaseReads} {
		if flags&(1<<i) != 0 {
			a.opts = append(a.opts, o)
		}
	}
	a.group = newGroupOf(t, pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}, a.opts...)
	a.ticks(30, 1, 2, 3)
	require.Equal(t, uint64(1), a.leader())
	a.commit(1, "a", "b", "c")
	if a.below(2) == 0 {
		a.compact(1 + uint64(a.below(3)))
		a.commit(1, "d")
	}
	role := a.below(6)
	a.id = []uint64{1, 2, 2, 3, 4, 1}[role]
	a.silent = a.below(4) > 0
	a.victim = a.get(a.id)
	switch role {
	case 2:
		a.restart(2, a.opts...)
		a.victim = a.get(2)
	case 3: // it campaigns, with or without a pre-vote
		a.isolate(3)
		for i := 0; i < 25; i++ {
			a.victim.Tick()
			a.emit(3)
		}
		a.heal()
	case 5: // a leader with much under way
		a.propose(1, "e", "f")
		a.victim.ReadIndex([]byte("r"))
		a.victim.TransferLeader(uint64(a.below(4)))
	}
	a.floor = a.victim.BasicStatus().HardState
	return a
}

var peerTypes = []pb.MessageType{pb.MsgApp, pb.MsgApp, pb.MsgApp, pb.MsgAppResp, pb.MsgAppResp, pb.MsgAppResp,
	pb.MsgHeartbeat, pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgHeartbeatResp, pb.MsgSnap, pb.MsgVote, pb.MsgVoteResp,
	pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgProp, pb.MsgReadIndex, pb.MsgReadIndexResp, pb.MsgTransferLeader,
	pb.MsgTimeoutNow, pb.MsgForgetLeader, pb.MsgProp, 24, -1}

// message makes a message that is plausible for the victim's state more often than not.
func (a *attack) message() pb.Message {
	st := a.victim.BasicStatus()
	last := a.last()
	m := pb.Message{Type: peerTypes[a.below(len(peerTypes))], To: a.id, From: uint64(1 + (int(a.id)+a.below(3))%4)}
	if a.below(16) == 0 {
		m.From = uint64(a.below(7))
	}
	switch k := a.below(16); {
	case m.Type == pb.MsgProp || m.Type == pb.MsgReadIndex || m.Type == pb.MsgTransferLeader || m.Type == pb.MsgForgetLeader:
		m.Term = uint64(k / 15)
	case k < 10:
		m.Term = st.Term
	case k < 14:
		m.Term = st.Term + uint64(k) - 10
	default:
		m.Term = a.near(st.Term) % (st.Term + 100) // terms near the largest are for another test
	}
	m.Index = a.near(last - uint64(a.below(3)))
	m.LogTerm = a.termAt(m.Index)
	if a.below(8) == 0 {
		m.LogTerm = a.near(st.Term)
	}
	m.Commit = a.near(st.Commit)
	m.Reject = a.below(4) == 0
	m.RejectHint = a.near(last)
	m.Context = a.context()
	m.Entries = a.entriesAfter(m)
	if m.Type == pb.MsgSnap && a.below(8) > 0 {
		m.Snapshot = a.snapshot(st)
	}
	return m
}

func (a *attack) last() uint64 {
	i, err := a.victim.store.LastIndex()
	require.NoError(a.t, err)
	return i
}

func (a *attack) termAt(i uint64) uint64 {
	term, err := a.victim.store.Term(i)
	if err != nil {
		return 1
	}
	return term
}

func (a *attack) context() []byte {
	switch a.below(6) {
	case 0:
		return []byte("CampaignTransfer")
	case 1:
		return make([]byte, a.below(20))
	case 2:
		return binary.LittleEndian.AppendUint64(nil, uint64(a.below(4)))
	case 3:
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(a.below(4))), uint64(a.below(64)))
	}
	return nil
}

func (a *attack) entriesAfter(m pb.Message) []pb.Entry {
	n := a.below(4)
	if m.Type == pb.MsgReadIndex || m.Type == pb.MsgReadIndexResp {
		n = min(n, 1)
	}
	var es []pb.Entry
	for i := 1; i <= n; i++ {
		e := pb.Entry{Term: m.Term, Index: m.Index + uint64(i), Data: []byte("hostile")}
		switch a.below(12) {
		case 0:
			e.Index = a.near(e.Index)
		case 1:
			e.Term = a.near(e.Term)
		case 2:
			e.Term = m.LogTerm
		case 3: // a change that can be read, whether or not it fits
			e.Type = pb.EntryConfChangeV2
			cc := pb.ConfChangeV2{Transition: pb.ConfChangeTransition(a.below(4))}
			for k := a.below(3); k > 0; k-- {
				cc.Changes = append(cc.Changes, pb.ConfChangeSingle{Type: pb.ConfChangeType(a.below(5)), NodeID: uint64(a.below(6))})
			}
			e.Data, _ = cc.Marshal()
		}
		es = append(es, e)
	}
	return es
}

func (a *attack) snapshot(st raft.BasicStatus) *pb.Snapshot {
	s := &pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: a.near(a.last()), Term: a.near(st.Term),
		ConfState: pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}}}}
	for k := a.below(4); k > 1; k-- {
		id := uint64(1 + a.below(5))
		switch a.below(4) {
		case 0:
			s.Metadata.ConfState.VotersOutgoing = append(s.Metadata.ConfState.VotersOutgoing, id)
		case 1:
			s.Metadata.ConfState.LearnersNext = append(s.Metadata.ConfState.LearnersNext, id)
		case 2:
			s.Metadata.ConfState.Learners = append(s.Metadata.ConfState.Learners, id)
		default:
			s.Metadata.ConfState.Voters = s.Metadata.ConfState.Voters[:a.below(4)]
		}
	}
	return s
}

// hit steps one hostile message into the victim and lets its host work.
func (a *attack) hit() {
	m := a.message()
	st := a.victim.BasicStatus()
	err := a.victim.Step(m)
	a.steps++
	// What the term gate and the membership check let through, and a rule looked at.
	if m.From >= 1 && m.From <= 4 && (m.Term >= st.Term || m.Term == 0) && err == nil {
		a.passed++
	}
	a.host()
}

// host does what the victim wants done. What it says reaches the others unless it is silent.
func (a *attack) host() {
	said := a.emit(a.id)
	if !a.silent {
		a.wire = append(a.wire, said...)
	}
	st := a.victim.BasicStatus()
	require.GreaterOrEqual(a.t, st.Term, a.floor.Term, "the term never falls")
	require.GreaterOrEqual(a.t, st.Commit, a.floor.Commit, "commit never falls")
	if st.Term == a.floor.Term && a.floor.Vote != raft.None {
		require.Equal(a.t, a.floor.Vote, st.Vote, "a vote is never taken back")
	}
	a.floor = st.HardState
}

// traffic is a round of valid messages between all.
func (a *attack) traffic() {
	for id := uint64(1); id <= 4; id++ {
		m := a.get(id)
		switch a.below(5) {
		case 0:
			m.Tick()
		case 1:
			_ = m.Propose([]byte("valid"))
		case 2:
			m.ReadIndex([]byte("valid"))
		}
		if id != a.id {
			a.handle(m)
		}
	}
	a.host()
	a.deliver()
	a.host()
}

// sound reports whether the victim holds nothing that contradicts what the others have committed: a
// member that was lied to in the name of its leader cannot know.
func (a *attack) sound() bool {
	other := a.get(a.id%3 + 1)
	if a.victim.BasicStatus().Commit > other.BasicStatus().Commit ||
		!reflect.DeepEqual(a.victim.Status().Config, other.Status().Config) || len(a.victim.events) > 0 {
		return false
	}
	first, _ := a.victim.store.FirstIndex()
	edge, _ := a.victim.store.Term(first - 1)
	if term, err := other.store.Term(first - 1); err != nil || term != edge {
		return false // a snapshot that was never theirs
	}
	theirs := map[uint64]pb.Entry{}
	for _, e := range other.entries() {
		theirs[e.Index] = e
	}
	for _, e := range a.victim.entries() {
		t, both := theirs[e.Index]
		if both && t.Term == e.Term && string(t.Data) != string(e.Data) ||
			e.Index <= a.victim.BasicStatus().Commit && both && t.Term != e.Term {
			return false
		}
	}
	return true
}

// recover lets the sound members start again in a term that no hostile message has named, and requires
// that they make progress, and that a sound victim follows.
func (a *attack) recover() {
	t, sound := a.t, a.sound()
	a.lose, a.wire = nil, nil
	next := a.victim.BasicStatus().Term
	for _, id := range a.ids {
		if id <= 4 {
			next = max(next, a.get(id).BasicStatus().Term)
		}
	}
	others := []uint64{}
	for id := uint64(1); id <= 4; id++ {
		if id == a.id {
			continue
		}
		others = append(others, id)
		a.handle(a.get(id))
		hard, _, _ := a.get(id).store.InitialState()
		require.NoError(t, a.get(id).store.SetHardState(pb.HardState{Term: next + 2, Commit: hard.Commit}))
		a.restart(id, a.opts...)
	}
	a.wire = nil
	a.isolate(a.id)
	a.ticks(60, others...)
	lead := a.leader()
	require.Contains(t, others, lead)
	a.heal() // one that has lost what it acknowledged is silent and can only be replaced
	a.commit(lead, "in the end")
	a.ticks(10, lead)
	for _, id := range others {
		require.Contains(t, a.get(id).values(), "in the end", "member %d", id)
	}
	if sound {
		require.Equal(t, a.commitOf(lead), a.commitOf(a.id))
		require.Equal(t, lead, a.victim.BasicStatus().Lead)
		a.followed = true
	}
}

func randomInputs(n int) [][]byte {
	rng := rand.New(rand.NewSource(1))
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, 20+rng.Intn(400))
		rng.Read(out[i])
	}
	return out
}

func runAttack(t *testing.T, data []byte) *attack {
	a := newAttack(t, data)
	for n := 0; len(a.data) > 0 && n < 64; n++ {
		a.hit()
		if a.below(3) == 0 {
			a.traffic()
		}
	}
	if a.silent {
		a.recover()
	}
	return a
}

// A whole group with a member that is lied to, in any role: those that were not lied to go on, and the one
// that was follows again if what it believed does not contradict them. At least 30 % of the lies pass the
// term gate and the membership check without an error, in every role.
func TestGroupGoesOnAroundAMemberThatIsLiedTo(t *testing.T) {
	steps, passed := map[raft.StateType]int{}, map[raft.StateType]int{}
	silent, followed := 0, 0
	for _, data := range randomInputs(250) {
		probe := newAttack(t, data)
		role := probe.victim.BasicStatus().RaftState
		a := runAttack(t, data)
		steps[role] += a.steps
		passed[role] += a.passed
		if a.silent {
			silent++
		}
		if a.followed {
			followed++
		}
	}
	for _, role := range []raft.StateType{raft.StateFollower, raft.StateCandidate, raft.StateLeader, raft.StatePreCandidate} {
		require.Greater(t, steps[role], 50, role)
		require.GreaterOrEqual(t, 10*passed[role], 3*steps[role], "%s: %d of %d", role, passed[role], steps[role])
	}
	require.Greater(t, silent, 120)
	require.Greater(t, followed, 40, "of %d victims that did not speak", silent)
	t.Logf("steps %v passed %v silent %d followed %d", steps, passed, silent, followed)
}
