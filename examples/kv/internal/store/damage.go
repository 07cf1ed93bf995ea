package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// ErrDamaged says that a log has lost records that were on the disk. A member that went on without them
// would have forgotten what it promised.
var ErrDamaged = errors.New("store: the log is damaged")

// tornRecords is how many records a power cut can take from the end of Pebble's log, in any order: those
// that were written and not synced yet. Store.commit sees to it that there are fewer.
const tornRecords = 16

// checkLogs looks behind the place where Pebble would stop reading its newest log. Pebble takes an
// unreadable record for a write that a crash cut off, unless a later record says that more had been
// synced, and what it says there leaves out all bytes that were written without a sync of their own.
func checkLogs(fs vfs.FS, dir string) error {
	logs, err := wal.Scan(wal.Dir{FS: fs, Dirname: dir})
	if err != nil || len(logs) == 0 {
		return err
	}
	newest := logs[len(logs)-1]
	end, err := endOfLog(newest)
	if !errors.Is(err, record.ErrUnexpectedEOF) {
		return nil // it ends well, or Pebble itself will refuse it
	}
	data, err := readFile(fs, end.PhysicalFile)
	if err != nil {
		return err
	}
	if n := laterRecords(data, int(end.Physical)+1, uint32(newest.Num)); n >= tornRecords {
		return fmt.Errorf("%w: %s is unreadable at byte %d, and %d records follow", ErrDamaged,
			end.PhysicalFile, end.Physical, n)
	}
	return nil
}

// endOfLog returns where reading a log ends, and why.
func endOfLog(log wal.LogicalLog) (offset wal.Offset, err error) {
	reader := log.OpenForRead()
	defer reader.Close()
	for {
		var r io.Reader
		if r, offset, err = reader.NextRecord(); err != nil {
			return offset, err
		}
		if _, err = io.Copy(io.Discard, r); err != nil {
			return offset, err
		}
	}
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// The layout of a piece of a record: checksum (4 bytes), length (2), kind (1), number of the log (4), and
// for the second half of the kinds an offset (8). What a checksum covers begins with the kind.
const (
	pieceBlock  = 32 << 10
	pieceHeader = 11
	pieceOffset = 8
	kindsPlain  = 5 // 5 to 8: full, first, middle, last
	kindsSynced = 9 // 9 to 12
	kindsEnd    = 13
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// laterRecords counts the sound records of a log that begin in data after from.
func laterRecords(data []byte, from int, log uint32) (n int) {
	for p := from; p+pieceHeader <= len(data); p++ {
		kind := data[p+6]
		if kind < kindsPlain || kind >= kindsEnd || binary.LittleEndian.Uint32(data[p+7:]) != log {
			continue
		}
		header := pieceHeader
		if kind >= kindsSynced {
			header += pieceOffset
		}
		end := p + header + int(binary.LittleEndian.Uint16(data[p+4:]))
		if end > len(data) || end > (p/pieceBlock+1)*pieceBlock {
			continue
		}
		sum := crc32.Checksum(data[p+6:end], castagnoli)
		if sum = sum>>15 | sum<<17; sum+0xa282ead8 != binary.LittleEndian.Uint32(data[p:]) {
			continue
		}
		if first := (kind - kindsPlain) % 4; first <= 1 {
			n++
		}
		p = end - 1
	}
	return n
}
