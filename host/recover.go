package host

import (
	"fmt"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// recoverState brings state machine and log to where they agree after whatever ended the last life, and
// returns where the state stands.
//
// A snapshot of another member is made durable first and the log is reset after it, so a crash between the
// two leaves a log that the state has left behind: it is reset now.
func (e *engine) recoverState() (pb.SnapshotMetadata, error) {
	meta, err := e.cfg.StateMachine.Applied()
	if err != nil {
		return meta, fmt.Errorf("host: StateMachine.Applied: %w", err)
	}
	if e.cfg.Snapshots != nil {
		if meta, err = e.restoreNewest(meta); err != nil {
			return meta, err
		}
	}
	connected, err := e.logConnects(meta)
	if err != nil || connected {
		return meta, err
	}
	hard, _, err := e.cfg.Log.InitialState()
	if err != nil {
		return meta, fmt.Errorf("host: LogStore.InitialState: %w", err)
	}
	w := Write{Snapshot: &meta, HardState: raised(hard, meta), Sync: true}
	if err := e.cfg.Log.Save(w); err != nil {
		return meta, fmt.Errorf("host: LogStore.Save: %w", err)
	}
	return meta, nil
}

// restoreNewest restores the newest stored snapshot if it is ahead of the state.
func (e *engine) restoreNewest(meta pb.SnapshotMetadata) (pb.SnapshotMetadata, error) {
	newest, err := e.cfg.Snapshots.Newest()
	if err != nil {
		return meta, fmt.Errorf("host: SnapshotStore.Newest: %w", err)
	}
	if newest.Index <= meta.Index {
		return meta, nil
	}
	return newest, e.restoreFrom(newest)
}

func (e *engine) restoreFrom(meta pb.SnapshotMetadata) error {
	content, err := e.cfg.Snapshots.Open(meta)
	if err != nil {
		return fmt.Errorf("host: SnapshotStore.Open: %w", err)
	}
	defer content.Close()
	if err := e.cfg.StateMachine.Restore(meta, content); err != nil {
		return fmt.Errorf("host: StateMachine.Restore: %w", err)
	}
	return nil
}

// logConnects reports whether the log goes on where the state stands.
func (e *engine) logConnects(meta pb.SnapshotMetadata) (bool, error) {
	first, err := e.cfg.Log.FirstIndex()
	if err != nil {
		return false, fmt.Errorf("host: LogStore.FirstIndex: %w", err)
	}
	last, err := e.cfg.Log.LastIndex()
	if err != nil {
		return false, fmt.Errorf("host: LogStore.LastIndex: %w", err)
	}
	switch {
	case meta.Index+1 < first:
		return false, fmt.Errorf("host: the state ends at index %d and the log begins at %d: entries are missing",
			meta.Index, first)
	case meta.Index == 0:
		return true, nil
	case meta.Index > last:
		return false, nil
	}
	term, err := e.cfg.Log.Term(meta.Index)
	if err != nil {
		return false, fmt.Errorf("host: LogStore.Term(%d): %w", meta.Index, err)
	}
	return term == meta.Term, nil
}

// raised returns hard with at least the term and commit index that a snapshot implies.
func raised(hard pb.HardState, meta pb.SnapshotMetadata) pb.HardState {
	if hard.Term < meta.Term {
		hard.Term, hard.Vote = meta.Term, raft.None
	}
	hard.Commit = max(hard.Commit, meta.Index)
	return hard
}

// logView is the log as package raft sees it: the configuration and the snapshots are the state machine's.
type logView struct {
	LogStore
	e     *engine
	start pb.SnapshotMetadata
}

// InitialState returns the saved HardState, which may be behind what is applied: a commit index is not synced.
func (l *logView) InitialState() (pb.HardState, pb.ConfState, error) {
	hard, _, err := l.LogStore.InitialState()
	if l.start.Index > 0 {
		hard = raised(hard, l.start)
	}
	return hard, l.start.ConfState, err
}

// Snapshot returns where the snapshot stands that would be sent now.
func (l *logView) Snapshot() (pb.Snapshot, error) { return l.e.offerSnapshot() }
