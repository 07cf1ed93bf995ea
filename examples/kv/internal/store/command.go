package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Op says what a command does to its key.
type Op byte

// The operations of the state machine.
const (
	OpPut Op = iota + 1
	OpDelete
	// OpTxn compares, and carries out one of two lists of operations, as one change.
	OpTxn
	// OpLeaseGrant makes a lease of TTL.
	OpLeaseGrant
	// OpLeaseKeepAlive gives Lease its whole TTL again.
	OpLeaseKeepAlive
	// OpLeaseRevoke ends Lease and deletes its keys.
	OpLeaseRevoke
	// OpLeaseExpire is OpLeaseRevoke by the leader of Term, who saw nobody renew Lease since Generation.
	OpLeaseExpire
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
	// Lease is the lease that the key shall live with, or the one that a lease command is about.
	Lease uint64
	// TTL is how long a lease lives unless it is renewed; whole milliseconds count.
	TTL time.Duration
	// Generation and Term keep OpLeaseExpire from ending a lease that was renewed meanwhile, or that
	// another leader looks after.
	Generation uint64
	Term       uint64
	// Txn belongs to OpTxn.
	Txn *Txn
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
	// Refusal says why a command that names a lease had no effect.
	Refusal Refusal
	// Lease is the lease that was granted or renewed.
	Lease Lease
	// Succeeded reports whether all comparisons of a transaction held, and Answers has one element for
	// each operation that was carried out.
	Succeeded bool
	Answers   []OpAnswer
}

// Refusal says why a command had no effect although it was well-formed.
type Refusal string

// The refusals of the state machine.
const (
	RefusedNoLease       Refusal = "there is no such lease"
	RefusedTooManyLeases Refusal = "there are too many leases"
	RefusedTooManyKeys   Refusal = "the lease has too many keys"
)

// Puts and deletions without a lease are written as the first version did; everything else has a
// version that it refuses, instead of taking it for something else.
const (
	commandVersion  = 1
	extendedVersion = 2
)

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
	version := byte(commandVersion)
	if c.extended() {
		version = extendedVersion
	}
	out = append(out, version, byte(c.Op), flag)
	out = binary.BigEndian.AppendUint64(out, c.ID.Origin)
	out = binary.BigEndian.AppendUint64(out, c.ID.Seq)
	out = binary.BigEndian.AppendUint64(out, expect)
	if version == extendedVersion {
		out = binary.AppendUvarint(out, c.Lease)
		out = binary.AppendUvarint(out, uint64(c.TTL.Milliseconds()))
		out = binary.AppendUvarint(out, c.Generation)
		out = binary.AppendUvarint(out, c.Term)
	}
	out = appendBytes(out, c.Key)
	if c.Txn != nil {
		return c.Txn.append(out)
	}
	return append(out, c.Value...)
}

// extended reports whether the first version has no words for the command.
func (c Command) extended() bool { return c.Op > OpDelete || c.Lease != 0 }

// DecodeCommand reads what Encode wrote. Values point into data.
func DecodeCommand(data []byte) (Command, error) {
	if len(data) < headerSize {
		return Command{}, fmt.Errorf("%w: %d bytes", errBadCommand, len(data))
	}
	c := Command{Op: Op(data[1])}
	newest := OpDelete
	switch data[0] {
	case commandVersion:
	case extendedVersion:
		newest = OpLeaseExpire
	default:
		return Command{}, fmt.Errorf("%w: version %d", errBadCommand, data[0])
	}
	if c.Op < OpPut || c.Op > newest {
		return Command{}, fmt.Errorf("%w: operation %d", errBadCommand, data[1])
	}
	c.ID.Origin = binary.BigEndian.Uint64(data[3:])
	c.ID.Seq = binary.BigEndian.Uint64(data[11:])
	if data[2] != 0 {
		expect := binary.BigEndian.Uint64(data[19:])
		c.Expect = &expect
	}
	r := reader{rest: data[headerSize:]}
	if data[0] == extendedVersion {
		c.Lease = r.number()
		c.TTL = time.Duration(min(r.number(), maxTTLMillis)) * time.Millisecond
		c.Generation, c.Term = r.number(), r.number()
	}
	c.Key = string(r.bytes())
	if c.Op == OpTxn {
		c.Txn = r.txn()
	} else if !r.bad {
		c.Value = r.rest
	}
	if r.bad {
		return Command{}, fmt.Errorf("%w: lengths", errBadCommand)
	}
	return c, nil
}

// reader takes fields from the front of rest. After the first one that does not fit, bad is true and
// all others are zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// bytes returns a byte string that has its length in front.
func (r *reader) bytes() []byte {
	size := r.number()
	if size > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	out := r.rest[:size:size]
	r.rest = r.rest[size:]
	return out
}

// count returns how many elements follow, each of at least one byte.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return 0
	}
	return int(n)
}

func appendBytes[T string | []byte](out []byte, s T) []byte {
	out = binary.AppendUvarint(out, uint64(len(s)))
	return append(out, s...)
}
