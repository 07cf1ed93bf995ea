package host

import (
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// saves is what waits for the log writer. What gathers while a Save runs is written together by the next one,
// and shares its sync.
type saves struct {
	queue     []*saveGroup // a group without a snapshot grows until it is started
	compactTo uint64       // 0: nothing to remove
	syncing   bool         // entries are being written
}

// saveGroup is one call of Save.
type saveGroup struct {
	write     Write
	responses []pb.Message
	snapshot  *pb.Snapshot // to be installed
	arrived   *arrival     // its content; nil if it is in snapshot
	queued    bool         // for its installation
	installed bool
}

// queueSave takes a MsgStorageAppend.
func (e *engine) queueSave(m *pb.Message) {
	s := &e.saves
	var g *saveGroup
	if n := len(s.queue); n > 0 && m.Snapshot == nil && s.queue[n-1].snapshot == nil {
		g = s.queue[n-1]
	} else {
		g = &saveGroup{}
		s.queue = append(s.queue, g)
	}
	if m.Snapshot != nil {
		meta := m.Snapshot.Metadata
		g.snapshot, g.write.Snapshot, g.write.Sync = m.Snapshot, &meta, true
		g.arrived = e.receiving.claim(meta)
	}
	g.add(m)
}

// add merges a write into the group: entries replace those at their indexes and above.
func (g *saveGroup) add(m *pb.Message) {
	w := &g.write
	switch {
	case len(m.Entries) == 0:
	case len(w.Entries) == 0 || m.Entries[0].Index <= w.Entries[0].Index:
		w.Entries = m.Entries
	default:
		keep := min(m.Entries[0].Index-w.Entries[0].Index, uint64(len(w.Entries)))
		w.Entries = append(w.Entries[:keep:keep], m.Entries...)
	}
	if hard := (pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}); !raft.IsEmptyHardState(hard) {
		w.HardState = hard
	}
	w.Sync = w.Sync || len(m.Responses) > 0
	g.responses = append(g.responses, m.Responses...)
}

// startSave gives the log writer its next task, and reports whether there was one.
func (e *engine) startSave() bool {
	s := &e.saves
	switch {
	case e.busy[LaneLog]:
		return false
	case len(s.queue) > 0 && e.mustInstallFirst(s.queue[0]):
		return false
	case len(s.queue) > 0:
		g := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		e.startGroup(g)
		return true
	case s.compactTo > 0:
		e.startCompact()
		return true
	}
	return false
}

func (e *engine) startGroup(g *saveGroup) {
	t := &Task{Lane: LaneLog, Name: "save", Entries: len(g.write.Entries), Sync: g.write.Sync, write: &g.write}
	for i := range g.write.Entries {
		t.Bytes += len(g.write.Entries[i].Data)
	}
	e.saves.syncing = len(g.write.Entries) > 0
	t.run = func() error { return e.save(g) }
	t.done = func(err error) {
		e.saves.syncing, e.proposals.overdue = false, false
		if err != nil {
			e.fail(err)
			return
		}
		e.saved(g)
	}
	e.start(t)
}

// save runs on the log writer.
func (e *engine) save(g *saveGroup) error {
	if g.arrived != nil && g.arrived.sink != nil {
		if err := g.arrived.sink.Commit(); err != nil {
			return fmt.Errorf("host: SnapshotSink.Commit: %w", err)
		}
	}
	begin := e.now()
	if err := e.cfg.Log.Save(g.write); err != nil {
		return fmt.Errorf("host: LogStore.Save: %w", err)
	}
	c := e.counters
	c.saves.Add(1)
	if g.write.Sync {
		c.syncs.Add(1)
		c.saveTime.observeTime(e.now().Sub(begin))
		c.batch.observe(uint64(len(g.write.Entries)))
	}
	return nil
}

// saved goes on when a group is on disk. A state that was received is restored before the answers leave: they
// say that it is applied.
func (e *engine) saved(g *saveGroup) {
	if g.snapshot != nil && !g.installed {
		e.queueRestore(g)
		return
	}
	e.respond(g.responses)
}

func (e *engine) startCompact() {
	to := e.saves.compactTo
	e.saves.compactTo = 0
	e.start(&Task{
		Lane: LaneLog, Name: "compact",
		run: func() error {
			if first, err := e.cfg.Log.FirstIndex(); err != nil || to < first {
				return err
			}
			return e.cfg.Log.Compact(to)
		},
		done: func(err error) {
			if err != nil {
				e.fail(fmt.Errorf("host: LogStore.Compact: %w", err))
				return
			}
			e.emit(Event{Kind: EventCompacted, Index: to})
		},
	})
}
