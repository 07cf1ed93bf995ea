package drill

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// diskMegabytes is the size of a member's file system, where it has one.
const diskMegabytes = 384

// mount gives a slot a small file system of its own, in memory.
func (s *slot) mount() error {
	if os.Geteuid() != 0 {
		return errors.New("mounting needs root")
	}
	err := run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=700", diskMegabytes), mine(), s.dir)
	s.mounted = err == nil
	return err
}

func (s *slot) unmount() error {
	if !s.mounted {
		return nil
	}
	s.mounted = false
	return run("umount", s.dir)
}

// ballast is the file that fills a member's file system.
const ballast = "ballast"

// fill writes until nothing more fits.
func fill(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, ballast), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		_, err := f.Write(block)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			block = block[:len(block)/2] // there may be room for less
		case err != nil:
			return err
		}
	}
	return nil
}

// empty makes room again.
func empty(dir string) error { return os.Remove(filepath.Join(dir, ballast)) }

// errNothingWritten says that a log holds too little to be damaged with consequences.
var errNothingWritten = errors.New("the log holds too little")

// blockBytes is the unit in which Pebble reads its log.
const blockBytes = 32 << 10

// damage changes a byte of the newest log of Pebble in a directory, and returns where. Whole blocks with
// synced records follow it: Pebble takes an unreadable record that none follow for a write that a
// crash cut off, and looks for those that follow in later blocks only.
func damage(dir string, random *rand.Rand) (string, error) {
	logs, err := wal.Scan(wal.Dir{FS: vfs.Default, Dirname: dir})
	if err != nil {
		return "", err
	}
	for i := len(logs) - 1; i >= 0; i-- {
		records, err := readRecords(logs[i])
		if err != nil {
			return "", err
		}
		early := 0
		for early < len(records) && records[early].Physical < records[len(records)-1].Physical-2*blockBytes {
			early++
		}
		if early == 0 {
			continue
		}
		at := records[random.IntN(early)]
		offset := at.Physical + 16 // behind the record's header, in what it holds
		return fmt.Sprintf("%s, byte %d", filepath.Base(at.PhysicalFile), offset), flip(at.PhysicalFile, offset)
	}
	return "", errNothingWritten
}

// readRecords returns where the sound records of a log begin.
func readRecords(log wal.LogicalLog) (out []wal.Offset, err error) {
	reader := log.OpenForRead()
	defer func() { err = errors.Join(err, reader.Close()) }()
	for {
		r, offset, err := reader.NextRecord()
		if err != nil {
			return out, nil // the end, or what a crash left there
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return out, nil
		}
		out = append(out, offset)
	}
}

// flip changes one byte of a file.
func flip(path string, offset int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		return err
	}
	b[0] ^= 0x40
	if _, err := f.WriteAt(b[:], offset); err != nil {
		return err
	}
	return f.Sync()
}
