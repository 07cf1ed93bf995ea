// Package stream lets many requests for single keys share one connection: requests and answers are frames, each
// with the number of its request, and answers come in any order. What gathers while a write to the connection
// is under way leaves with the next one, so that a request costs no system calls of its own.
//
// A connection begins as HTTP: GET /stream with "Connection: Upgrade" and "Upgrade: quorate-kv/1", answered with
// 101. A frame is the length of what follows, 4 bytes in network order, and then
//
//	request: number, op (1 byte), flags (1 byte), timeout in ms, expected revision, lease, length of key, key, value
//	answer:  number, status, revision, flags (1 byte), body
//
// where numbers without a size are varints, a status is that of HTTP, and the body is the value of a get or the
// JSON of an error. An answer with number 0 is about the connection, which ends with it.
package stream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Protocol is what the header Upgrade says, and Path is where it is said.
const (
	Protocol = "quorate-kv/1"
	Path     = "/stream"
)

// Op says what a request does with its key.
type Op byte

// The operations.
const (
	OpGet Op = iota + 1
	OpPut
	OpDelete
)

// Request is about one key.
type Request struct {
	Op  Op
	Key string
	// Value belongs to OpPut.
	Value []byte
	// Expect, if not nil, is the revision that the key must have for a change; 0: it must not exist.
	Expect *uint64
	// Lease is the lease that a put attaches the key to.
	Lease uint64
	// Stale says that a get need not be linearizable.
	Stale bool
	// Timeout is the deadline, in whole milliseconds; 0 leaves it to the member.
	Timeout time.Duration
}

// Answer is what came of a request.
type Answer struct {
	// Code is a status of HTTP.
	Code int
	// Revision is the key's.
	Revision uint64
	// Changed reports whether a delete found the key.
	Changed bool
	// Body is the value of a get, or the JSON of an error.
	Body []byte
}

// lengthBytes is the size of what tells the length of a frame.
const lengthBytes = 4

const (
	flagExpect byte = 1 << iota
	flagStale
)

const flagChanged byte = 1

var (
	errMalformed = errors.New("stream: malformed frame")
	errTooLarge  = errors.New("stream: the frame is too large")
)

// appendRequest appends a frame to out.
func appendRequest(out []byte, number uint64, r *Request) []byte {
	begin := len(out)
	out = append(out, 0, 0, 0, 0)
	flags, expect := byte(0), uint64(0)
	if r.Expect != nil {
		flags, expect = flagExpect, *r.Expect
	}
	if r.Stale {
		flags |= flagStale
	}
	out = binary.AppendUvarint(out, number)
	out = append(out, byte(r.Op), flags)
	out = binary.AppendUvarint(out, uint64(r.Timeout.Milliseconds()))
	out = binary.AppendUvarint(out, expect)
	out = binary.AppendUvarint(out, r.Lease)
	out = binary.AppendUvarint(out, uint64(len(r.Key)))
	out = append(append(out, r.Key...), r.Value...)
	binary.BigEndian.PutUint32(out[begin:], uint32(len(out)-begin-lengthBytes))
	return out
}

// maxTimeout keeps a timeout from overflowing; who answers has limits of its own.
const maxTimeout = time.Hour

// parseRequest reads what appendRequest wrote after the length. The value points into data.
func parseRequest(data []byte) (number uint64, r Request, err error) {
	f := fields{rest: data}
	number = f.number()
	r.Op = Op(f.byte())
	flags := f.byte()
	r.Timeout = time.Duration(min(f.number(), uint64(maxTimeout.Milliseconds()))) * time.Millisecond
	expect := f.number()
	if flags&flagExpect != 0 {
		r.Expect = &expect
	}
	r.Stale = flags&flagStale != 0
	r.Lease = f.number()
	if size := f.number(); size <= uint64(len(f.rest)) {
		r.Key, r.Value = string(f.rest[:size]), f.rest[size:]
	} else {
		f.bad = true
	}
	if f.bad || r.Op < OpGet || r.Op > OpDelete || flags > flagExpect|flagStale || number == 0 {
		err = errMalformed
	}
	return number, r, err
}

// appendAnswer appends a frame to out.
func appendAnswer(out []byte, number uint64, a *Answer) []byte {
	begin := len(out)
	out = append(out, 0, 0, 0, 0)
	out = binary.AppendUvarint(out, number)
	out = binary.AppendUvarint(out, uint64(a.Code))
	out = binary.AppendUvarint(out, a.Revision)
	flags := byte(0)
	if a.Changed {
		flags = flagChanged
	}
	out = append(append(out, flags), a.Body...)
	binary.BigEndian.PutUint32(out[begin:], uint32(len(out)-begin-lengthBytes))
	return out
}

// parseAnswer reads what appendAnswer wrote after the length. The body points into data.
func parseAnswer(data []byte) (number uint64, a Answer, err error) {
	f := fields{rest: data}
	number = f.number()
	code := f.number()
	a.Revision = f.number()
	a.Changed = f.byte()&flagChanged != 0
	a.Code, a.Body = int(code), f.rest
	if f.bad || code < 100 || code > 599 {
		err = errMalformed
	}
	return number, a, err
}

// readFrame reads what follows a length into buffer, or into a larger one.
func readFrame(from *bufio.Reader, buffer []byte, limit int) ([]byte, error) {
	head, err := from.Peek(lengthBytes)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return buffer, err
	}
	size := binary.BigEndian.Uint32(head)
	if uint64(size) > uint64(limit) {
		return buffer, fmt.Errorf("%w: %d bytes, and %d are allowed", errTooLarge, size, limit)
	}
	_, _ = from.Discard(lengthBytes) // they are there
	if cap(buffer) < int(size) {
		buffer = make([]byte, size)
	}
	buffer = buffer[:size]
	if _, err := io.ReadFull(from, buffer); err != nil {
		return buffer, io.ErrUnexpectedEOF
	}
	return buffer, nil
}

// fields takes numbers from the front of rest. After the first that is not there, bad is true and all others are
// zero.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() uint64 {
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		f.bad, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

func (f *fields) byte() byte {
	if len(f.rest) == 0 {
		f.bad = true
		return 0
	}
	b := f.rest[0]
	f.rest = f.rest[1:]
	return b
}
