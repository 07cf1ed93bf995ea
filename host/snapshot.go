package host

import (
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// markBytes is how far apart the log's marks are.
const markBytes = 64 << 10

// snapshots is when the state was saved last, and what of the log may go.
type snapshots struct {
	index   uint64 // the state up to here is safe without the log
	base    uint64 // applies.bytes as of index
	running bool   // one is being captured or written
	wanted  bool   // a member needs one that is newer than what is there

	stored     pb.SnapshotMetadata // the newest in the SnapshotStore
	storedSize int64
	held       *held // captured for another member, by a DurableStateMachine

	failures int
	retryAt  uint64 // in ticks

	appended uint64 // bytes of all entries appended in this life
	marks    []logMark
}

// logMark says how many bytes had been appended up to an index.
type logMark struct{ index, bytes uint64 }

// held is a captured state that waits for its stream.
type held struct {
	meta     pb.SnapshotMetadata
	snapshot Snapshot
	until    uint64 // in ticks
}

// mark notes entries that are appended.
func (s *snapshots) mark(entries []pb.Entry) {
	for len(s.marks) > 0 && s.marks[len(s.marks)-1].index >= entries[0].Index {
		s.marks = s.marks[:len(s.marks)-1]
	}
	for i := range entries {
		s.appended += uint64(len(entries[i].Data)) + 16
		if n := len(s.marks); n == 0 || s.appended-s.marks[n-1].bytes >= markBytes {
			s.marks = append(s.marks, logMark{entries[i].Index, s.appended})
		}
	}
}

// tailStart returns the index up to which the log holds more than limit bytes after it, as far as is known.
func (s *snapshots) tailStart(limit uint64) uint64 {
	start := uint64(0)
	for _, m := range s.marks {
		if s.appended-m.bytes < limit {
			break
		}
		start = m.index
	}
	return start
}

// forget drops the marks up to index.
func (s *snapshots) forget(index uint64) {
	n := 0
	for n < len(s.marks) && s.marks[n].index < index {
		n++
	}
	s.marks = append([]logMark(nil), s.marks[n:]...)
}

// due reports whether enough was applied since the state was saved last.
func (e *engine) snapshotDue() bool {
	s, a := &e.snapshots, &e.applies
	if a.applied <= s.index {
		return false
	}
	return a.applied-s.index >= e.cfg.SnapshotEntries || a.bytes-s.base >= uint64(e.cfg.SnapshotBytes)
}

// startCapture lets the applier save or capture the state if that is due, and reports whether it did.
func (e *engine) startCapture() bool {
	s := &e.snapshots
	if s.running || e.ticks < s.retryAt || e.applies.applied == 0 {
		return false
	}
	switch {
	case e.durable != nil && e.snapshotDue():
		e.startCheckpoint()
	case e.durable != nil && s.wanted && s.held == nil, e.durable == nil && (s.wanted || e.snapshotDue()):
		e.capture()
	default:
		return false
	}
	return true
}

// capture takes the state between two applications.
func (e *engine) capture() {
	s, a := &e.snapshots, &e.applies
	s.running, s.wanted = true, false
	meta := pb.SnapshotMetadata{Index: a.applied, Term: a.term, ConfState: e.conf}
	base := a.bytes
	var snapshot Snapshot
	e.start(&Task{
		Lane: LaneApply, Name: "capture",
		run: func() (err error) {
			snapshot, err = e.cfg.StateMachine.Snapshot()
			return err
		},
		drop: func() {
			if snapshot != nil {
				snapshot.Release()
			}
		},
		done: func(err error) {
			switch {
			case err != nil:
				e.snapshotFailed(fmt.Errorf("StateMachine.Snapshot: %w", err))
			case e.durable != nil:
				s.running = false
				s.held = &held{meta: meta, snapshot: snapshot, until: e.ticks + 2*uint64(e.cfg.ElectionTicks)}
			default:
				e.store(meta, base, snapshot)
			}
		},
	})
}

// store writes a captured state to the SnapshotStore.
func (e *engine) store(meta pb.SnapshotMetadata, base uint64, snapshot Snapshot) {
	var size int64
	e.start(&Task{
		Lane: LaneSnapshot, Name: "write snapshot",
		run: func() (err error) {
			size, err = writeSnapshot(e.cfg.Snapshots, meta, snapshot)
			return err
		},
		done: func(err error) {
			if err != nil {
				e.snapshotFailed(err)
				return
			}
			if s := &e.snapshots; meta.Index > s.stored.Index {
				s.stored, s.storedSize = meta, size
			}
			e.snapshotTaken(meta.Index, base)
		},
	})
}

func writeSnapshot(to SnapshotStore, meta pb.SnapshotMetadata, from Snapshot) (int64, error) {
	defer from.Release()
	sink, err := to.Create(meta)
	if err != nil {
		return 0, fmt.Errorf("SnapshotStore.Create: %w", err)
	}
	size, err := from.WriteTo(sink)
	if err != nil {
		_ = sink.Abort() // the first error is the one to tell
		return size, fmt.Errorf("writing the snapshot: %w", err)
	}
	if err := sink.Commit(); err != nil {
		return size, fmt.Errorf("SnapshotSink.Commit: %w", err)
	}
	return size, nil
}

// startCheckpoint asks a durable state machine how much of the log it no longer needs.
func (e *engine) startCheckpoint() {
	e.snapshots.running = true
	base := e.applies.bytes
	var index uint64
	e.start(&Task{
		Lane: LaneApply, Name: "checkpoint",
		run: func() (err error) {
			index, err = e.durable.Checkpoint()
			return err
		},
		done: func(err error) {
			if err != nil {
				e.snapshotFailed(fmt.Errorf("DurableStateMachine.Checkpoint: %w", err))
				return
			}
			e.snapshotTaken(min(index, e.applies.applied), base)
		},
	})
}

// snapshotTaken notes that the state up to index is safe, and shortens the log.
func (e *engine) snapshotTaken(index, base uint64) {
	s := &e.snapshots
	s.running, s.failures = false, 0
	s.index, s.base = max(s.index, index), max(s.base, base)
	e.counters.snapTaken.Add(1)
	e.emit(Event{Kind: EventSnapshotTaken, Index: index})
	e.shortenLog()
}

// shortenLog has the log writer remove what nobody is likely to need.
func (e *engine) shortenLog() {
	s := &e.snapshots
	to := s.index
	if e.cfg.TailBytes >= 0 {
		to -= min(to, e.cfg.TailEntries)
		to = max(to, min(s.index, s.tailStart(uint64(e.cfg.TailBytes))))
	}
	// Package raft reads on from what it was told to be applied, which may be less: a configuration change
	// cuts what it handed out in two.
	to = min(e.keepForSlow(to), e.node.BasicStatus().Applied)
	if to > 0 {
		e.saves.compactTo = max(e.saves.compactTo, to)
		s.forget(to)
	}
}

// How much of the log is kept for members that follow slowly, as a multiple of what makes a snapshot due. Were
// it nothing, a member that takes longer to install a snapshot than the group to outgrow its tail would get one
// snapshot after the other.
const (
	slowEntries = 16
	slowBytes   = 8
)

// keepForSlow returns up to where the log may go when members that answer are to find what they need next.
func (e *engine) keepForSlow(to uint64) uint64 {
	s := &e.snapshots
	first, err := e.cfg.Log.FirstIndex()
	if err != nil || e.role.RaftState != raft.StateLeader {
		return to
	}
	keep := to
	for _, x := range e.sending.streams {
		keep = min(keep, x.meta.Index)
	}
	e.eachMember(func(id uint64, p *tracker.Progress) {
		if has := max(p.Match, p.PendingSnapshot); has+1 >= first && e.heardLately(id) {
			keep = min(keep, has)
		}
	})
	least := s.index - min(s.index, slowEntries*e.cfg.SnapshotEntries)
	least = max(least, s.tailStart(slowBytes*uint64(e.cfg.SnapshotBytes)))
	return max(keep, min(to, least))
}

// snapshotFailed tries again after a while that doubles.
func (e *engine) snapshotFailed(err error) {
	s := &e.snapshots
	s.running, s.wanted = false, true
	s.retryAt = e.ticks + e.backoff(s.failures)
	s.failures++
	e.counters.snapFailed.Add(1)
	e.emit(Event{Kind: EventSnapshotFailed, Member: e.cfg.ID, Reason: err.Error()})
}

// backoff returns how many ticks to wait after so many failures.
func (e *engine) backoff(failures int) uint64 {
	ticks := uint64(e.cfg.ElectionTicks) << uint(min(failures, 6))
	return ticks/2 + e.random.next()%ticks
}

// tickSnapshots lets go of a captured state that nobody came for.
func (e *engine) tickSnapshots() {
	if h := e.snapshots.held; h != nil && e.ticks >= h.until {
		e.snapshots.abandon()
	}
}

func (s *snapshots) abandon() {
	if s.held != nil {
		s.held.snapshot.Release()
		s.held = nil
	}
}
