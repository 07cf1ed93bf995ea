package raft

// How many items a lane makes room for at once: what is asked for, at first, and then twice as much each
// time, up to 64.
const (
	smallPieces = 4
	doublings   = 6
)

// lane is a queue of finished items: messages, or answers to reads. What is taken from it belongs to the
// host for good, so its memory is carved from larger pieces and never used again.
//
//	taken           len     cap
//	..|..............|.......|
//	  waiting         room
type lane[T any] struct {
	room   []T
	taken  int32
	pieces int32 // of memory, since the last rest
}

func (l *lane[T]) waits() bool { return len(l.room) > int(l.taken) }

func (l *lane[T]) waiting() []T { return l.room[l.taken:] }

// next adds an empty item, to be filled in before the next call.
func (l *lane[T]) next() *T {
	if len(l.room) == cap(l.room) {
		l.reserve(1)
	}
	l.room = l.room[:len(l.room)+1]
	return &l.room[len(l.room)-1]
}

// add adds items.
func (l *lane[T]) add(msgs []T) { l.room = append(l.room, msgs...) }

// reserve makes room for n more items behind those that wait.
func (l *lane[T]) reserve(n int) {
	if cap(l.room)-len(l.room) >= n {
		return
	}
	waiting := l.waiting()
	l.pieces++
	size := max(len(waiting)+max(n, len(waiting)), 1<<min(max(l.pieces-smallPieces, 0), doublings))
	l.room = append(make([]T, 0, size), waiting...)
	l.taken = 0
}

// take returns what waits, nil if nothing does.
func (l *lane[T]) take() []T {
	n := len(l.room)
	if n == int(l.taken) {
		return nil
	}
	msgs := l.room[l.taken:n:n]
	l.took(n)
	return msgs
}

// takeWith is take with a capacity for extra more items that is the caller's, too.
func (l *lane[T]) takeWith(extra int) []T {
	if extra == 0 {
		return l.take()
	}
	l.reserve(extra)
	n := len(l.room)
	msgs := l.room[l.taken : n : n+extra]
	l.took(n + extra)
	return msgs
}

// took notes that all up to n is the host's, and does not hold memory that has no more room.
func (l *lane[T]) took(n int) {
	if n == cap(l.room) {
		l.room, l.taken = nil, 0
		return
	}
	l.room, l.taken = l.room[:n], int32(n)
}

// forget drops what waits, which nobody else has seen.
func (l *lane[T]) forget() {
	clear(l.waiting())
	l.room = l.room[:l.taken]
}

// rest lets go of memory that only load justifies.
func (l *lane[T]) rest() {
	if !l.waits() {
		*l = lane[T]{}
	}
}
