// Package v36 puts members of go.etcd.io/raft v3.6.0 behind the face of package host.
package v36

import (
	"errors"

	"go.etcd.io/raft/v3"
	pb36 "go.etcd.io/raft/v3/raftpb"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

type member struct {
	*raft.RawNode
	rd   raft.Ready
	draw func() uint64
	et   uint64
}

// New starts a member of v3.6.0 on what st holds.
func New(o host.Options, st *host.Disk) (host.Raw, error) {
	m := &member{draw: o.Draw, et: uint64(o.ElectionTick)}
	m.use()
	readOnly := raft.ReadOnlySafe
	if o.LeaseReads {
		readOnly = raft.ReadOnlyLeaseBased
	}
	rn, err := raft.NewRawNode(&raft.Config{
		ID:                          o.ID,
		ElectionTick:                o.ElectionTick,
		HeartbeatTick:               o.HeartbeatTick,
		Storage:                     store{st},
		Applied:                     o.Applied,
		AsyncStorageWrites:          o.Async,
		MaxSizePerMsg:               o.MaxSizePerMsg,
		MaxCommittedSizePerReady:    o.MaxCommittedSizePerReady,
		MaxUncommittedEntriesSize:   o.MaxUncommittedEntriesSize,
		MaxInflightMsgs:             o.MaxInflightMsgs,
		MaxInflightBytes:            o.MaxInflightBytes,
		CheckQuorum:                 o.CheckQuorum,
		PreVote:                     o.PreVote,
		ReadOnlyOption:              readOnly,
		Logger:                      host.Quiet{},
		DisableProposalForwarding:   o.DisableProposalForwarding,
		DisableConfChangeValidation: o.DisableConfChangeValidation,
		StepDownOnRemoval:           o.StepDownOnRemoval,
	})
	m.RawNode = rn
	return m, err
}

func (m *member) Bootstrap(ids []uint64) error {
	m.use()
	peers := make([]raft.Peer, len(ids))
	for i, id := range ids {
		peers[i].ID = id
	}
	return m.RawNode.Bootstrap(peers)
}

func (m *member) Tick()                     { m.use(); m.RawNode.Tick() }
func (m *member) Campaign() error           { m.use(); return m.RawNode.Campaign() }
func (m *member) ForgetLeader() error       { m.use(); return m.RawNode.ForgetLeader() }
func (m *member) Propose(data []byte) error { m.use(); return m.RawNode.Propose(data) }
func (m *member) TransferLeader(to uint64)  { m.use(); m.RawNode.TransferLeader(to) }
func (m *member) Advance()                  { m.use(); m.RawNode.Advance(m.rd) }

func (m *member) ProposeConfChange(cc pb.ConfChangeI) error {
	m.use()
	if v1, ok := cc.AsV1(); ok {
		return m.RawNode.ProposeConfChange(ccFrom(v1))
	}
	return m.RawNode.ProposeConfChange(ccV2From(cc.AsV2()))
}

func (m *member) Step(raw []byte) error {
	m.use()
	var msg pb36.Message
	if err := msg.Unmarshal(raw); err != nil {
		return err
	}
	return m.RawNode.Step(msg)
}

func (m *member) ReportSnapshot(id uint64, failed bool) {
	m.use()
	status := raft.SnapshotFinish
	if failed {
		status = raft.SnapshotFailure
	}
	m.RawNode.ReportSnapshot(id, status)
}

func (m *member) Ready() host.Ready {
	rd := m.RawNode.Ready()
	m.rd = rd
	out := host.Ready{
		Hard:      pb.HardState(rd.HardState),
		Entries:   entriesTo(rd.Entries),
		Snapshot:  snapTo(rd.Snapshot),
		Committed: entriesTo(rd.CommittedEntries),
		MustSync:  rd.MustSync,
		Text:      raft.DescribeReady(rd, nil),
		Nil: host.NilParts(rd.ReadStates == nil, rd.Entries == nil,
			rd.CommittedEntries == nil, rd.Messages == nil),
	}
	if rd.SoftState != nil {
		out.Soft = &host.Soft{Lead: rd.Lead, Role: uint64(rd.RaftState)}
	}
	for _, r := range rd.ReadStates {
		out.ReadStates = append(out.ReadStates, host.ReadState{Index: r.Index, Ctx: r.RequestCtx})
	}
	for i := range rd.Messages {
		msg := &rd.Messages[i]
		raw, err := msg.Marshal()
		if err != nil {
			panic(err)
		}
		out.Messages = append(out.Messages,
			host.Packet{Type: pb.MessageType(msg.Type), From: msg.From, To: msg.To, Raw: raw})
	}
	return out
}

func (m *member) ApplyConfChange(e pb.Entry) pb.ConfState {
	m.use()
	var cc pb36.ConfChangeI
	var err error
	if e.Type == pb.EntryConfChange {
		var v1 pb36.ConfChange
		err = v1.Unmarshal(e.Data)
		cc = v1
	} else {
		var v2 pb36.ConfChangeV2
		err = v2.Unmarshal(e.Data)
		cc = v2
	}
	if err != nil {
		panic(err)
	}
	return pb.ConfState(*m.RawNode.ApplyConfChange(cc))
}

// store shows a Disk as a Storage.
type store struct{ *host.Disk }

func (s store) InitialState() (pb36.HardState, pb36.ConfState, error) {
	return pb36.HardState(s.Hard), pb36.ConfState(s.Conf), nil
}

func (s store) FirstIndex() (uint64, error) { return s.First(), nil }
func (s store) LastIndex() (uint64, error)  { return s.Last(), nil }

func (s store) Term(i uint64) (uint64, error) {
	t, err := s.Disk.Term(i)
	return t, errorFrom(err)
}

func (s store) Entries(lo, hi, maxSize uint64) ([]pb36.Entry, error) {
	ents, err := s.Disk.Entries(lo, hi, maxSize)
	return entriesFrom(ents), errorFrom(err)
}

func (s store) Snapshot() (pb36.Snapshot, error) {
	snap, err := s.Disk.Snapshot()
	return snapFrom(snap), errorFrom(err)
}

func errorFrom(err error) error {
	switch {
	case errors.Is(err, host.ErrCompacted):
		return raft.ErrCompacted
	case errors.Is(err, host.ErrUnavailable):
		return raft.ErrUnavailable
	case errors.Is(err, host.ErrSnapUnavailable):
		return raft.ErrSnapshotTemporarilyUnavailable
	}
	return err
}
