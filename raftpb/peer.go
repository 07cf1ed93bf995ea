package raftpb

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// responsesField is the number of Message's one recursive field.
const responsesField = 14

// messageFields are the names of Message's fields by number, for errors.
var messageFields = [...]string{
	1: "type", 2: "to", 3: "from", 4: "term", 5: "logTerm", 6: "index", 7: "entries", 8: "commit",
	9: "snapshot", 10: "reject", 11: "rejectHint", 12: "context", 13: "vote", 14: "responses",
}

// ErrPeerResponses is wrapped by the error of [UnmarshalPeer] for a message that carries Responses.
var ErrPeerResponses = errors.New("only a member's own storage threads are sent responses")

// UnmarshalPeer decodes data into m. Every transport must use it, and not [Message.Unmarshal], for
// bytes that another member sent.
//
// It refuses Responses, field 14, without looking into them: no member sends them, and each level
// of nesting costs Unmarshal a stack frame, so that some megabytes of them end the program, beyond
// any recover. Apart from that it takes exactly what Unmarshal takes, unknown fields included. It
// checks no values: that is for the receiver's Step.
//
// What m held before is replaced, not merged with. After an error, which names the field that
// cannot be read, m is zero. m shares no memory with data.
func UnmarshalPeer(data []byte, m *Message) error {
	m.Reset()
	for pos := 0; pos < len(data); {
		num, size, err := peekField(data[pos:])
		if err == nil {
			// A message is the merge of its records, so one at a time adds up to the same.
			err = m.Unmarshal(data[pos : pos+size])
		}
		if err != nil {
			m.Reset()
			return fmt.Errorf("raftpb: message from a peer: field %s at byte %d of %d: %w",
				messageFieldName(num), pos, len(data), err)
		}
		pos += size
	}
	return nil
}

// peekField returns the field number and the size of the record that data begins with. The size
// lies within data, and the record is not Responses, unless there is an error.
func peekField(data []byte) (num int32, size int, err error) {
	num, err = peekFieldNumber(data)
	if err != nil {
		return 0, 0, err
	}
	if num == responsesField {
		return num, 0, ErrPeerResponses
	}
	size, err = skipRaft(data)
	if err != nil {
		return num, 0, err
	}
	if size > len(data) {
		return num, 0, io.ErrUnexpectedEOF
	}
	return num, size, nil
}

// peekFieldNumber reads the field number of the record that data begins with. It must see what the
// generated decoder sees, which drops the tag's bits above 35: there are many ways to write 14.
func peekFieldNumber(data []byte) (int32, error) {
	var tag uint64
	for i, b := range data {
		if i == 10 {
			return 0, ErrIntOverflowRaft
		}
		tag |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return int32(tag >> 3), nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// messageFieldName writes a field number for a person: "entries (7)".
func messageFieldName(num int32) string {
	name := "unknown"
	if num > 0 && int(num) < len(messageFields) {
		name = messageFields[num]
	}
	return name + " (" + strconv.Itoa(int(num)) + ")"
}
