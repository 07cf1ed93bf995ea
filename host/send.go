package host

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// sending is the snapshots on their way to other members.
type sending struct {
	streams  map[uint64]*stream // by member
	failures map[uint64]int     // in a row, by member
	delayed  []delayedReport
	bytes    int64
}

// stream is one of them.
type stream struct {
	to     uint64
	meta   pb.SnapshotMetadata
	size   int64
	cancel context.CancelFunc
	sent   atomic.Int64 // bytes
	told   int64
}

// delayedReport is a failure that package raft is told after a while, since it then asks for another one.
type delayedReport struct {
	to uint64
	at uint64 // in ticks
}

// offerSnapshot returns where the snapshot stands that a member can be sent now. It is asked within calls of
// package raft.
func (e *engine) offerSnapshot() (pb.Snapshot, error) {
	s := &e.snapshots
	var meta pb.SnapshotMetadata
	size := s.storedSize
	switch {
	case e.durable == nil:
		meta = s.stored
	case s.held != nil:
		meta, size = s.held.meta, sizeOf(s.held.snapshot, e.cfg.MaxSnapshotBytes)
	}
	first, err := e.cfg.Log.FirstIndex()
	if err != nil {
		return pb.Snapshot{}, err
	}
	if meta.Index == 0 || meta.Index+1 < first || meta.Index < e.confIndex {
		// An older one may not know the member that it is for.
		s.abandon()
		s.wanted = true
		return pb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	if len(e.sending.streams) > 0 && e.sending.bytes+size > e.cfg.MaxSnapshotBytes {
		return pb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	return pb.Snapshot{Metadata: meta}, nil
}

// sizeOf returns how large a captured state is; four of unknown size fit into the limit.
func sizeOf(s Snapshot, limit int64) int64 {
	if sized, ok := s.(interface{ Size() int64 }); ok {
		return sized.Size()
	}
	return limit / 4
}

// sendSnapshot starts the stream that a MsgSnap asks for.
func (e *engine) sendSnapshot(m pb.Message) {
	s := &e.snapshots
	meta := m.Snapshot.Metadata
	x := &stream{to: m.To, meta: meta, size: s.storedSize}
	var content io.WriterTo
	release := func() {}
	switch {
	case e.sending.streams[m.To] != nil:
		e.reportLater(m.To, 1)
		return
	case e.durable == nil:
		content = storedContent{store: e.cfg.Snapshots, meta: meta}
	case s.held != nil && s.held.meta.Index == meta.Index:
		content, release = s.held.snapshot, s.held.snapshot.Release
		x.size = sizeOf(s.held.snapshot, e.cfg.MaxSnapshotBytes)
		s.held = nil
	default: // another member has just got it
		s.wanted = true
		e.reportLater(m.To, 1)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	e.sending.streams[m.To] = x
	e.sending.bytes += x.size
	release = sync.OnceFunc(release)
	e.tasks = append(e.tasks, &Task{
		Lane: LaneStream, Name: "send snapshot", Bytes: int(x.size), drop: release,
		run: func() error {
			defer release()
			return e.cfg.Transport.SendSnapshot(ctx, m, &countedContent{content: content, sent: &x.sent})
		},
		done: func(err error) { e.streamEnded(x, err) },
	})
}

// streamEnded tells package raft how a stream ended.
func (e *engine) streamEnded(x *stream, err error) {
	x.cancel()
	delete(e.sending.streams, x.to)
	e.sending.bytes -= x.size
	if err == nil {
		delete(e.sending.failures, x.to)
		e.counters.snapSent.Add(1)
		e.emit(Event{Kind: EventSnapshotSent, Member: x.to, Index: x.meta.Index})
		e.node.ReportSnapshot(x.to, raft.SnapshotFinish)
		return
	}
	if e.sending.failures == nil {
		e.sending.failures = map[uint64]int{}
	}
	n := e.sending.failures[x.to]
	e.sending.failures[x.to] = n + 1
	if !errors.Is(err, context.Canceled) {
		e.counters.snapFailed.Add(1)
		e.emit(Event{Kind: EventSnapshotFailed, Member: x.to, Index: x.meta.Index, Reason: err.Error()})
	}
	e.reportLater(x.to, e.backoff(n))
}

func (e *engine) reportLater(to, ticks uint64) {
	e.sending.delayed = append(e.sending.delayed, delayedReport{to: to, at: e.ticks + ticks})
}

// tickStreams tells of progress, so that a long stream is not taken for a lost one, and of failures whose
// time has come.
func (e *engine) tickStreams() {
	for _, x := range e.sending.inOrder() {
		if sent := x.sent.Load(); sent > x.told {
			x.told = sent
			e.node.ReportSnapshot(x.to, raft.SnapshotInProgress)
		}
		if !member(&e.conf, x.to) {
			x.cancel()
		}
	}
	kept := e.sending.delayed[:0]
	for _, d := range e.sending.delayed {
		if e.ticks >= d.at {
			e.node.ReportSnapshot(d.to, raft.SnapshotFailure)
		} else {
			kept = append(kept, d)
		}
	}
	e.sending.delayed = kept
}

// inOrder returns the streams by member.
func (s *sending) inOrder() []*stream {
	out := make([]*stream, 0, len(s.streams))
	for _, x := range s.streams {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b *stream) int { return cmp.Compare(a.to, b.to) })
	return out
}

// abandon ends all streams. Their tasks come to an end by it.
func (s *sending) abandon() {
	for _, x := range s.streams {
		x.cancel()
	}
}

// storedContent reads a snapshot out of the store.
type storedContent struct {
	store SnapshotStore
	meta  pb.SnapshotMetadata
}

// WriteTo copies the snapshot to w.
func (c storedContent) WriteTo(w io.Writer) (int64, error) {
	from, err := c.store.Open(c.meta)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	return io.Copy(w, from)
}

// countedContent counts what leaves.
type countedContent struct {
	content io.WriterTo
	sent    *atomic.Int64
}

// WriteTo writes the content to w.
func (c *countedContent) WriteTo(w io.Writer) (int64, error) {
	return c.content.WriteTo(countingWriter{w, c.sent})
}

type countingWriter struct {
	w    io.Writer
	sent *atomic.Int64
}

func (c countingWriter) Write(data []byte) (int, error) {
	n, err := c.w.Write(data)
	c.sent.Add(int64(n))
	return n, err
}
