package host

import (
	"fmt"
	"io"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// arrival is a snapshot that was received whole and is not in use.
type arrival struct {
	message pb.Message
	sink    SnapshotSink // or
	staged  Staged
	claimed bool
	// settle is called once, on the loop. Who is told that it was not used discards it.
	settle func(used bool, err error)
}

// receiving has the snapshot that package raft is deciding about, or that is being installed.
type receiving struct{ current *arrival }

// checkSnapshot says what is wrong with a message that a snapshot comes with.
func checkSnapshot(id uint64, m *pb.Message) error {
	switch {
	case m.To != id || raft.IsLocalMsgTarget(m.From):
		return ErrNotForUs
	case m.Type != pb.MsgSnap || m.Snapshot == nil || m.Snapshot.Metadata.Index == 0:
		return fmt.Errorf("host: ReceiveSnapshot of a %s without a snapshot", m.Type)
	case len(m.Snapshot.Data) > 0:
		return fmt.Errorf("host: a snapshot of %d bytes inside its message", len(m.Snapshot.Data))
	}
	return nil
}

// stage reads content to where it waits for its installation.
func (e *engine) stage(a *arrival, content io.Reader) (err error) {
	meta := a.message.Snapshot.Metadata
	if e.durable != nil {
		if a.staged, err = e.durable.Stage(meta, content); err != nil {
			return fmt.Errorf("host: DurableStateMachine.Stage: %w", err)
		}
		return nil
	}
	if a.sink, err = e.cfg.Snapshots.Create(meta); err != nil {
		return fmt.Errorf("host: SnapshotStore.Create: %w", err)
	}
	if _, err = io.Copy(a.sink, content); err != nil {
		_ = a.discard() // the first error is the one to tell
		return fmt.Errorf("host: receiving a snapshot: %w", err)
	}
	return nil
}

// discard removes what was received.
func (a *arrival) discard() error {
	if a.staged != nil {
		return a.staged.Discard()
	}
	return a.sink.Abort()
}

// arrived lets package raft decide about a snapshot.
func (e *engine) arrived(a *arrival) {
	if e.failure != nil {
		a.settle(false, &stoppedError{cause: e.failure})
		return
	}
	if e.receiving.current != nil {
		a.settle(false, ErrSnapshotBusy)
		return
	}
	e.receiving.current = a
	e.step(a.message)
	for e.failure == nil && e.node.HasReady() {
		e.take(e.node.Ready())
	}
	if !a.claimed {
		e.receiving.current = nil
		e.emit(Event{Kind: EventSnapshotRefused, Member: a.message.From, Index: a.message.Snapshot.Metadata.Index,
			Reason: "this member does not need it, or it is of an old leader"})
		a.settle(false, nil)
	}
}

// claim returns the content of the snapshot that package raft took.
func (r *receiving) claim(meta pb.SnapshotMetadata) *arrival {
	a := r.current
	if a == nil || a.claimed {
		return nil
	}
	if got := a.message.Snapshot.Metadata; got.Index != meta.Index || got.Term != meta.Term {
		return nil
	}
	a.claimed = true
	return a
}

func (r *receiving) abandon(err error) {
	if r.current != nil {
		r.current.settle(r.current.claimed, err)
		r.current = nil
	}
}

// mustInstallFirst reports whether g waits for a durable state machine to install its snapshot, and sees
// to it: were the log reset first, a crash would leave a state that it does not go on from.
func (e *engine) mustInstallFirst(g *saveGroup) bool {
	if g.snapshot == nil || e.durable == nil || g.installed {
		return false
	}
	if !g.queued {
		e.queueRestore(g)
	}
	return true
}

// queueRestore puts the installation behind what is being applied.
func (e *engine) queueRestore(g *saveGroup) {
	g.queued = true
	e.applies.queue = append(e.applies.queue, &applyStep{install: g})
}

// startInstall replaces the state.
func (e *engine) startInstall(g *saveGroup) {
	e.start(&Task{
		Lane: LaneApply, Name: "restore", install: g.snapshot,
		run: func() error { return e.restore(g) },
		done: func(err error) {
			if err != nil {
				e.fail(err)
				return
			}
			e.installed(g)
		},
	})
}

// restore runs on the applier.
func (e *engine) restore(g *saveGroup) error {
	meta := g.snapshot.Metadata
	switch {
	case g.arrived == nil:
		return fmt.Errorf("host: snapshot %d has no content", meta.Index)
	case e.durable == nil:
		return e.restoreFrom(meta)
	}
	if err := e.durable.Install(meta, g.arrived.staged); err != nil {
		return fmt.Errorf("host: DurableStateMachine.Install: %w", err)
	}
	return nil
}

// installed goes on with the new state.
func (e *engine) installed(g *saveGroup) {
	meta := g.snapshot.Metadata
	a, s := &e.applies, &e.snapshots
	a.applied, a.term = meta.Index, meta.Term
	e.conf, e.confIndex = meta.ConfState, meta.Index
	s.index, s.base = meta.Index, a.bytes
	if e.durable == nil {
		s.stored, s.storedSize = meta, 0
	}
	s.abandon()
	g.installed = true
	e.skipOver(meta.Index)
	e.counters.snapReceived.Add(1)
	from := uint64(0)
	if g.arrived != nil {
		from = g.arrived.message.From
		e.receiving.current = nil
		g.arrived.settle(true, nil)
	}
	e.emit(Event{Kind: EventSnapshotReceived, Member: from, Index: meta.Index})
	e.emit(Event{Kind: EventConfiguration, Index: meta.Index, Reason: raft.DescribeConfState(meta.ConfState)})
	if e.durable == nil {
		e.respond(g.responses)
	}
	e.afterApply()
}
