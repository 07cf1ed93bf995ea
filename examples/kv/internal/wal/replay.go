package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quorate.example/raft"
)

// replayed is a record that was found.
type replayed struct {
	segment *segment
	offset  int64
	length  int
	number  uint64
	durable uint64
	record
	places []place
}

// replay reads all segments, and goes on where they end.
func (l *Log) replay() error {
	records, err := l.readAll()
	if err != nil || len(records) == 0 {
		return err
	}
	// What is compacted in the end need not be there, nor what is before a reset.
	o, void := &l.outline, 0
	for i := range records {
		if s := records[i].start; s != nil && s.Index >= o.start.Index {
			o.start = *s
		}
		if records[i].reset {
			void = i
		}
	}
	all := l.segments
	l.segments = all[:1]
	for i := range records {
		r := &records[i]
		for l.newest() != r.segment {
			l.segments = all[:len(l.segments)+1]
		}
		if r.hard != nil {
			l.hard = *r.hard
		}
		if i < void {
			continue
		}
		if err := l.take(&r.record, r.places); err != nil {
			return fmt.Errorf("%w: %s, byte %d: %w", ErrDamaged, r.segment.path, r.offset, err)
		}
	}
	l.segments = all
	// What was read may never have been synced, and is counted on from now on.
	if err := l.newest().file.SyncData(); err != nil {
		return err
	}
	l.durable = l.number
	return nil
}

// readAll returns the records of all segments.
func (l *Log) readAll() (all []replayed, err error) {
	for i, s := range l.segments {
		newest := i == len(l.segments)-1
		if s.file, err = l.files.fs.OpenReadWrite(s.path, vfs.WriteCategoryUnspecified); err != nil {
			return nil, err
		}
		data, err := contents(s.file)
		if err != nil {
			return nil, err
		}
		before := l.number
		found, err := l.scan(s, data, i == 0)
		switch {
		case i > 0 && before != s.before:
			return nil, fmt.Errorf("%w: %s ends with record %d, not with %d", ErrDamaged, l.segments[i-1].path,
				before, s.before)
		case err != nil:
			return nil, err
		case len(found) == 0 && !newest:
			return nil, fmt.Errorf("%w: %s does not begin with a record", ErrDamaged, s.path)
		}
		all = append(all, found...)
		if newest {
			if err := l.checkEnd(s, data); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func contents(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

// scan returns the records of a segment up to where they end: at one that is not whole, or that was there
// before the segment was used again.
func (l *Log) scan(s *segment, data []byte, oldest bool) (out []replayed, err error) {
	for l.offset = 0; ; {
		at := data[l.offset:]
		number, length, ok := sound(at)
		if !ok || number <= l.number || number < s.from {
			return out, nil
		}
		r := replayed{segment: s, offset: l.offset, length: length, number: number, durable: durableOf(at)}
		if r.record, r.places, err = decode(at[:length], l.offset); err != nil {
			return nil, fmt.Errorf("%w: %s, byte %d: %w", ErrDamaged, s.path, l.offset, err)
		}
		first := l.offset == 0
		switch {
		case !r.head && (first || number != l.number+1):
			return out, nil
		case r.head && r.before != l.number && !(first && oldest):
			return nil, fmt.Errorf("%w: %s, byte %d: record %d follows %d, not %d", ErrDamaged, s.path, l.offset,
				number, l.number, r.before)
		}
		out = append(out, r)
		l.number = number
		l.offset += int64(length)
	}
}

// farthest is how much higher than the last record one can be numbered that is still of this log.
const farthest = lifeJump << 10

// checkEnd looks behind the end of the newest segment. A crash may leave whole records there, which are dead: what
// is written from now on is numbered above them, so that none of them can follow it. But none may say that more
// was on the disk than can be read now.
func (l *Log) checkEnd(s *segment, data []byte) error {
	l.dead = l.number
	for p := int(l.offset); p+headerSize < len(data); p++ {
		number := binary.LittleEndian.Uint64(data[p+numberAt:])
		if number <= l.number || number-l.number > farthest {
			continue
		}
		if _, _, ok := sound(data[p:]); !ok {
			continue
		}
		if durable := durableOf(data[p:]); durable > l.number {
			return fmt.Errorf("%w: %s is unreadable at byte %d, and record %d at byte %d says that %d was on the disk",
				ErrDamaged, s.path, l.offset, number, p, durable)
		}
		l.dead = max(l.dead, number)
	}
	return nil
}

// RecordAt says where a record is.
type RecordAt struct {
	Path   string
	Offset int64
	Length int
	// Number counts records. A record says that all up to Durable were on the disk when it was written.
	Number, Durable uint64
}

// Records returns where the records of a log are that nobody has open, for tools that look into it. It changes
// nothing.
func Records(o Options) ([]RecordAt, error) {
	l := newLog(o)
	names, err := l.files.fs.List(o.Dir)
	if err != nil {
		return nil, err
	}
	l.segments = l.files.segments(names)
	found, err := l.readAll()
	out := make([]RecordAt, len(found))
	for i, r := range found {
		out[i] = RecordAt{Path: r.segment.path, Offset: r.offset, Length: r.length, Number: r.number, Durable: r.durable}
	}
	return out, errors.Join(err, l.closeFiles())
}

// errGap says that entries are missing.
func errGap(index, last uint64) error {
	return fmt.Errorf("entry %d follows entry %d: %w", index, last, raft.ErrUnavailable)
}
