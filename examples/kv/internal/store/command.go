package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Op says what a command does to its key.
type Op byte

// The operations of the state machine.
const (
	OpPut Op = iota + 1
	OpDelete
)

// RequestID names one command in the whole cluster. Origin is drawn at random each time a member
// starts, so that a member never takes a command of its earlier life for one that somebody waits for.
type RequestID struct {
	Origin uint64
	Seq    uint64
}

// Command is what one log entry asks of the state machine.
type Command struct {
	ID    RequestID
	Op    Op
	Key   string
	Value []byte
	// Expect, when not nil, is the revision that the key must have for the command to take effect; 0
	// means that the key must not exist.
	Expect *uint64
}

// Result is what a command did; every member comes to the same one.
type Result struct {
	ID RequestID
	// Revision is the store's revision after the command.
	Revision uint64
	// Changed reports whether the command took effect; a conflict and the deletion of a key that does
	// not exist change nothing.
	Changed bool
	// Conflict reports whether Expect did not hold.
	Conflict bool
	// Found is the revision that the key had before the command, 0 if it did not exist.
	Found uint64
}

const commandVersion = 1

// headerSize covers version, op, a flag for Expect, and the three numbers.
const headerSize = 3 + 3*8

var errBadCommand = errors.New("store: malformed command")

// Encode returns the command as the data of a log entry.
func (c Command) Encode() []byte {
	out := make([]byte, 0, headerSize+binary.MaxVarintLen32+len(c.Key)+len(c.Value))
	flag, expect := byte(0), uint64(0)
	if c.Expect != nil {
		flag, expect = 1, *c.Expect
	}
	out = append(out, commandVersion, byte(c.Op), flag)
	out = binary.BigEndian.AppendUint64(out, c.ID.Origin)
	out = binary.BigEndian.AppendUint64(out, c.ID.Seq)
	out = binary.BigEndian.AppendUint64(out, expect)
	out = binary.AppendUvarint(out, uint64(len(c.Key)))
	out = append(out, c.Key...)
	return append(out, c.Value...)
}

// DecodeCommand reads what Encode wrote. Value points into data.
func DecodeCommand(data []byte) (Command, error) {
	if len(data) < headerSize {
		return Command{}, fmt.Errorf("%w: %d bytes", errBadCommand, len(data))
	}
	if data[0] != commandVersion {
		return Command{}, fmt.Errorf("%w: version %d", errBadCommand, data[0])
	}
	c := Command{Op: Op(data[1])}
	if c.Op != OpPut && c.Op != OpDelete {
		return Command{}, fmt.Errorf("%w: operation %d", errBadCommand, data[1])
	}
	c.ID.Origin = binary.BigEndian.Uint64(data[3:])
	c.ID.Seq = binary.BigEndian.Uint64(data[11:])
	if data[2] != 0 {
		expect := binary.BigEndian.Uint64(data[19:])
		c.Expect = &expect
	}
	rest := data[headerSize:]
	size, n := binary.Uvarint(rest)
	if n <= 0 || size > uint64(len(rest)-n) {
		return Command{}, fmt.Errorf("%w: key length", errBadCommand)
	}
	c.Key = string(rest[n : n+int(size)])
	c.Value = rest[n+int(size):]
	return c, nil
}
