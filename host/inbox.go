package host

import (
	"context"
	"sync"

	pb "quorate.example/raft/raftpb"
)

// inbox is where other goroutines leave what is for the loop. The loop takes all of it at once.
type inbox struct {
	limit int // bytes of messages
	wake  chan struct{}

	mu     sync.Mutex
	closed bool
	in     input
	room   chan struct{} // closed when messages are taken; nil if nobody waits for it
}

// input is what gathered.
type input struct {
	messages  []pb.Message
	bytes     int // of messages
	proposals []*proposal
	reads     []*read
	calls     []func()
	finished  []*Task
	lost      []uint64 // members to whom messages were lost
}

func newInbox(limit int) *inbox {
	return &inbox{limit: limit, wake: make(chan struct{}, 1)}
}

// put lets add leave something, and reports whether the loop will see it.
func (b *inbox) put(add func(*input)) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	add(&b.in)
	b.mu.Unlock()
	b.ring()
	return true
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// message leaves a message. While there is no room it waits; when ctx ends the message is dropped.
func (b *inbox) message(ctx context.Context, m pb.Message, size int) error {
	for {
		b.mu.Lock()
		switch {
		case b.closed:
			b.mu.Unlock()
			return ErrStopped
		case b.in.bytes == 0 || b.in.bytes+size <= b.limit:
			b.in.messages = append(b.in.messages, m)
			b.in.bytes += size
			b.mu.Unlock()
			b.ring()
			return nil
		}
		if b.room == nil {
			b.room = make(chan struct{})
		}
		room := b.room
		b.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return dropped(DropQueueFull, ctx.Err())
		}
	}
}

// take empties the inbox.
func (b *inbox) take() input {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.takeLocked()
}

func (b *inbox) takeLocked() input {
	in := b.in
	b.in = input{}
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
	return in
}

// close empties the inbox for the last time.
func (b *inbox) close() input {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.takeLocked()
}
