package raft_test

import (
	"bytes"
	"testing"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// stage is one member, its host, and what the others would say. It is made for millions of messages: the
// others are played, and nothing is formatted unless something is wrong.
type stage struct {
	t    testing.TB
	name int // of the world, for failures
	coin
	*raft.RawNode
	cfg   raft.Config
	store *raft.MemoryStorage
	conf  pb.ConfState

	applied  []pb.Entry   // from base+1 on
	base     uint64       // the newest snapshot
	threads  []pb.Message // what the storage threads have not done yet
	floor    pb.HardState
	slow     bool // the storage threads do nothing at the moment
	hits     int  // hostile messages since the last Ready
	sentNow  int
	lost     bool // it was told that it lost entries
	followed bool
	led      bool
}

// self is the member's ID.
const self = 1

// worlds are the configurations that the member is in, or is no longer in.
var worlds = []pb.ConfState{
	{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}},
	{Voters: []uint64{1, 2, 3, 4, 5}},
	{Voters: []uint64{1, 2}},
	{Voters: []uint64{1}, Learners: []uint64{2}},
	{Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{1, 2, 4}, LearnersNext: []uint64{4}, AutoLeave: true},
	{Voters: []uint64{1, 3}, VotersOutgoing: []uint64{1, 2, 3}},
	{Voters: []uint64{2, 3}, VotersOutgoing: []uint64{1, 2, 3}, Learners: []uint64{4}},
	{Voters: []uint64{2, 3, 4}, Learners: []uint64{1}},
	{Voters: []uint64{2, 3, 4}},
}

// past is the log that each world begins with, behind a snapshot at index 3.
var past = []pb.Entry{{Index: 4, Term: 1, Data: []byte("a")}, {Index: 5, Term: 2}, {Index: 6, Term: 2, Data: []byte("b")},
	{Index: 7, Term: 3}, {Index: 8, Term: 3, Data: []byte("c")}}

func newStage(t testing.TB, data []byte) *stage {
	s := &stage{t: t}
	s.begin(data)
	return s
}

// begin reads from data in what state the member is, and brings it there.
func (s *stage) begin(data []byte) {
	s.coin = coin{data: data}
	s.conf = worlds[[]int{0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8}[s.below(13)]]
	s.store = raft.NewMemoryStorage()
	s.base = 3
	s.check(s.store.ApplySnapshot(pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: 3, Term: 1, ConfState: s.conf}}))
	s.check(s.store.Append(past[:s.below(len(past)+1)]))
	last, _ := s.store.LastIndex()
	s.floor = pb.HardState{Term: 3, Vote: uint64(s.below(3)), Commit: last - uint64(s.below(3))%(last-2)}
	s.check(s.store.SetHardState(s.floor))
	s.configure()
	rn, err := raft.NewRawNode(&s.cfg)
	s.check(err)
	s.RawNode = rn
	s.work()
	switch s.below(8) {
	case 0:
	case 1, 2: // it follows
		s.valid1(pb.Message{Type: pb.MsgHeartbeat, From: 2, Term: 3})
	case 3: // it campaigns
		_ = s.Campaign()
	case 4: // it campaigns, in earnest
		_ = s.Campaign()
		s.work()
		s.grant(pb.MsgPreVoteResp)
	case 5: // it leads, but that nobody knows yet
		s.campaign()
	case 6: // it leads
		s.campaign()
		s.acknowledge()
	case 7: // it leads, and there is much under way
		s.campaign()
		s.acknowledge()
		_ = s.Propose([]byte("d"))
		s.ReadIndex([]byte("r"))
		_ = s.ProposeConfChange(pb.ConfChangeV2{Changes: []pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode, NodeID: 6}}})
		s.TransferLeader(uint64(s.below(4)))
	}
	s.work()
}

func (s *stage) configure() {
	flags := s.below(256)
	on := func(bit int) bool { return flags&(1<<bit) != 0 }
	s.cfg = raft.Config{ID: self, ElectionTick: 10, HeartbeatTick: 1, Storage: s.store, Rand: steady(0),
		Logger: raft.DiscardLogger(), MaxSizePerMsg: huge, MaxInflightMsgs: 256,
		PreVote: on(0), CheckQuorum: on(1), AsyncStorageWrites: on(2), EagerAppends: on(3) && on(4),
		StepDownOnRemoval: on(5)}
	if on(6) {
		s.cfg.MaxSizePerMsg, s.cfg.MaxInflightMsgs, s.cfg.MaxCommittedSizePerReady = 20, 2, 30
		s.cfg.MaxUncommittedEntriesSize = 20
	}
	if on(7) && on(4) {
		s.cfg.CheckQuorum, s.cfg.ReadOnlyOption = true, raft.ReadOnlyLeaseBased
	}
	s.cfg.OnEvent = raft.EventFunc(func(e raft.Event) {
		if _, is := e.(raft.LostDurableState); is {
			s.lost = true
		}
	})
}

func (s *stage) failf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("world %d: "+format, append([]any{s.name}, args...)...)
}

func (s *stage) check(err error) {
	if err != nil {
		s.t.Helper()
		s.failf("%v", err)
	}
}

// ---- the host

// Bounds of what one hostile message may set off.
const (
	maxReadys = 100
	maxSent   = 400
)

