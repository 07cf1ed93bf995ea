package wal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segment is one file of the log. It is as long as it will ever be before the first record is written to it,
// so that a sync finds nothing to do but data: the file system has no length and no blocks to note.
type segment struct {
	path   string
	from   uint64 // number of its first record, a head, or below
	before uint64 // number of the record before that
	last   uint64 // the highest index of an entry in it
	file   vfs.File
}

const (
	segmentSuffix = ".seg"
	sparePrefix   = "spare-"
	unfinished    = ".tmp"

	zeroBytes = 1 << 20
	maxSpares = 2
)

func (s *segment) name() string { return fmt.Sprintf("%016x-%016x%s", s.from, s.before, segmentSuffix) }

// parseSegment returns the segment of a name, or nil.
func parseSegment(name string) *segment {
	s := &segment{}
	if n, err := fmt.Sscanf(name, "%016x-%016x", &s.from, &s.before); n != 2 || err != nil || s.name() != name {
		return nil
	}
	return s
}

// files makes segments, and uses those again that the log has done with.
type files struct {
	fs   vfs.FS
	dir  string
	size int64 // of a segment
	root vfs.File

	mu     sync.Mutex
	spares []string // names
	serial uint64   // of the last spare
	making sync.WaitGroup
	busy   bool
}

func (f *files) path(name string) string { return f.fs.PathJoin(f.dir, name) }

// openDir makes the directory if there is none.
func (f *files) openDir() (err error) {
	if err := f.fs.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	parent, err := f.fs.OpenDir(f.fs.PathDir(f.dir))
	if err != nil {
		return err
	}
	if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return err
	}
	f.root, err = f.fs.OpenDir(f.dir)
	return err
}

// adoptSpare takes over a spare of an earlier life, if it is whole.
func (f *files) adoptSpare(name string) error {
	var serial uint64
	if _, err := fmt.Sscanf(name, sparePrefix+"%d", &serial); err != nil || strings.HasSuffix(name, unfinished) {
		return f.fs.Remove(f.path(name))
	}
	f.serial = max(f.serial, serial)
	info, err := f.fs.Stat(f.path(name))
	if err != nil {
		return err
	}
	if info.Size() < f.size || len(f.spares) >= maxSpares {
		return f.fs.Remove(f.path(name))
	}
	f.spares = append(f.spares, name)
	return nil
}

// create returns an empty segment, whose records begin with a number and follow the one before.
func (f *files) create(from, before uint64) (*segment, error) {
	s := &segment{from: from, before: before}
	s.path = f.path(s.name())
	spare := f.takeSpare()
	if spare == "" {
		spare = s.path + unfinished
		if err := f.zeros(spare); err != nil {
			return nil, err
		}
	}
	if err := f.fs.Rename(spare, s.path); err != nil {
		return nil, err
	}
	// What is written to it must be found under its new name only.
	if err := f.root.Sync(); err != nil {
		return nil, err
	}
	var err error
	s.file, err = f.fs.OpenReadWrite(s.path, vfs.WriteCategoryUnspecified)
	return s, err
}

func (f *files) takeSpare() (path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.spares); n > 0 {
		path = f.path(f.spares[n-1])
		f.spares = f.spares[:n-1]
	}
	return path
}

// prepare makes a spare if there is none, while the log goes on. If there is no room for it, a segment is made
// when it is needed, or not.
func (f *files) prepare() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy || len(f.spares) > 0 {
		return
	}
	f.busy = true
	f.serial++
	name := fmt.Sprint(sparePrefix, f.serial)
	f.making.Add(1)
	go func() {
		defer f.making.Done()
		err := f.zeros(f.path(name + unfinished))
		if err == nil {
			err = f.fs.Rename(f.path(name+unfinished), f.path(name))
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.busy = false
		if err == nil {
			f.spares = append(f.spares, name)
		}
	}()
}

// zeros makes a file of zeros. If that fails it leaves none.
func (f *files) zeros(path string) error {
	file, err := f.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	block := make([]byte, min(zeroBytes, f.size))
	for left := f.size; left > 0 && err == nil; left -= int64(len(block)) {
		_, err = file.Write(block[:min(left, int64(len(block)))])
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, f.fs.Remove(path))
	}
	return nil
}

// drop takes a segment out of the log, for good. Segments go oldest first, each on the disk before the next:
// a gap would look like damage.
func (f *files) drop(s *segment) error {
	if err := s.file.Close(); err != nil {
		return err
	}
	if err := f.retire(s); err != nil {
		return err
	}
	return f.root.Sync()
}

// retire makes a segment a spare, or removes it.
func (f *files) retire(s *segment) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := f.fs.Stat(s.path)
	if err != nil {
		return err
	}
	if info.Size() < f.size || len(f.spares) >= maxSpares {
		return f.fs.Remove(s.path)
	}
	f.serial++
	name := fmt.Sprint(sparePrefix, f.serial)
	if err := f.fs.Rename(s.path, f.path(name)); err != nil {
		return err
	}
	f.spares = append(f.spares, name)
	return nil
}

// segments returns those among names, in their order.
func (f *files) segments(names []string) (out []*segment) {
	slices.Sort(names)
	for _, name := range names {
		if s := parseSegment(name); s != nil {
			s.path = f.path(name)
			out = append(out, s)
		}
	}
	return out
}

// list returns the segments that are there, without looking into them, and sees to spares.
func (f *files) list() ([]*segment, error) {
	names, err := f.fs.List(f.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, sparePrefix):
			err = f.adoptSpare(name)
		case strings.HasSuffix(name, segmentSuffix+unfinished):
			err = f.fs.Remove(f.path(name))
		}
		if err != nil {
			return nil, err
		}
	}
	return f.segments(names), nil
}

// close waits for a spare that is being made.
func (f *files) close() error {
	f.making.Wait()
	return f.root.Close()
}
