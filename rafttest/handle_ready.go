package rafttest

import (
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// ProcessReady takes a Ready from the member at idx and does what a host does
// with it. A member with AsyncStorageWrites puts its storage messages in
// AppendWork and ApplyWork instead.
func (env *InteractionEnv) ProcessReady(idx int) error {
	n := &env.Nodes[idx]
	rd := n.Ready()
	env.Output.WriteString(raft.DescribeReady(rd, nil))
	if n.Config.AsyncStorageWrites {
		env.dispatch(n, rd.Messages)
		return nil
	}
	if err := n.save(rd.HardState, rd.Entries, rd.Snapshot); err != nil {
		return err
	}
	if err := n.apply(rd.CommittedEntries); err != nil {
		return err
	}
	env.dispatch(n, rd.Messages)
	n.Advance(rd)
	return nil
}

// dispatch puts each message where it is worked on: in the network, or with
// one of the member's own storage threads.
func (env *InteractionEnv) dispatch(n *Node, msgs []pb.Message) {
	for _, m := range msgs {
		switch m.To {
		case raft.LocalAppendThread:
			n.AppendWork = append(n.AppendWork, m)
		case raft.LocalApplyThread:
			n.ApplyWork = append(n.ApplyWork, m)
		default:
			env.Messages = append(env.Messages, m)
		}
	}
}

// ProcessAppendThread does the first write that waits in the member's
// AppendWork and sends the answers that waited for it.
func (env *InteractionEnv) ProcessAppendThread(idx int) error {
	n := &env.Nodes[idx]
	return env.work(&n.AppendWork, "append", func(m pb.Message) error {
		var snap pb.Snapshot
		if m.Snapshot != nil {
			snap = *m.Snapshot
		}
		hs := pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
		return n.save(hs, m.Entries, snap)
	})
}

// ProcessApplyThread applies the first batch of entries that waits in the
// member's ApplyWork and sends the answer.
func (env *InteractionEnv) ProcessApplyThread(idx int) error {
	n := &env.Nodes[idx]
	return env.work(&n.ApplyWork, "apply", func(m pb.Message) error {
		return n.apply(m.Entries)
	})
}

func (env *InteractionEnv) work(
	queue *[]pb.Message, thread string, do func(pb.Message) error,
) error {
	if len(*queue) == 0 {
		fmt.Fprintf(env.Output, "nothing waits for the %s thread\n", thread)
		return nil
	}
	m := (*queue)[0]
	*queue = (*queue)[1:]
	answers := m.Responses
	m.Responses = nil
	fmt.Fprintln(env.Output, "Processing:")
	fmt.Fprintln(env.Output, raft.DescribeMessage(m, nil))
	if err := do(m); err != nil {
		return err
	}
	fmt.Fprintln(env.Output, "Responses:")
	for _, answer := range answers {
		fmt.Fprintln(env.Output, raft.DescribeMessage(answer, nil))
	}
	env.Messages = append(env.Messages, answers...)
	return nil
}

// save writes what a Ready or a MsgStorageAppend holds.
func (n *Node) save(hs pb.HardState, entries []pb.Entry, snap pb.Snapshot) error {
	if !raft.IsEmptyHardState(hs) {
		if err := n.Storage.SetHardState(hs); err != nil {
			return err
		}
	}
	if !raft.IsEmptySnap(snap) {
		if err := n.Storage.ApplySnapshot(snap); err != nil {
			return err
		}
		n.record(snap)
	}
	return n.Storage.Append(entries)
}

// apply runs committed entries through the state machine, whose state is the
// data of all normal entries one after the other.
func (n *Node) apply(entries []pb.Entry) error {
	for _, e := range entries {
		next := n.History[len(n.History)-1]
		next.Metadata.Index, next.Metadata.Term = e.Index, e.Term
		cc, err := confChangeOf(e)
		if err != nil {
			return err
		}
		if cc != nil {
			next.Metadata.ConfState = *n.ApplyConfChange(cc)
		} else {
			size := len(next.Data)
			next.Data = append(next.Data[:size:size], e.Data...)
		}
		n.record(next)
	}
	return nil
}

// record makes snap the newest state.
func (n *Node) record(snap pb.Snapshot) {
	n.History = append(n.History, snap)
	if disk, ok := n.Storage.(*historyStorage); ok {
		disk.remember(snap)
	}
}

// confChangeOf returns the configuration change in e, nil if it is none.
func confChangeOf(e pb.Entry) (pb.ConfChangeI, error) {
	switch e.Type {
	case pb.EntryConfChange:
		var cc pb.ConfChange
		err := cc.Unmarshal(e.Data)
		return cc, err
	case pb.EntryConfChangeV2:
		var cc pb.ConfChangeV2
		err := cc.Unmarshal(e.Data)
		return cc, err
	}
	return nil, nil
}
