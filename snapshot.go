package raft

import (
	"slices"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// ---- the leader's end (thesis 5)

// snapshotWait is a member that has not answered a snapshot yet (D7).
type snapshotWait struct {
	id       uint64
	index    uint64
	left     int // ticks until it is given up
	patience int // ticks it had at first; doubles each time
	idle     bool
}

// sendSnapshot sends p a snapshot, since the log no longer reaches back to what it needs, and reports
// whether it did. A member that has not been heard from gets none: it would only be lost.
func (r *raft) sendSnapshot(p *tracker.Peer) bool {
	if !p.RecentActive {
		return false
	}
	s, err := r.log.snapshot()
	if err != nil {
		return false // not ready yet, or Storage failed
	}
	r.logger.info("sends snapshot", logMember("to", p.ID), logUint("index", s.Metadata.Index),
		logUint("term", s.Metadata.Term), logUint("next", p.Next))
	p.BecomeSnapshot(s.Metadata.Index)
	r.awaitSnapshot(p.ID, s.Metadata.Index)
	r.send(pb.Message{To: p.ID, Type: pb.MsgSnap, Snapshot: &s})
	return true
}

// onSnapshotStatus is the host's word on how the transport of a snapshot ended. After either end p is
// probed, once it was heard from.
func (r *raft) onSnapshotStatus(m *pb.Message) error {
	p := r.peers.Get(m.From)
	if p == nil || p.State != tracker.StateSnapshot {
		return nil
	}
	if m.Reject {
		p.PendingSnapshot = 0 // it does not have it: start from what it acknowledged
	}
	p.BecomeProbe()
	p.MsgAppFlowPaused = true
	return nil
}

func (r *raft) awaitSnapshot(id, index uint64) {
	if !r.deviates(d7SnapshotTimeout) || r.cfg.SnapshotTimeout < 0 {
		return
	}
	w := r.snapshotWait(id)
	if w == nil {
		waits := &r.leadership.seldomly().snapshots
		*waits = append(*waits, snapshotWait{id: id, patience: r.cfg.SnapshotTimeout})
		w = &(*waits)[len(*waits)-1]
	}
	w.index, w.left, w.idle = index, w.patience, false
}

func (r *raft) snapshotWait(id uint64) *snapshotWait {
	if r.leadership.seldom == nil {
		return nil
	}
	waits := r.leadership.seldom.snapshots
	for i := range waits {
		if waits[i].id == id {
			return &waits[i]
		}
	}
	return nil
}

// snapshotInProgress gives a snapshot that is still being sent its whole time again.
func (r *raft) snapshotInProgress(id uint64) {
	if r.leadership == nil {
		return
	}
	if w := r.snapshotWait(id); w != nil {
		w.left = w.patience
	}
}

// tickSnapshots gives up the snapshots that nobody answered in time: whoever was to receive or to
// report them may have crashed.
func (r *raft) tickSnapshots() {
	if r.leadership.seldom == nil {
		return
	}
	waits := r.leadership.seldom.snapshots
	for i := range waits {
		w := &waits[i]
		if w.idle {
			continue
		}
		p := r.peers.Get(w.id)
		if p == nil || p.State != tracker.StateSnapshot {
			w.idle, w.patience = true, r.cfg.SnapshotTimeout
			continue
		}
		if w.left--; w.left > 0 {
			continue
		}
		r.emitEvent(SnapshotGivenUp{To: w.id, Index: w.index, Ticks: w.patience})
		w.idle = true
		w.patience *= 2
		p.PendingSnapshot = 0
		p.BecomeProbe()
	}
}

// ---- the follower's end

// onSnapshot takes a snapshot if it brings this log forward, and acknowledges what is here then.
func (r *raft) onSnapshot(m *pb.Message) error {
	r.hear(m.From)
	taken, err := r.restore(m.Snapshot)
	if err != nil {
		return err
	}
	// What is acknowledged is the snapshot if it was taken, which then waits until it is durable.
	index := r.log.committed
	if taken {
		index = r.log.last()
	}
	r.acknowledge(m.From, index)
	return nil
}

// restore replaces the log and the membership by what s holds, if s is ahead of what is committed and
// names this member, and reports whether it did. If the log holds s's last entry already, s only
// shows that it is committed.
func (r *raft) restore(s *pb.Snapshot) (taken bool, err error) {
	if s == nil {
		return false, nil
	}
	id := entryID{term: s.Metadata.Term, index: s.Metadata.Index}
	conf := s.Metadata.ConfState
	switch {
	case id.index <= r.log.committed:
		return false, nil
	case !named(conf, r.id):
		r.logger.warn("ignores a snapshot that does not name it", logUint("index", id.index))
		return false, nil
	case r.log.matches(id):
		r.log.commitTo(id.index)
		return false, nil
	}
	peers, err := tracker.RestorePeers(conf, id.index)
	if err != nil {
		return false, badMessage(&pb.Message{Type: pb.MsgSnap}, "Snapshot.Metadata.ConfState", err, "a valid one")
	}
	if rare := r.rarely(); rare.beforeSnapshot == nil && r.deviates(d17ChangeBeforeSnapshot) {
		before := r.peers
		rare.beforeSnapshot = &before
	}
	r.log.restore(s)
	r.peers = peers
	r.logger.info("restores snapshot", logUint("index", id.index), logUint("term", id.term))
	r.logConf("has the configuration of the snapshot", conf)
	return true, nil
}

func named(conf pb.ConfState, id uint64) bool {
	return slices.Contains(conf.Voters, id) || slices.Contains(conf.Learners, id) ||
		slices.Contains(conf.VotersOutgoing, id)
}
