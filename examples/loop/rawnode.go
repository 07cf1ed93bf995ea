package main

import (
	"context"
	"errors"
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// rawLoop owns a RawNode: everything else reaches it through channels.
type rawLoop struct {
	*common
	inbox     chan pb.Message
	proposals chan proposal
}

type proposal struct {
	data   []byte
	answer chan error
}

func newRawLoop(c *common) *rawLoop {
	return &rawLoop{common: c, inbox: make(chan pb.Message, 1024), proposals: make(chan proposal)}
}

func (l *rawLoop) run(ctx context.Context) {
	node, err := raft.NewRawNode(l.config())
	if err != nil {
		panic(err)
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for node.HasReady() {
			rd := node.Ready()
			l.save(&rd)                  // 1. save
			l.send(rd.Messages)          // 2. then send
			l.apply(rd.CommittedEntries) // 3. then apply
			node.Advance(rd)             // 4. and go on
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			node.Tick()
		case m := <-l.inbox:
			_ = node.Step(m) // an error concerns the message and not this member
		case p := <-l.proposals:
			p.answer <- node.Propose(p.data)
		}
	}
}

// receive drops what does not fit, as a network may.
func (l *rawLoop) receive(m pb.Message) {
	select {
	case l.inbox <- m:
	default:
	}
}

func (l *rawLoop) propose(ctx context.Context, text string) error {
	data, number, done := l.name(text)
	for {
		p := proposal{data: data, answer: make(chan error, 1)}
		select {
		case l.proposals <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := <-p.answer
		if err == nil {
			return l.await(ctx, number, done)
		}
		if !errors.Is(err, raft.ErrProposalDropped) {
			return err
		}
		// Nobody leads yet. It was not appended anywhere, so it may be tried again.
		select {
		case <-time.After(tick):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
