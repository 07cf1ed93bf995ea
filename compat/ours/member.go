// Package ours puts members of quorate.example/raft behind the face of package host.
package ours

import (
	"errors"

	"quorate.example/raft"
	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

type member struct {
	*raft.RawNode
	rd         raft.Ready
	quietVotes bool
}

// draws makes a Config.Rand of a function.
type draws func() uint64

func (d draws) Uint64() uint64 { return d() }

// New starts a member of this library on what st holds.
func New(o host.Options, st *host.Disk) (host.Raw, error) {
	c := &raft.Config{
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
		Logger:                      host.Quiet{},
		DisableProposalForwarding:   o.DisableProposalForwarding,
		DisableConfChangeValidation: o.DisableConfChangeValidation,
		StepDownOnRemoval:           o.StepDownOnRemoval,
		Mirror36:                    o.Mirror,
		EagerAppends:                o.Eager,
	}
	if o.LeaseReads {
		c.ReadOnlyOption = raft.ReadOnlyLeaseBased
	}
	if o.Draw != nil {
		c.Rand = draws(o.Draw)
	}
	rn, err := raft.NewRawNode(c)
	return &member{RawNode: rn, quietVotes: o.QuietVotes}, err
}

func (m *member) Bootstrap(ids []uint64) error {
	peers := make([]raft.Peer, len(ids))
	for i, id := range ids {
		peers[i].ID = id
	}
	return m.RawNode.Bootstrap(peers)
}

func (m *member) Advance() { m.RawNode.Advance(m.rd) }

func (m *member) Step(raw []byte) error {
	var msg pb.Message
	if err := msg.Unmarshal(raw); err != nil {
		return err
	}
	if m.quietVotes {
		switch msg.Type {
		case pb.MsgVote, pb.MsgPreVote, pb.MsgVoteResp, pb.MsgPreVoteResp:
			msg.Commit, msg.RejectHint = 0, 0
		}
	}
	return m.RawNode.Step(msg)
}

func (m *member) ReportSnapshot(id uint64, failed bool) {
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
		Hard:      rd.HardState,
		Entries:   rd.Entries,
		Snapshot:  rd.Snapshot,
		Committed: rd.CommittedEntries,
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
	for _, msg := range rd.Messages {
		out.Messages = append(out.Messages, host.Encode(msg))
	}
	return out
}

func (m *member) ApplyConfChange(e pb.Entry) pb.ConfState {
	var cc pb.ConfChangeI
	var err error
	if e.Type == pb.EntryConfChange {
		var v1 pb.ConfChange
		err = v1.Unmarshal(e.Data)
		cc = v1
	} else {
		var v2 pb.ConfChangeV2
		err = v2.Unmarshal(e.Data)
		cc = v2
	}
	if err != nil {
		panic(err)
	}
	return *m.RawNode.ApplyConfChange(cc)
}

// store shows a Disk as a Storage.
type store struct{ *host.Disk }

func (s store) InitialState() (pb.HardState, pb.ConfState, error) { return s.Hard, s.Conf, nil }

func (s store) FirstIndex() (uint64, error) { return s.First(), nil }
func (s store) LastIndex() (uint64, error)  { return s.Last(), nil }

func (s store) Term(i uint64) (uint64, error) {
	t, err := s.Disk.Term(i)
	return t, errorFrom(err)
}

func (s store) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	ents, err := s.Disk.Entries(lo, hi, maxSize)
	return ents, errorFrom(err)
}

func (s store) Snapshot() (pb.Snapshot, error) {
	snap, err := s.Disk.Snapshot()
	return snap, errorFrom(err)
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
