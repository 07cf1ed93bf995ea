package rafttest

// eventKind says what an entry of the queue is about.
type eventKind uint8

const (
	eventTick    eventKind = iota // a member's clock ticks
	eventDeliver                  // a message arrives; arg is its slot
	eventDisk                     // a member's disk finished a stage
	eventAction                   // an action of the schedule is due; arg is its position
	eventTimer                    // a function is due; arg is its slot
)

// event is something that is due at a moment of virtual time.
type event struct {
	at   int64 // microseconds
	seq  uint64
	arg  uint32
	life uint32 // the process it is for; a later one ignores it
	who  uint16
	kind eventKind
}

// before is a total order: seq never repeats.
func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

// eventQueue is a heap with four children a node, the soonest event on top.
type eventQueue struct {
	heap []event
	seq  uint64
}

func (q *eventQueue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

// pop removes the soonest event. The queue must not be empty.
func (q *eventQueue) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap = q.heap[:n]
	if n > 0 {
		q.sift(last)
	}
	return top
}

// sift puts e where the top is missing.
func (q *eventQueue) sift(e event) {
	h := q.heap
	i := 0
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		child := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].before(&h[child]) {
				child = c
			}
		}
		if !h[child].before(&e) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = e
}
