package raft_test

import (
	"encoding/binary"
	"errors"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// What the stage's member is sent: hostile messages, valid ones, and at the end those of a sound leader and
// of voters who elect it.

// hostileTypes are all types, the interesting ones more often, and some that there are not.
var hostileTypes = append([]pb.MessageType{pb.MsgApp, pb.MsgApp, pb.MsgApp, pb.MsgAppResp, pb.MsgAppResp, pb.MsgAppResp,
	pb.MsgHeartbeat, pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgHeartbeatResp, pb.MsgSnap, pb.MsgSnap,
	pb.MsgVote, pb.MsgVote, pb.MsgPreVote, pb.MsgPreVote, pb.MsgVoteResp, pb.MsgVoteResp, pb.MsgPreVoteResp, pb.MsgPreVoteResp,
	pb.MsgProp, pb.MsgProp, pb.MsgReadIndex, pb.MsgReadIndex, pb.MsgReadIndexResp, pb.MsgTransferLeader, pb.MsgTimeoutNow,
	pb.MsgForgetLeader, 24, 1 << 30, -1}, everyType()...)

func everyType() []pb.MessageType {
	var all []pb.MessageType
	for t := pb.MessageType(0); pb.MessageType_name[int32(t)] != ""; t++ {
		all = append(all, t)
	}
	return all
}

// hit sends one hostile message, and reports its type and whether it passed the gates: what the membership
// check and the term gate let through, without an error.
func (s *stage) hit() (typ pb.MessageType, passed bool) {
	m := s.message()
	if s.below(8) == 0 && !s.damage(&m) {
		return m.Type, false
	}
	before, ready := s.BasicStatus(), s.HasReady()
	err := s.Step(m)
	after := s.BasicStatus()
	switch {
	case err == nil:
		known := m.From >= 1 && m.From <= 4
		passed = known && (m.Term >= before.Term || m.Term == 0) && !(m.Type == pb.MsgVote && after.Term < m.Term)
	case errors.Is(err, raft.ErrStepLocalMsg), errors.Is(err, raft.ErrStepPeerNotFound), errors.Is(err, raft.ErrBadMessage):
		demoted := m.Type == pb.MsgHeartbeat && s.lost // by a leader that knows more than is here
		if !demoted && (after != before || s.HasReady() != ready) {
			s.failf("%+v is refused (%v) and changes %+v to %+v", m, err, before, after)
		}
	}
	s.hits++
	if k := s.below(8); k > 0 {
		s.slow = k == 1 && s.cfg.AsyncStorageWrites
		s.work()
	}
	return m.Type, passed
}

// damage encodes m, changes a few bytes, and decodes it as a transport does; it reports whether that
// worked.
func (s *stage) damage(m *pb.Message) bool {
	if m.Type < 0 { // enough of those
		return true
	}
	data, err := m.Marshal()
	s.check(err)
	for n := s.below(4); n > 0; n-- {
		at := s.below(len(data))
		switch b := byte(s.below(256)); s.below(4) {
		case 0:
			data = append(data[:at:at], data[at+1:]...)
		case 1:
			data = append(data[:at:at], append([]byte{b}, data[at:]...)...)
		default:
			data[at] = b
		}
		if len(data) == 0 {
			break
		}
	}
	var out pb.Message
	err = pb.UnmarshalPeer(data, &out)
	if err == nil {
		*m = out
	}
	return err == nil
}

// message makes a message that is plausible for the member's state more often than not.
func (s *stage) message() pb.Message {
	st := s.BasicStatus()
	last, _ := s.store.LastIndex()
	m := pb.Message{Type: hostileTypes[s.below(len(hostileTypes))], To: self, From: uint64(2 + s.below(3))}
	if s.below(12) == 0 {
		m.From = []uint64{0, self, 5, 6, 77, raft.LocalAppendThread, raft.LocalApplyThread, huge - 2}[s.below(8)]
	}
	if raft.IsLocalMsgTarget(m.From) && raft.IsLocalMsg(m.Type) {
		m.From = 2 // UnmarshalPeer refuses it, and whoever does without is beyond help
	}
	switch k := s.below(24); {
	case m.Type == pb.MsgProp || m.Type == pb.MsgReadIndex || m.Type == pb.MsgTransferLeader || m.Type == pb.MsgForgetLeader:
		m.Term = uint64(k / 23)
	case k < 15:
		m.Term = st.Term
	case k < 21:
		m.Term = st.Term + uint64(k) - 15
	case k == 21:
		m.Term = uint64(s.below(int(min(st.Term, 5)) + 1))
	default:
		if m.Term = s.near(st.Term); m.Term > huge-20 && s.below(8) > 0 {
			m.Term = st.Term // after a term near the largest there is little left to see
		}
	}
	m.Index = s.near(last - uint64(s.below(3)))
	m.LogTerm = s.termAt(m.Index)
	if s.below(8) == 0 {
		m.LogTerm = s.near(st.Term)
	}
	m.Commit = s.near(st.Commit)
	if m.Type == pb.MsgHeartbeat && m.Commit > last && s.below(4) > 0 {
		m.Commit = last
	}
	m.Reject = s.below(4) == 0
	m.RejectHint = s.near(last)
	m.Vote = uint64(s.below(3))
	m.Context = s.context()
	m.Entries = s.entriesAfter(m)
	if m.Type == pb.MsgSnap && s.below(8) > 0 || s.below(64) == 0 {
		m.Snapshot = s.snapshot(st, last)
	}
	for n := s.below(24) - 21; n > 0; n-- {
		m.Responses = append(m.Responses, pb.Message{Type: pb.MessageType(s.below(24)), To: uint64(s.below(4)),
			Responses: make([]pb.Message, s.below(3))})
	}
	return m
}

func (s *stage) termAt(i uint64) uint64 {
	term, err := s.store.Term(i)
	if err != nil {
		return 1
	}
	return term
}

func (s *stage) context() []byte {
	switch s.below(8) {
	case 0:
		return []byte("CampaignTransfer")
	case 1:
		return make([]byte, s.below(40))
	case 2:
		return binary.LittleEndian.AppendUint64(nil, s.near(uint64(s.below(4))))
	case 3:
		number := binary.LittleEndian.AppendUint64(nil, uint64(s.below(4)))
		return binary.LittleEndian.AppendUint64(number, s.near(uint64(s.below(64))))
	case 4:
		return make([]byte, 4096)
	}
	return nil
}

func (s *stage) entriesAfter(m pb.Message) []pb.Entry {
	n := s.below(4)
	if m.Type == pb.MsgReadIndex || m.Type == pb.MsgReadIndexResp {
		n = min(n, 1)
	}
	if n == 0 {
		return nil
	}
	es := make([]pb.Entry, n)
	for i := range es {
		es[i] = pb.Entry{Term: m.Term, Index: m.Index + uint64(i) + 1, Data: []byte("hostile")}
		s.twist(m, &es[i])
	}
	return es
}

// twist makes an entry wrong, or a configuration change, now and then.
func (s *stage) twist(m pb.Message, e *pb.Entry) {
	switch s.below(16) {
	case 0:
		e.Index = s.near(e.Index)
	case 1:
		e.Term = s.near(e.Term)
	case 2:
		e.Term = m.LogTerm
	case 3: // a change that can be read, whether or not it fits
		cc := pb.ConfChangeV2{Transition: pb.ConfChangeTransition(s.below(4))}
		for k := s.below(3); k > 0; k-- {
			cc.Changes = append(cc.Changes, pb.ConfChangeSingle{Type: pb.ConfChangeType(s.below(5)), NodeID: uint64(s.below(7))})
		}
		e.Type = pb.EntryConfChangeV2
		e.Data, _ = cc.Marshal()
	case 4:
		cc := pb.ConfChange{Type: pb.ConfChangeType(s.below(5)), NodeID: s.near(uint64(s.below(6)))}
		e.Type = pb.EntryConfChange
		e.Data, _ = cc.Marshal()
	case 5: // garbage
		e.Type = pb.EntryType(1 + s.below(3))
		e.Data = []byte{byte(s.below(256)), byte(s.below(256)), byte(s.below(256))}
	case 6:
		e.Data = nil
	}
}

func (s *stage) snapshot(st raft.BasicStatus, last uint64) *pb.Snapshot {
	meta := pb.SnapshotMetadata{Index: s.near(last), Term: s.near(st.Term), ConfState: s.conf}
	if s.below(2) == 0 {
		meta.ConfState = worlds[s.below(len(worlds))]
	}
	for k := s.below(6) - 3; k > 0; k-- {
		id, conf := s.near(uint64(1+s.below(5))), &meta.ConfState
		switch s.below(5) {
		case 0:
			conf.VotersOutgoing = append(conf.VotersOutgoing[:len(conf.VotersOutgoing):len(conf.VotersOutgoing)], id)
		case 1:
			conf.LearnersNext = append(conf.LearnersNext[:len(conf.LearnersNext):len(conf.LearnersNext)], id)
		case 2:
			conf.Learners = append(conf.Learners[:len(conf.Learners):len(conf.Learners)], id)
		case 3:
			conf.Voters = append(conf.Voters[:len(conf.Voters):len(conf.Voters)], id)
		default:
			conf.Voters = conf.Voters[:s.below(len(conf.Voters)+1)]
		}
	}
	return &pb.Snapshot{Metadata: meta, Data: []byte("state")}
}
