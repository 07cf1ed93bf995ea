package raftpb

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

const (
	typeField = 1
	fromField = 3
	// responsesField is the number of Message's one recursive field.
	responsesField = 14
)

// firstLocalID is the lower of the two IDs that stand for a member's own storage threads.
const firstLocalID = math.MaxUint64 - 1

// messageFields are the names of Message's fields by number, for errors.
var messageFields = [...]string{
	1: "type", 2: "to", 3: "from", 4: "term", 5: "logTerm", 6: "index", 7: "entries", 8: "commit",
	9: "snapshot", 10: "reject", 11: "rejectHint", 12: "context", 13: "vote", 14: "responses",
}

// Errors of [UnmarshalPeer], wrapped with the field that is wrong. They work with errors.Is.
var (
	// ErrPeerResponses is for a message that carries Responses.
	ErrPeerResponses = errors.New("only a member's own storage threads are sent responses")
	// ErrPeerLocal is for a message that only the receiver itself can have made.
	ErrPeerLocal = errors.New("only a member itself makes such a message")
)

// UnmarshalPeer decodes data into m. Every transport must use it, and not [Message.Unmarshal], for
// bytes that another member sent.
//
// It refuses Responses, field 14, without looking into them: no member sends them, and each level
// of nesting costs Unmarshal a stack frame, so that some megabytes of them end the program, beyond
// any recover. It also refuses what would pass for the receiver's own: types that never leave a
// member, MsgHup (the type of a message without one) and MsgStorageAppendResp among them, and the
// storage threads as sender. Apart from that it takes exactly what Unmarshal takes, unknown fields
// included; other values are checked by the receiver's Step.
//
// What m held before is replaced, not merged with. After an error, which names the field, m is zero.
// m shares no memory with data.
func UnmarshalPeer(data []byte, m *Message) error {
	m.Reset()
	err := decodePeer(data, m)
	if err == nil {
		err = m.checkPeer()
	}
	if err != nil {
		m.Reset()
		return fmt.Errorf("raftpb: message from a peer: %w", err)
	}
	return nil
}

func decodePeer(data []byte, m *Message) error {
	if entries, isPlain := survey(data); isPlain && m.unmarshal(data, entries) == nil {
		return nil
	}
	m.Reset() // and now find out what is wrong, or slowly decode what is merely unusual
	for pos := 0; pos < len(data); {
		num, size, err := peekField(data[pos:])
		if err == nil {
			// A message is the merge of its records, so one at a time adds up to the same.
			err = m.Unmarshal(data[pos : pos+size])
		}
		if err != nil {
			return fmt.Errorf("field %s at byte %d of %d: %w", messageFieldName(num), pos, len(data), err)
		}
		pos += size
	}
	return nil
}

// checkPeer looks at m as a whole: a later record may have replaced an earlier one.
func (m *Message) checkPeer() error {
	switch {
	case m.Type.staysHome():
		return fmt.Errorf("field %s is %s: %w", messageFieldName(typeField), m.Type, ErrPeerLocal)
	case m.From >= firstLocalID:
		return fmt.Errorf("field %s is %d: %w", messageFieldName(fromField), m.From, ErrPeerLocal)
	}
	return nil
}

// staysHome reports whether messages of this type never leave the member that made them.
func (t MessageType) staysHome() bool {
	switch t {
	case MsgHup, MsgBeat, MsgUnreachable, MsgSnapStatus, MsgCheckQuorum,
		MsgStorageAppend, MsgStorageAppendResp, MsgStorageApply, MsgStorageApplyResp:
		return true
	}
	return false
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
