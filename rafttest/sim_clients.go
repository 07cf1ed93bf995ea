package rafttest

import (
	"encoding/binary"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	clientCount = 4
	// patience is how long a client waits for an answer, in microseconds.
	patience = 30 * TickMicros
)

// clients call members and remember what they were told.
type clients struct {
	w     *world
	all   [clientCount]client
	calls []clientCall
	model porcupine.Model
	clock int64 // orders calls and answers
}

type client struct {
	busy   bool
	number uint32 // of its last call
	hint   uint64 // who answered last
}

// callState says what is known of a call.
type callState uint8

const (
	callOpen    callState = iota
	callDone              // answered
	callRefused           // certainly never done
	callLost              // nobody waits any more; a write may still be done
)

// clientCall is one call. Its number is its position in clients.calls.
type clientCall struct {
	input     []byte
	output    []byte
	member    uint64
	client    int
	read      bool
	state     callState
	called    int64  // by clients.clock
	returned  int64  // by clients.clock
	committed uint64 // what was committed when a read was asked
	effective bool   // a write that some member has applied, with that output
	since     int64  // microseconds
}

// waiting has the reads that a process has taken.
type waiting struct{ reads []waitingRead }

type waitingRead struct {
	number uint32
	index  uint64
}

func (c *clients) init(w *world) {
	c.w = w
	c.model = w.sim.Workload.Model()
}

func (c *clients) tick() int64 {
	c.clock++
	return c.clock
}

// call makes one client call one member, unless the client still waits.
func (c *clients) call(src *source) {
	who := int(src.below(clientCount))
	cl := &c.all[who]
	if cl.busy && c.w.now-c.calls[cl.number].since < patience {
		return
	}
	if cl.busy {
		c.giveUp(cl)
	}
	m := c.w.members[min(cl.hint, maxMembers)]
	if m == nil || !m.running() || src.below(4) == 0 {
		if m = c.w.pickLive(src); m == nil {
			return
		}
	}
	read := src.chance(c.w.profile.ReadChance)
	c.start(who, m, read, src)
}

// start makes a call and returns its number.
func (c *clients) start(who int, m *Member, read bool, src *source) uint32 {
	number := uint32(len(c.calls))
	c.calls = append(c.calls, clientCall{
		input:     c.w.sim.Workload.Call(number+1, read, src.below),
		member:    m.id,
		client:    who,
		read:      read,
		called:    c.tick(),
		committed: c.w.oracle.committed,
		since:     c.w.now,
	})
	if who < clientCount {
		c.all[who].busy, c.all[who].number = true, number
	}
	c.w.trace.call(c.w, m, &c.calls[number])
	m.orLater(func() { c.take(m, number) })
	return number
}

// take hands a call to the member that it is for.
func (c *clients) take(m *Member, number uint32) {
	call := &c.calls[number]
	if call.state != callOpen {
		return
	}
	data := binary.LittleEndian.AppendUint32(make([]byte, 0, 16), number)
	if call.read {
		m.node.ReadIndex(data)
		m.waiting.reads = append(m.waiting.reads, waitingRead{number: number})
		return
	}
	if err := m.node.Propose(append(data, call.input...)); err != nil {
		c.close(number, callRefused)
	}
}

// applied notes the answer of the state machine of m to a write. The first
// member that applies it makes it effective; the one that was called answers.
func (c *clients) applied(m *Member, number uint32, output []byte) {
	if int(number) >= len(c.calls) {
		return
	}
	call := &c.calls[number]
	if !call.effective {
		call.effective, call.output = true, append([]byte(nil), output...)
		call.returned = c.tick()
	} else if string(call.output) != string(output) {
		c.w.fail(OracleStateMachine, m, "call %d was answered %v here and %v elsewhere",
			number, output, call.output)
	}
	if call.member == m.id && call.state == callOpen {
		call.returned = c.tick()
		c.w.stats.Writes++
		c.close(number, callDone)
	}
}

// confirmed notes that m may answer a read once it has applied index.
func (c *clients) confirmed(m *Member, number uint32, index uint64) {
	if index == 0 {
		return
	}
	for i := range m.waiting.reads {
		if r := &m.waiting.reads[i]; r.number == number && r.index == 0 {
			r.index = index
			c.w.oracle.read(m, &c.calls[number], index)
		}
	}
}

// serveReads answers the reads whose index is applied.
func (c *clients) serveReads(m *Member) {
	if len(m.waiting.reads) == 0 {
		return
	}
	kept := m.waiting.reads[:0]
	for _, r := range m.waiting.reads {
		call := &c.calls[r.number]
		if call.state != callOpen {
			continue
		}
		if r.index == 0 || r.index > m.applied {
			kept = append(kept, r)
			continue
		}
		call.output = m.machine.Query(call.input)
		call.returned = c.tick()
		c.w.stats.Reads++
		c.close(r.number, callDone)
	}
	m.waiting.reads = kept
}

// abandoned ends the calls that a process that ended had taken: their client
// sees the connection break.
func (c *clients) abandoned(m *Member) {
	for who := range c.all {
		cl := &c.all[who]
		if cl.busy && c.calls[cl.number].member == m.id {
			c.giveUp(cl)
		}
	}
}

func (c *clients) giveUp(cl *client) {
	cl.hint = 0
	c.close(cl.number, callLost)
}

func (c *clients) close(number uint32, state callState) {
	call := &c.calls[number]
	if call.state != callOpen {
		return
	}
	call.state = state
	c.w.trace.answer(c.w, call)
	if call.client >= clientCount {
		return
	}
	cl := &c.all[call.client]
	cl.busy = false
	switch state {
	case callDone:
		cl.hint = call.member
	default:
		cl.hint = 0
	}
}

// checkHistory asks porcupine whether what the clients were told can have
// happened one call after the other. A write that nobody waited for any longer
// counts if a member applied it, and then as done by that time: from there on
// all reads must see it.
func (c *clients) checkHistory() {
	if c.w.violation != nil {
		return
	}
	var history []porcupine.Operation
	for i := range c.calls {
		call := &c.calls[i]
		if call.state != callDone && !call.effective {
			continue
		}
		history = append(history, porcupine.Operation{
			ClientId: call.client, Input: call.input, Output: call.output,
			Call: call.called, Return: call.returned,
		})
	}
	if porcupine.CheckOperationsTimeout(c.model, history, 10*time.Second) == porcupine.Illegal {
		c.w.fail(OracleLinearizable, nil, "no order of the clients' %d calls explains their answers",
			len(history))
	}
}
