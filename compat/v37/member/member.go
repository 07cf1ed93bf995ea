// Package member puts members of go.etcd.io/raft v3.7.0 behind the face of package host.
package member

import (
	"errors"

	"go.etcd.io/raft/v3"
	pb37 "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

type member struct {
	*raft.RawNode
	rd raft.Ready
}

// New starts a member of v3.7.0 on what st holds. It draws its election timeouts from a source of its
// own, so a run with such members cannot be repeated exactly.
func New(o host.Options, st *host.Disk) (host.Raw, error) {
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
	return &member{RawNode: rn}, err
}

func (m *member) Bootstrap(ids []uint64) error {
	peers := make([]raft.Peer, len(ids))
	for i, id := range ids {
		peers[i].ID = id
	}
	return m.RawNode.Bootstrap(peers)
}

func (m *member) Advance() { m.RawNode.Advance(m.rd) }

func (m *member) ProposeConfChange(cc pb.ConfChangeI) error {
	if v1, ok := cc.AsV1(); ok {
		return m.RawNode.ProposeConfChange(convert(&v1, &pb37.ConfChange{}))
	}
	v2 := cc.AsV2()
	return m.RawNode.ProposeConfChange(convert(&v2, &pb37.ConfChangeV2{}))
}

func (m *member) Step(raw []byte) error {
	msg := &pb37.Message{}
	if err := proto.Unmarshal(raw, msg); err != nil {
		return err
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
		Hard:      hardTo(rd.HardState),
		Entries:   entriesTo(rd.Entries),
		Snapshot:  snapTo(rd.Snapshot),
		Committed: entriesTo(rd.CommittedEntries),
		MustSync:  rd.MustSync,
	}
	if rd.SoftState != nil {
		out.Soft = &host.Soft{Lead: rd.Lead, Role: uint64(rd.RaftState)}
	}
	for _, r := range rd.ReadStates {
		out.ReadStates = append(out.ReadStates, host.ReadState{Index: r.Index, Ctx: r.RequestCtx})
	}
	for _, msg := range rd.Messages {
		out.Messages = append(out.Messages, host.Packet{
			Type: pb.MessageType(msg.GetType()), From: msg.GetFrom(), To: msg.GetTo(), Raw: encode(msg)})
	}
	return out
}

func (m *member) ApplyConfChange(e pb.Entry) pb.ConfState {
	var cc interface {
		proto.Message
		pb37.ConfChangeI
	} = &pb37.ConfChangeV2{}
	if e.Type == pb.EntryConfChange {
		cc = &pb37.ConfChange{}
	}
	if err := proto.Unmarshal(e.Data, cc); err != nil {
		panic(err)
	}
	return confTo(m.RawNode.ApplyConfChange(cc))
}

func (m *member) Basic() host.Basic {
	st := m.BasicStatus()
	return host.Basic{
		ID:         st.ID,
		Hard:       hardTo(st.HardState),
		Soft:       host.Soft{Lead: st.Lead, Role: uint64(st.RaftState)},
		Applied:    st.Applied,
		Transferee: st.LeadTransferee,
	}
}

func (m *member) Status() host.Status {
	return host.Status{Basic: m.Basic(), HasReady: m.HasReady(), Text: m.RawNode.Status().String()}
}

// store shows a Disk as a Storage.
type store struct{ *host.Disk }

func (s store) InitialState() (*pb37.HardState, *pb37.ConfState, error) {
	return convert(&s.Hard, &pb37.HardState{}), convert(&s.Conf, &pb37.ConfState{}), nil
}

func (s store) FirstIndex() (uint64, error) { return s.First(), nil }
func (s store) LastIndex() (uint64, error)  { return s.Last(), nil }

func (s store) Term(i uint64) (uint64, error) {
	t, err := s.Disk.Term(i)
	return t, errorFrom(err)
}

func (s store) Entries(lo, hi, maxSize uint64) ([]*pb37.Entry, error) {
	ents, err := s.Disk.Entries(lo, hi, maxSize)
	var out []*pb37.Entry
	for _, e := range ents {
		out = append(out, convert(&e, &pb37.Entry{}))
	}
	return out, errorFrom(err)
}

func (s store) Snapshot() (*pb37.Snapshot, error) {
	snap, err := s.Disk.Snapshot()
	return convert(&snap, &pb37.Snapshot{}), errorFrom(err)
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