// work does all that the member wants done, except for what its storage threads take their time for.
func (s *stage) work() {
	s.sentNow = 0
	s.flush()
	for n := 0; s.HasReady(); n++ {
		if n == maxReadys {
			s.failf("there is always another Ready: %+v", s.Ready())
		}
		rd := s.Ready()
		if s.cfg.AsyncStorageWrites {
			for i := range rd.Messages {
				if m := &rd.Messages[i]; raft.IsLocalMsgTarget(m.To) {
					s.threads = append(s.threads, *m)
				} else {
					s.sent(m)
				}
			}
			s.flush()
			continue
		}
		s.save(rd.HardState, rd.Entries, rd.Snapshot)
		for i := range rd.Messages {
			s.sent(&rd.Messages[i])
		}
		s.apply(rd.CommittedEntries)
		s.Advance(rd)
	}
	s.requireMonotone()
	if !s.slow {
		s.hits = 0
	}
}

// flush lets the storage threads work.
func (s *stage) flush() {
	if s.slow {
		return
	}
	threads := s.threads
	s.threads = nil
	for i := range threads {
		m := &threads[i]
		if m.To == raft.LocalApplyThread {
			s.apply(m.Entries)
		} else {
			var snap pb.Snapshot
			if m.Snapshot != nil {
				snap = *m.Snapshot
			}
			s.save(pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}, m.Entries, snap)
		}
		for k := range m.Responses {
			if r := &m.Responses[k]; r.To == self {
				_ = s.Step(*r)
			} else {
				s.sent(r)
			}
		}
	}
}

func (s *stage) save(hard pb.HardState, ents []pb.Entry, snap pb.Snapshot) {
	if !raft.IsEmptySnap(snap) {
		s.check(s.store.ApplySnapshot(snap))
		if snap.Metadata.Index <= s.base+uint64(len(s.applied)) {
			s.failf("a snapshot at %d takes back what is applied", snap.Metadata.Index)
		}
		s.base, s.applied, s.conf = snap.Metadata.Index, nil, snap.Metadata.ConfState
	}
	s.check(s.store.Append(ents))
	if !raft.IsEmptyHardState(hard) {
		s.check(s.store.SetHardState(hard))
	}
}

// apply does what a state machine does, which is given each index once and in order.
func (s *stage) apply(ents []pb.Entry) {
	for i := range ents {
		e := &ents[i]
		if want := s.base + uint64(len(s.applied)) + 1; e.Index != want {
			if e.Index < want && s.cfg.AsyncStorageWrites && e.Index <= s.base {
				continue // handed out before the snapshot came
			}
			s.failf("entry %d is to be applied; next is %d", e.Index, want)
		}
		s.applied = append(s.applied, *e)
		switch e.Type {
		case pb.EntryConfChange:
			var cc pb.ConfChange
			if cc.Unmarshal(e.Data) == nil {
				s.conf = *s.ApplyConfChange(cc)
			}
		case pb.EntryConfChangeV2:
			var cc pb.ConfChangeV2
			if cc.Unmarshal(e.Data) == nil {
				s.conf = *s.ApplyConfChange(cc)
			}
		}
	}
}

// ---- what must hold

// sent looks at a message that the member sends.
func (s *stage) sent(m *pb.Message) {
	if s.sentNow++; s.sentNow > maxSent {
		s.failf("one message sets off more than %d", maxSent)
	}
	if m.To == self || m.To == raft.None || raft.IsLocalMsg(m.Type) {
		s.failf("it sends %+v", m)
	}
	hard, _, _ := s.store.InitialState()
	switch m.Type {
	case pb.MsgApp:
		for i := range m.Entries {
			if m.Entries[i].Index != m.Index+uint64(i)+1 || m.Entries[i].Term > m.Term {
				s.failf("it sends %+v", m)
			}
		}
	case pb.MsgSnap:
		if m.Snapshot == nil || raft.IsEmptySnap(*m.Snapshot) {
			s.failf("it sends %+v", m)
		}
	case pb.MsgVoteResp:
		if !m.Reject && hard.Term <= m.Term && (hard.Term < m.Term || hard.Vote != m.To) {
			s.failf("it grants a vote of term %d to %d, and has saved %v", m.Term, m.To, hard)
		}
	case pb.MsgAppResp:
		last, _ := s.store.LastIndex()
		if s.hits <= 1 && !m.Reject && m.Term == hard.Term && m.Index > last {
			s.failf("it acknowledges %d, and has saved up to %d", m.Index, last)
		}
	}
}

// requireMonotone requires that nothing that was promised is taken back.
func (s *stage) requireMonotone() {
	st := s.BasicStatus()
	switch {
	case st.Term < s.floor.Term || st.Commit < s.floor.Commit:
		s.failf("term and commit fall: %v, then %v", s.floor, st.HardState)
	case st.Term == s.floor.Term && s.floor.Vote != raft.None && st.Vote != s.floor.Vote:
		s.failf("a vote is taken back: %v, then %v", s.floor, st.HardState)
	case st.Applied > st.Commit:
		s.failf("applied is %d, commit %d", st.Applied, st.Commit)
	}
	s.floor = st.HardState
}

// requireKept requires that what was applied is in storage as it was.
func (s *stage) requireKept() {
	first, _ := s.store.FirstIndex()
	last, _ := s.store.LastIndex()
	if s.base+uint64(len(s.applied)) > last {
		s.failf("applied up to %d, and storage ends at %d", s.base+uint64(len(s.applied)), last)
	}
	if first <= s.base {
		first = s.base + 1
	}
	if first > s.base+uint64(len(s.applied)) {
		return
	}
	ents, err := s.store.Entries(first, s.base+uint64(len(s.applied))+1, huge)
	s.check(err)
	for i := range ents {
		was := &s.applied[first-s.base-1+uint64(i)]
		if e := &ents[i]; e.Index != was.Index || e.Term != was.Term || !bytes.Equal(e.Data, was.Data) {
			s.failf("applied %+v, stored %+v", was, e)
		}
	}
}
