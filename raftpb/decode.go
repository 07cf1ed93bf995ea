package raftpb

import (
	"encoding/binary"
	"slices"
)

// Tags as encoders write them: a record's field number and wire type in one byte.
const (
	entriesTag   = 7<<3 | 2
	responsesTag = responsesField<<3 | 2

	entryTypeTag  = 1 << 3
	entryTermTag  = 2 << 3
	entryIndexTag = 3 << 3
	entryDataTag  = 4<<3 | 2
)

const (
	// maxBlock is how many bytes entries of one message share at most, and with it what one of them
	// can keep in memory after the others have gone.
	maxBlock = 4 << 10
	// maxShort is the longest entry that shares a block. What is longer costs little more alone.
	maxShort = maxBlock / 8
)

// Unmarshal merges data into m: fields that data does not hold keep their values, and Entries and
// Responses grow. m shares no memory with data, but the Data of several short entries lies in one block
// of at most 4 KiB. Each has its capacity cut to its length, so that appending to one copies it.
func (m *Message) Unmarshal(data []byte) error {
	entries, _ := survey(data)
	return m.unmarshal(data, entries)
}

// unmarshal is Unmarshal of data in which survey has found so many entries. What is unusual is left to
// the generated decoder: a message is the merge of its records, so it may be decoded in parts.
func (m *Message) unmarshal(data []byte, entries int) error {
	if entries > 0 {
		var err error
		if data, err = m.unmarshalUsual(data, len(m.Entries)+entries); err != nil {
			return err
		}
	}
	return m.unmarshalGenerated(data)
}

// unmarshalUsual decodes until m has so many entries, or up to the first that is unusual inside, and
// returns what is left.
func (m *Message) unmarshalUsual(data []byte, entries int) (rest []byte, err error) {
	others := 0 // where the records begin that are neither entries nor decoded
	for pos := 0; len(m.Entries) < entries; {
		if data[pos] != entriesTag {
			_, size := usualRecord(data[pos:])
			pos += size
			continue
		}
		if err := m.unmarshalGenerated(data[others:pos]); err != nil {
			return nil, err
		}
		m.makeRoom(entries)
		size, ok := m.takeEntries(data[pos:])
		pos += size
		others = pos
		if !ok {
			break
		}
	}
	return data[others:], nil
}

// makeRoom makes room for so many entries, those included that are there.
func (m *Message) makeRoom(entries int) {
	if m.Entries == nil {
		m.Entries = make([]Entry, 0, entries)
	}
	m.Entries = slices.Grow(m.Entries, entries-len(m.Entries))
}

// takeEntries decodes the entry that data begins with, and the short ones that follow if it is short
// itself. It returns how much it has decoded, and whether it did not meet an unusual one.
func (m *Message) takeEntries(data []byte) (size int, ok bool) {
	size = shortEntries(data)
	if size == 0 {
		return m.takeLongEntry(data)
	}
	block := append([]byte(nil), data[:size]...)
	for pos := 0; pos < size; {
		head, n := usualRecord(block[pos:])
		if !m.takeEntry(block[pos+head : pos+n]) {
			return pos, false
		}
		pos += n
	}
	return size, true
}

// shortEntries returns the size of the short entries that data begins with and that fit into a block.
func shortEntries(data []byte) (size int) {
	for size < len(data) && data[size] == entriesTag {
		_, n := usualRecord(data[size:])
		if n == 0 || n > maxShort || size+n > maxBlock {
			break
		}
		size += n
	}
	return size
}

func (m *Message) takeLongEntry(data []byte) (size int, ok bool) {
	head, size := usualRecord(data)
	if !m.takeEntry(data[head:size]) {
		return 0, false
	}
	if e := &m.Entries[len(m.Entries)-1]; len(e.Data) > 0 {
		e.Data = append([]byte(nil), e.Data...)
	}
	return size, true
}

// takeEntry decodes data into a new entry, for which there is room and whose Data stays in data. It
// reports whether it could.
func (m *Message) takeEntry(data []byte) bool {
	last := len(m.Entries)
	m.Entries = m.Entries[:last+1]
	e := &m.Entries[last]
	*e = Entry{}
	if !e.unmarshalUsual(data) {
		m.Entries = m.Entries[:last]
		return false
	}
	return true
}

// unmarshalUsual decodes data into e, with Data in data. It knows what encoders write, and gives up on
// everything else.
func (e *Entry) unmarshalUsual(data []byte) bool {
	for len(data) > 1 {
		tag, value, n := data[0], uint64(data[1]), 1
		if value >= 0x80 {
			if value, n = binary.Uvarint(data[1:]); n <= 0 {
				return false
			}
		}
		data = data[1+n:]
		switch tag {
		case entryTypeTag:
			e.Type = EntryType(value)
		case entryTermTag:
			e.Term = value
		case entryIndexTag:
			e.Index = value
		case entryDataTag:
			if value > uint64(len(data)) {
				return false
			}
			e.Data = []byte{}
			if value > 0 {
				e.Data = data[:value:value]
			}
			data = data[value:]
		default:
			return false
		}
	}
	return len(data) == 0
}

// survey counts the entries before the first record that is unusual. isPlain says that there is no such
// record, and no Responses.
func survey(data []byte) (entries int, isPlain bool) {
	isPlain = true
	for len(data) > 0 {
		_, size := usualRecord(data)
		if size == 0 {
			return entries, false
		}
		switch data[0] {
		case entriesTag:
			entries++
		case responsesTag:
			isPlain = false
		}
		data = data[size:]
	}
	return entries, isPlain
}

// usualRecord returns the size of the record that data begins with, and of its head, which is all
// but the bytes of an embedded message. The size is 0 if it is not what encoders write for a field
// of Message.
func usualRecord(data []byte) (head, size int) {
	if len(data) < 2 {
		return 0, 0
	}
	tag, value, n := data[0], uint64(data[1]), 1
	if value >= 0x80 {
		value, n = binary.Uvarint(data[1:])
	}
	head = 1 + n
	switch {
	case tag < 1<<3 || tag >= 0x80 || n <= 0:
		return 0, 0
	case tag&7 == 0:
		return head, head
	case tag&7 != 2 || value > uint64(len(data)-head):
		return 0, 0
	}
	return head, head + int(value)
}
