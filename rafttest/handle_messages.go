package rafttest

import (
	"errors"
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Recipient says what DeliverMsgs does with the messages for one member.
type Recipient struct {
	ID   uint64
	Drop bool // lose the messages instead of delivering them
}

// anyType stands for all message types in DeliverMsgs.
const anyType pb.MessageType = -1

// DeliverMsgs takes the messages of type typ (all of them if typ is -1) for
// the given recipients out of Messages, and hands them over or drops them, one
// recipient after the other. It returns how many it took.
func (env *InteractionEnv) DeliverMsgs(typ pb.MessageType, rs ...Recipient) int {
	total := 0
	for _, r := range rs {
		msgs := env.takeMessages(typ, r.ID)
		total += len(msgs)
		for _, m := range msgs {
			env.deliver(m, r.Drop)
		}
	}
	return total
}

// takeMessages removes the messages for one member and returns them in order.
func (env *InteractionEnv) takeMessages(typ pb.MessageType, to uint64) []pb.Message {
	var taken, left []pb.Message
	for _, m := range env.Messages {
		if m.To == to && (typ == anyType || m.Type == typ) {
			taken = append(taken, m)
		} else {
			left = append(left, m)
		}
	}
	env.Messages = left
	return taken
}

func (env *InteractionEnv) deliver(m pb.Message, drop bool) {
	if drop {
		env.Output.WriteString("dropped: ")
	}
	fmt.Fprintln(env.Output, raft.DescribeMessage(m, nil))
	if drop {
		return
	}
	if m.To == 0 || m.To > uint64(len(env.Nodes)) {
		fmt.Fprintf(env.Output, "there is no member %d\n", m.To)
		return
	}
	if err := env.Nodes[m.To-1].Step(m); err != nil {
		fmt.Fprintln(env.Output, err)
	}
}

// onDeliverMsgs: deliver-msgs 1 2 drop=(3) type=MsgApp.
func (env *InteractionEnv) onDeliverMsgs(c call) error {
	typ := anyType
	var name string
	if c.option("type", &name) {
		known, ok := pb.MessageType_value[name]
		if !ok {
			return fmt.Errorf("unknown message type %q", name)
		}
		typ = pb.MessageType(known)
	}
	var rs []Recipient
	for _, idx := range c.members() {
		rs = append(rs, Recipient{ID: env.id(idx)})
	}
	for _, id := range c.ids("drop") {
		rs = append(rs, Recipient{ID: id, Drop: true})
	}
	if env.DeliverMsgs(typ, rs...) == 0 {
		env.Output.WriteString("no messages\n")
	}
	return nil
}

// SendSnapshot makes the member at fromIdx send the newest state of its state
// machine to the member at toIdx, whether that one asked for it or not.
func (env *InteractionEnv) SendSnapshot(fromIdx, toIdx int) error {
	from := &env.Nodes[fromIdx]
	snap, err := from.Storage.Snapshot()
	if err != nil {
		return err
	}
	m := pb.Message{
		Type:     pb.MsgSnap,
		From:     env.id(fromIdx),
		To:       env.id(toIdx),
		Term:     from.BasicStatus().Term,
		Snapshot: &snap,
	}
	env.Messages = append(env.Messages, m)
	fmt.Fprintln(env.Output, raft.DescribeMessage(m, nil))
	return nil
}

// onSendSnapshot: send-snapshot 1 2.
func (env *InteractionEnv) onSendSnapshot(c call) error {
	if len(c.bare()) != 2 {
		return errors.New("send-snapshot wants a sender and a recipient")
	}
	return env.SendSnapshot(c.member(0), c.member(1))
}
