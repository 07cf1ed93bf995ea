package main

import (
	"context"
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// nodeLoop uses a Node, which any goroutine may call. The loop only carries out its Readys.
type nodeLoop struct {
	*common
	node raft.Node
}

func newNodeLoop(c *common) *nodeLoop {
	return &nodeLoop{common: c, node: raft.RestartNode(c.config())}
}

func (l *nodeLoop) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	defer l.node.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.node.Tick()
		case rd := <-l.node.Ready():
			l.save(&rd)                  // 1. save
			l.send(rd.Messages)          // 2. then send
			l.apply(rd.CommittedEntries) // 3. then apply
			l.node.Advance()             // 4. and go on
		}
	}
}

// receive must not wait for the other member's loop, which may be in the middle of sending to this one.
func (l *nodeLoop) receive(m pb.Message) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = l.node.Step(ctx, m)
	}()
}

func (l *nodeLoop) propose(ctx context.Context, text string) error {
	data, number, done := l.name(text)
	// Propose waits for a leader. A nil error does not mean yet that the entry is committed.
	if err := l.node.Propose(ctx, data); err != nil {
		return err
	}
	return l.await(ctx, number, done)
}
