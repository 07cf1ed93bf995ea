package raft

import pb "quorate.example/raft/raftpb"

// maxChunk is how many messages a lane makes room for at once, under load.
const maxChunk = 64

// lane is a queue of finished messages. What is taken from it belongs to the host for good, so its
// memory is carved from larger pieces and never used again.
//
//	taken           len     cap
//	..|..............|.......|
//	  waiting         room
type lane struct {
	room  []pb.Message
	taken int32
	chunk int32 // the newest piece holds so many
}

func (l *lane) waits() bool { return len(l.room) > int(l.taken) }

func (l *lane) waiting() []pb.Message { return l.room[l.taken:] }

// next adds an empty message, to be filled in before the next call.
func (l *lane) next() *pb.Message {
	if len(l.room) == cap(l.room) {
		l.reserve(1)
	}
	l.room = l.room[:len(l.room)+1]
	return &l.room[len(l.room)-1]
}

// add adds messages.
func (l *lane) add(msgs []pb.Message) { l.room = append(l.room, msgs...) }

// reserve makes room for n more messages behind those that wait.
func (l *lane) reserve(n int) {
	if cap(l.room)-len(l.room) >= n {
		return
	}
	waiting := l.waiting()
	l.chunk = max(int32(len(waiting)+n), min(2*l.chunk, maxChunk))
	l.room = append(make([]pb.Message, 0, l.chunk), waiting...)
	l.taken = 0
}

// take returns what waits, nil if nothing does.
func (l *lane) take() []pb.Message {
	n := len(l.room)
	if n == int(l.taken) {
		return nil
	}
	msgs := l.room[l.taken:n:n]
	l.taken = int32(n)
	return msgs
}

// takeWith is take with a capacity for extra more messages that is the caller's, too.
func (l *lane) takeWith(extra int) []pb.Message {
	if extra == 0 {
		return l.take()
	}
	l.reserve(extra)
	n := len(l.room)
	msgs := l.room[l.taken : n : n+extra]
	l.room = l.room[:n+extra]
	l.taken = int32(n + extra)
	return msgs
}

// forget drops what waits, which nobody else has seen.
func (l *lane) forget() {
	clear(l.waiting())
	l.room = l.room[:l.taken]
}

// rest lets go of memory that only load justifies.
func (l *lane) rest() {
	if !l.waits() {
		*l = lane{}
	}
}
