package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/wal"
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

// damage changes a byte of a member's log, and returns where: in a record that later ones say was on the disk.
func damage(dir string, random *rand.Rand) (string, error) {
	records, err := wal.Records(wal.Options{Dir: filepath.Join(dir, store.LogDirectory)})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(records) == 0 {
		return "", errNothingWritten
	}
	if err != nil {
		return "", err
	}
	n := 0
	for durable := records[len(records)-1].Durable; n < len(records) && records[n].Number <= durable; n++ {
	}
	if n == 0 {
		return "", errNothingWritten
	}
	at := records[random.IntN(n)]
	offset := at.Offset + random.Int64N(int64(at.Length))
	return fmt.Sprintf("%s, byte %d", filepath.Base(at.Path), offset), flip(at.Path, offset)
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
