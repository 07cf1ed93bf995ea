package v36

import (
	pb36 "go.etcd.io/raft/v3/raftpb"

	pb "quorate.example/raft/raftpb"
)

func entriesTo(in []pb36.Entry) []pb.Entry {
	if in == nil {
		return nil
	}
	out := make([]pb.Entry, len(in))
	for i, e := range in {
		out[i] = pb.Entry{Term: e.Term, Index: e.Index, Type: pb.EntryType(e.Type), Data: e.Data}
	}
	return out
}

func entriesFrom(in []pb.Entry) []pb36.Entry {
	if in == nil {
		return nil
	}
	out := make([]pb36.Entry, len(in))
	for i, e := range in {
		out[i] = pb36.Entry{Term: e.Term, Index: e.Index, Type: pb36.EntryType(e.Type), Data: e.Data}
	}
	return out
}

func snapTo(s pb36.Snapshot) pb.Snapshot {
	m := s.Metadata
	return pb.Snapshot{Data: s.Data, Metadata: pb.SnapshotMetadata{
		ConfState: pb.ConfState(m.ConfState), Index: m.Index, Term: m.Term}}
}

func snapFrom(s pb.Snapshot) pb36.Snapshot {
	m := s.Metadata
	return pb36.Snapshot{Data: s.Data, Metadata: pb36.SnapshotMetadata{
		ConfState: pb36.ConfState(m.ConfState), Index: m.Index, Term: m.Term}}
}

func ccFrom(c pb.ConfChange) pb36.ConfChange {
	return pb36.ConfChange{ID: c.ID, Type: pb36.ConfChangeType(c.Type), NodeID: c.NodeID, Context: c.Context}
}

func ccV2From(c pb.ConfChangeV2) pb36.ConfChangeV2 {
	out := pb36.ConfChangeV2{Transition: pb36.ConfChangeTransition(c.Transition), Context: c.Context}
	for _, s := range c.Changes {
		out.Changes = append(out.Changes,
			pb36.ConfChangeSingle{Type: pb36.ConfChangeType(s.Type), NodeID: s.NodeID})
	}
	return out
}
