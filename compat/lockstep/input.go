package lockstep

import (
	"fmt"
	"slices"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// payload returns what to propose: mostly short, sometimes empty, seldom 64 KiB.
func payload(kind, fill uint32) []byte {
	size := 0
	switch k := kind % 100; {
	case k < 6:
	case k < 70:
		size = 1 + int(fill%20)
	case k < 90:
		size = int(fill % 300)
	case k < 99:
		size = int(fill % 5000)
	default:
		size = 64 << 10
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(fill >> (i % 4 * 8))
	}
	return data
}

// batch makes a proposal of several entries, sometimes with a change among them.
func batch(a *Action) (raw []byte, text string) {
	m := pb.Message{Type: pb.MsgProp, From: a.member}
	for i := uint32(0); i < 1+a.B%4; i++ {
		m.Entries = append(m.Entries, pb.Entry{Data: payload(a.C%90+i, a.C)})
	}
	if a.C%5 == 0 {
		cc := pb.ConfChange{Type: pb.ConfChangeUpdateNode, NodeID: 1}
		data, err := cc.Marshal()
		if err != nil {
			panic(err)
		}
		m.Entries = append(m.Entries, pb.Entry{Type: pb.EntryConfChange, Data: data})
	}
	return host.Encode(m).Raw, fmt.Sprintf(" %d entries", len(m.Entries))
}

// strange makes a message that RawNode.Step refuses.
func strange(a *Action) []byte {
	m := pb.Message{From: a.member, To: a.member, Term: 1}
	if a.Kind == StepLocal {
		local := []pb.MessageType{pb.MsgHup, pb.MsgBeat, pb.MsgUnreachable, pb.MsgSnapStatus, pb.MsgCheckQuorum}
		m.Type = local[int(a.B)%len(local)]
	} else {
		answers := []pb.MessageType{pb.MsgAppResp, pb.MsgVoteResp, pb.MsgHeartbeatResp, pb.MsgPreVoteResp}
		m.Type = answers[int(a.B)%len(answers)]
		m.From = 100
	}
	return host.Encode(m).Raw
}

// change makes up a configuration change that, applied to the configuration as the member knows it,
// would leave a voter.
func (p *pair) change(a *Action) pb.ConfChangeI {
	r := &rng{s: uint64(a.B)<<32 | uint64(a.C)}
	_, conf := p.conf(a.member)
	var ctx []byte
	switch r.n(12) {
	case 0:
		ctx = []byte("refuse")
	case 1:
		ctx = []byte{}
	}
	if len(conf.VotersOutgoing) > 0 && r.chance(3, 4) || r.chance(1, 40) {
		return pb.ConfChangeV2{Context: ctx} // leave
	}
	voters := slices.Clone(conf.Voters)
	one := func() pb.ConfChangeSingle {
		id := 1 + r.next()%uint64(p.c.Members)
		s := pb.ConfChangeSingle{NodeID: id, Type: pick(r, pb.ConfChangeAddNode, pb.ConfChangeAddNode,
			pb.ConfChangeRemoveNode, pb.ConfChangeAddLearnerNode, pb.ConfChangeUpdateNode)}
		if s.Type == pb.ConfChangeRemoveNode || s.Type == pb.ConfChangeAddLearnerNode {
			if rest := slices.DeleteFunc(slices.Clone(voters), func(v uint64) bool { return v == id }); len(rest) > 0 {
				voters = rest
			} else {
				s.Type = pb.ConfChangeAddNode
			}
		}
		return s
	}
	if r.chance(1, 3) {
		s := one()
		return pb.ConfChange{ID: uint64(a.C), Type: s.Type, NodeID: s.NodeID, Context: ctx}
	}
	cc := pb.ConfChangeV2{Context: ctx, Transition: pick(r, pb.ConfChangeTransitionAuto,
		pb.ConfChangeTransitionJointImplicit, pb.ConfChangeTransitionJointExplicit)}
	for i := 1 + r.n(3); i > 0; i-- {
		cc.Changes = append(cc.Changes, one())
	}
	return cc
}

// conf returns the configuration that the host of a member has applied last.
func (p *pair) conf(id uint64) (uint64, pb.ConfState) { return p.ref.host(id).Disk.Applied() }
