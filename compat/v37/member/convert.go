package member

import (
	pb37 "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	pb "quorate.example/raft/raftpb"
)

// convert reads from's bytes into to, which it returns.
func convert[T proto.Message](from interface{ Marshal() ([]byte, error) }, to T) T {
	raw, err := from.Marshal()
	if err == nil {
		err = proto.Unmarshal(raw, to)
	}
	if err != nil {
		panic(err)
	}
	return to
}

func encode(m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return raw
}

func hardTo(h *pb37.HardState) pb.HardState {
	return pb.HardState{Term: h.GetTerm(), Vote: h.GetVote(), Commit: h.GetCommit()}
}

func confTo(c *pb37.ConfState) pb.ConfState {
	return pb.ConfState{Voters: c.GetVoters(), Learners: c.GetLearners(), VotersOutgoing: c.GetVotersOutgoing(),
		LearnersNext: c.GetLearnersNext(), AutoLeave: c.GetAutoLeave()}
}

func snapTo(s *pb37.Snapshot) pb.Snapshot {
	m := s.GetMetadata()
	return pb.Snapshot{Data: s.GetData(), Metadata: pb.SnapshotMetadata{
		ConfState: confTo(m.GetConfState()), Index: m.GetIndex(), Term: m.GetTerm()}}
}

func entriesTo(in []*pb37.Entry) (out []pb.Entry) {
	for _, e := range in {
		out = append(out, pb.Entry{Term: e.GetTerm(), Index: e.GetIndex(),
			Type: pb.EntryType(e.GetType()), Data: e.GetData()})
	}
	return out
}
