package rafttest

import (
	"encoding/binary"
	"fmt"

	"github.com/anishathalye/porcupine"
)

// StateMachine is what committed calls change. Equal calls in equal order must
// lead to equal states and answers.
type StateMachine interface {
	// Apply does a call that writes and returns its answer.
	Apply(call []byte) []byte
	// Query answers a call that only reads.
	Query(call []byte) []byte
	// Snapshot returns the whole state.
	Snapshot() []byte
	// Restore replaces the whole state.
	Restore(snapshot []byte) error
}

// Workload is what the clients of a simulation call.
type Workload interface {
	// Call returns a call. unique is a number that no other call of the run has,
	// random draws numbers in [0, n). read says that the call goes to
	// StateMachine.Query, through a linearizable read.
	Call(unique uint32, read bool, random func(n uint64) uint64) []byte
	// Model is the sequential behaviour that the histories are checked against.
	// Inputs are the calls, outputs the answers, both []byte.
	Model() porcupine.Model
}

// registers is the default state machine: a few numbers by key. A call is an
// operation, a key, a value and an expected value.
type registers struct{ values [registerKeys]uint32 }

const (
	registerKeys = 3

	callPut = 'p' // store value
	callCAS = 'c' // store value if the expected value is there
	callGet = 'g'
)

func newRegisters() *registers { return &registers{} }

func registerCall(kind byte, key uint64, value, expected uint32) []byte {
	call := make([]byte, 10)
	call[0], call[1] = kind, byte(key)
	binary.LittleEndian.PutUint32(call[2:], value)
	binary.LittleEndian.PutUint32(call[6:], expected)
	return call
}

var (
	answerYes = []byte{1}
	answerNo  = []byte{0}
)

// do runs a call on one register's value and returns the new value and the answer.
func do(value uint32, call []byte) (uint32, []byte) {
	switch call[0] {
	case callPut:
		return binary.LittleEndian.Uint32(call[2:]), answerYes
	case callCAS:
		if value != binary.LittleEndian.Uint32(call[6:]) {
			return value, answerNo
		}
		return binary.LittleEndian.Uint32(call[2:]), answerYes
	}
	return value, binary.LittleEndian.AppendUint32(nil, value)
}

func (r *registers) Apply(call []byte) []byte {
	value := &r.values[call[1]%registerKeys]
	next, answer := do(*value, call)
	*value = next
	return answer
}

func (r *registers) Query(call []byte) []byte {
	_, answer := do(r.values[call[1]%registerKeys], call)
	return answer
}

func (r *registers) Snapshot() []byte {
	var data []byte
	for _, v := range r.values {
		data = binary.LittleEndian.AppendUint32(data, v)
	}
	return data
}

func (r *registers) Restore(data []byte) error {
	if len(data) != 4*registerKeys {
		return fmt.Errorf("a snapshot of %d bytes, want %d", len(data), 4*registerKeys)
	}
	for i := range r.values {
		r.values[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return nil
}

// registerWorkload puts unique values and compares with ones that are not too
// far away, so that some comparisons hold.
type registerWorkload struct{}

func (registerWorkload) Call(unique uint32, read bool, random func(uint64) uint64) []byte {
	key := random(registerKeys)
	switch {
	case read:
		return registerCall(callGet, key, 0, 0)
	case random(4) == 0:
		return registerCall(callCAS, key, unique, uint32(random(uint64(unique)+1)))
	}
	return registerCall(callPut, key, unique, 0)
}

func (registerWorkload) Model() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			parts := make([][]porcupine.Operation, registerKeys)
			for _, op := range history {
				key := op.Input.([]byte)[1] % registerKeys
				parts[key] = append(parts[key], op)
			}
			return parts
		},
		Init: func() any { return uint32(0) },
		Step: func(state, input, output any) (bool, any) {
			next, answer := do(state.(uint32), input.([]byte))
			return string(answer) == string(output.([]byte)), next
		},
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%s -> %v", describeCall(input.([]byte)), output)
		},
	}
}

func describeCall(call []byte) string {
	if len(call) != 10 {
		return fmt.Sprintf("%q", call)
	}
	value, expected := binary.LittleEndian.Uint32(call[2:]), binary.LittleEndian.Uint32(call[6:])
	switch call[0] {
	case callPut:
		return fmt.Sprintf("put(%d, %d)", call[1], value)
	case callCAS:
		return fmt.Sprintf("cas(%d, %d to %d)", call[1], expected, value)
	}
	return fmt.Sprintf("get(%d)", call[1])
}

// applied is the set of calls that a member has applied, so that a call that
// arrives twice works once. It is part of the member's snapshots.
type applied struct{ bits []uint64 }

// add reports whether number was new.
func (a *applied) add(number uint32) bool {
	at, bit := int(number/64), uint64(1)<<(number%64)
	for len(a.bits) <= at {
		a.bits = append(a.bits, 0)
	}
	if a.bits[at]&bit != 0 {
		return false
	}
	a.bits[at] |= bit
	return true
}

// encodeState returns the snapshot data of a member: its set of applied calls,
// then its state machine.
func encodeState(a *applied, sm StateMachine) []byte {
	var bits []uint64
	if a != nil {
		bits = a.bits
	}
	data := binary.LittleEndian.AppendUint32(nil, uint32(len(bits)))
	for _, word := range bits {
		data = binary.LittleEndian.AppendUint64(data, word)
	}
	return append(data, sm.Snapshot()...)
}

// decodeState is the inverse of encodeState.
func decodeState(data []byte, a *applied, sm StateMachine) error {
	if len(data) < 4 {
		return fmt.Errorf("a snapshot of %d bytes", len(data))
	}
	n := int(binary.LittleEndian.Uint32(data))
	data = data[4:]
	if len(data) < 8*n {
		return fmt.Errorf("a snapshot with %d bytes for %d words", len(data), n)
	}
	a.bits = a.bits[:0]
	for i := 0; i < n; i++ {
		a.bits = append(a.bits, binary.LittleEndian.Uint64(data[8*i:]))
	}
	return sm.Restore(data[8*n:])
}
