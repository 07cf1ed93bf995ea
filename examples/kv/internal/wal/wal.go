// Package wal keeps a Raft log, with term, vote and commit index, in files of its own. What is saved together
// is one record, which a crash leaves whole or not at all.
//
// Records fill segments, one file after the other, each of full length before it is used. Segments whose
// entries are compacted are used again. So a sync writes data and nothing else; a file that grows, or a tree
// that keeps entries in order, costs several times as much.
//
// A power cut may take what was not synced, in any order of blocks. What was synced must be there: Open tells a
// torn end from damage by the records behind it, each of which says how much was on the disk when it was
// written. See record.go for the layout.
package wal

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	pb "quorate.example/raft/raftpb"
)

// ErrDamaged says that records are gone that were on the disk. A member that went on without them would have
// forgotten what it promised.
var ErrDamaged = errors.New("wal: the log is damaged")

// Options says where a log lives.
type Options struct {
	// Dir is the directory, which is made if it does not exist. Nothing else may be in it.
	Dir string
	// FS replaces the disk, for tests; nil is the disk.
	FS vfs.FS
	// SegmentBytes is the length of a segment. Zero means 16 MiB. A larger write has a longer one.
	SegmentBytes int
	// MustExist makes it an error that there is no log.
	MustExist bool
	// CacheBytes bounds the newest entries that are also held in memory. Zero means 16 MiB.
	CacheBytes int
}

// Log is a log that is open. One goroutine at a time may call Save, Compact and Close, any number the other
// methods meanwhile.
type Log struct {
	files files

	// The writer's.
	segments []*segment // oldest first; the newest is written to
	offset   int64      // in the newest, of the next record
	number   uint64     // of the last record
	dead     uint64     // the highest that a record had which is not of the log any more, or number
	durable  uint64     // of the last record that is on the disk
	begun    bool       // a record was written in this life
	prepared bool       // there is a spare for the next segment, or will be
	late     bool       // the commit index is not written
	buffer   []byte
	places   []place
	failure  error

	mu      sync.RWMutex // held by the writer to change what follows
	hard    pb.HardState
	outline outline
	views   map[*View]struct{}
}

// Open opens the log in o.Dir, making a new one if there is none. It returns ErrDamaged if the log has lost
// what it once had.
func Open(o Options) (*Log, error) {
	l := newLog(o)
	if err := l.open(o.MustExist); err != nil {
		return nil, errors.Join(fmt.Errorf("wal: open %s: %w", o.Dir, err), l.closeFiles())
	}
	return l, nil
}

func newLog(o Options) *Log {
	return &Log{
		files:   files{fs: cmp.Or(o.FS, vfs.Default), dir: o.Dir, size: int64(cmp.Or(o.SegmentBytes, 16<<20))},
		outline: outline{cacheLimit: cmp.Or(o.CacheBytes, 16<<20)},
		views:   map[*View]struct{}{},
	}
}

func (l *Log) open(mustExist bool) (err error) {
	f := &l.files
	if err := f.openDir(); err != nil {
		return err
	}
	if l.segments, err = f.list(); err != nil {
		return err
	}
	if err := l.replay(); err != nil {
		return err
	}
	switch {
	case len(l.segments) > 0:
		return nil
	case mustExist:
		return fmt.Errorf("%w: it is gone", ErrDamaged)
	}
	return l.nextSegment(1)
}

// Close closes the log, and returns when everything is on the disk. Nobody may be reading.
func (l *Log) Close() error {
	if l.failure != nil {
		return l.closeFiles()
	}
	return errors.Join(l.Flush(), l.closeFiles())
}

func (l *Log) closeFiles() error {
	var err error
	for _, s := range l.segments {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
	}
	if l.files.root != nil {
		err = errors.Join(err, l.files.close())
	}
	return err
}
