package raft

import (
	"errors"
	"fmt"
	"math"
	"slices"

	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// What is checked before a message of a peer is looked at. A message that contradicts what is known is
// dropped or answered by the rules; one that cannot be true is an error here, and changes nothing.

// checkMessage says what is impossible about m.
func (r *raft) checkMessage(m *pb.Message) error {
	if uint32(m.Type) >= uint32(numTypes) {
		return badMessage(m, "Type", int32(m.Type), fmt.Sprintf("0 to %d", numTypes-1))
	}
	k := kinds[m.Type]
	if k&local != 0 || !r.deviates(d1RefuseImpossible) {
		return nil
	}
	// From another member, and of a term, as nearly all are. The IDs of threads are the two highest numbers.
	if m.From-1 >= LocalApplyThread-1 || m.From == r.id || m.Term-1 >= math.MaxUint64-1 || k&noTerm != 0 {
		if err := r.checkRareHeader(m, k); err != nil {
			return err
		}
	}
	switch m.Type {
	case pb.MsgApp:
		if err := checkAppend(m); err != nil {
			return err
		}
		return r.checkCommitted(m)
	case pb.MsgSnap:
		return r.checkSnapshot(m)
	case pb.MsgHeartbeat:
		// Others must also step down for it, or they could win without what is lost.
		if m.Term > r.term && m.Commit > r.log.last() && r.state == StateFollower {
			return r.onLostState(m)
		}
	case pb.MsgReadIndexResp:
		if len(m.Entries) != 1 {
			return badMessage(m, "Entries", len(m.Entries), "one, with the context")
		}
	}
	return nil
}

func (r *raft) checkRareHeader(m *pb.Message, k kind) error {
	switch {
	case m.Term == math.MaxUint64:
		return badMessage(m, "Term", m.Term, "up to 2^64-2")
	case k&noTerm != 0:
		if m.Term != 0 {
			return badMessage(m, "Term", m.Term, "0: the request is of no term")
		}
		if IsLocalMsgTarget(m.From) {
			return badMessage(m, "From", m.From, "the ID of a member")
		}
	case m.Type == pb.MsgTransferLeader && m.From == None:
		return badMessage(m, "From", m.From, "the member that shall lead")
	case m.From == r.id && k&fromPeer != 0:
		return badMessage(m, "From", m.From, "another member")
	case k&fromPeer != 0 && (m.From == None || IsLocalMsgTarget(m.From)):
		return badMessage(m, "From", m.From, "the ID of a member")
	case m.From == r.id && k&waitsOnDisk != 0 && (m.Reject || !r.cfg.AsyncStorageWrites):
		// It grants and acknowledges to itself when that is durable, which only its host can say.
		return badMessage(m, "From", m.From, "another member")
	case k&fromPeer != 0 && m.Term == 0:
		return badMessage(m, "Term", m.Term, "1 and up")
	}
	return nil
}

// maxIndex is the highest index that a peer may name: no group gets there, and from there on there is
// room for as many entries again before an index wraps.
const maxIndex = math.MaxInt64

// checkAppend refuses entries that no log can hold: with gaps, with falling terms, or of a term that
// the sender cannot know.
func checkAppend(m *pb.Message) error {
	if m.LogTerm > m.Term {
		return badMessage(m, "LogTerm", m.LogTerm, "up to the message's term")
	}
	if m.Index > maxIndex-uint64(len(m.Entries)) {
		return badMessage(m, "Index", m.Index, "so low that no entry's index is above 2^63-1")
	}
	term := max(m.LogTerm, 1)
	for i := range m.Entries {
		e := &m.Entries[i]
		if want := m.Index + 1 + uint64(i); e.Index != want {
			return badMessage(m, fmt.Sprintf("Entries[%d].Index", i), e.Index, fmt.Sprint(want))
		}
		if e.Term < term || e.Term > m.Term {
			return badMessage(m, fmt.Sprintf("Entries[%d].Term", i), e.Term, fmt.Sprintf("%d to %d", term, m.Term))
		}
		term = e.Term
	}
	return nil
}

func (r *raft) checkSnapshot(m *pb.Message) error {
	if m.Snapshot == nil {
		return badMessage(m, "Snapshot", "absent", "one")
	}
	meta := &m.Snapshot.Metadata
	switch {
	case meta.Index == 0 || meta.Index > maxIndex:
		return badMessage(m, "Snapshot.Metadata.Index", meta.Index, "1 to 2^63-1")
	case meta.Term == 0 || meta.Term > m.Term:
		return badMessage(m, "Snapshot.Metadata.Term", meta.Term, "1 to the message's term")
	case len(meta.ConfState.Voters) == 0:
		return badMessage(m, "Snapshot.Metadata.ConfState.Voters", "empty", "at least one")
	}
	if term, differs := r.contradicts(m, entryID{term: meta.Term, index: meta.Index}); differs {
		return badMessage(m, "Snapshot.Metadata.Term", meta.Term, fmt.Sprintf("%d, which is committed here", term))
	}
	if err := checkConfState(&meta.ConfState); err != nil {
		return badMessage(m, "Snapshot.Metadata.ConfState", err, "a valid one")
	}
	return nil
}

// checkConfState refuses a configuration that no member can have. Snapshots are so rare
// that it may cost as much as to take it.
func checkConfState(conf *pb.ConfState) error {
	for _, ids := range [...][]uint64{conf.Voters, conf.Learners, conf.VotersOutgoing, conf.LearnersNext} {
		if slices.ContainsFunc(ids, IsLocalMsgTarget) {
			return errors.New("it names a storage thread")
		}
	}
	peers, err := tracker.RestorePeers(*conf, 1)
	if err == nil && peers.ConfState().Equivalent(*conf) != nil {
		err = errors.New("it contradicts itself")
	}
	return err
}

// checkConfChange refuses a change, in entry i of m, that no member could apply.
func (r *raft) checkConfChange(m *pb.Message, i int, cc pb.ConfChangeV2) error {
	if !r.deviates(d1RefuseImpossible) {
		return nil
	}
	for k, c := range cc.Changes {
		field := fmt.Sprintf("Entries[%d].Data.Changes[%d].", i, k)
		if IsLocalMsgTarget(c.NodeID) {
			return badMessage(m, field+"NodeID", c.NodeID, "1 to 2^64-3")
		}
		if _, known := pb.ConfChangeType_name[int32(c.Type)]; !known {
			return badMessage(m, field+"Type", int32(c.Type), "a ConfChangeType")
		}
	}
	return nil
}

// checkCommitted refuses an append that disagrees with what is committed here: that would be two truths
// (thesis 3.6.3), and the fault of a disk or of a host.
func (r *raft) checkCommitted(m *pb.Message) error {
	if m.Index > r.log.committed || !r.deviates(d1RefuseImpossible) {
		return nil
	}
	if term, differs := r.contradicts(m, entryID{term: m.LogTerm, index: m.Index}); differs {
		return badMessage(m, "LogTerm", m.LogTerm, fmt.Sprintf("%d, which is committed here", term))
	}
	for i := range m.Entries {
		if m.Entries[i].Index > r.log.committed {
			break
		}
		if term, differs := r.contradicts(m, idOf(&m.Entries[i])); differs {
			return badMessage(m, fmt.Sprintf("Entries[%d].Term", i), m.Entries[i].Term,
				fmt.Sprintf("%d, which is committed here", term))
		}
	}
	return nil
}

// contradicts reports whether the log is known to hold another committed entry than id, and of which
// term. A leader of an earlier term than ours may well have had one.
func (r *raft) contradicts(m *pb.Message, id entryID) (term uint64, differs bool) {
	if m.Term < r.term || id.index > r.log.committed {
		return 0, false
	}
	term, known := r.log.terms.at(id.index)
	return term, known && term != id.term
}

// onLostState deals with a heartbeat that tells of more committed entries than this log has. The
// leader only tells what it knows to be here, so they were here, and are lost (D4): a disk lied.
func (r *raft) onLostState(m *pb.Message) error {
	if rare := r.rarely(); rare.lostUpTo < m.Commit {
		rare.lostUpTo = m.Commit
		r.logger.error("lost durable state: the leader knows of entries that were here",
			logMember("leader", m.From), logUint("commit", m.Commit), logUint("last", r.log.last()))
		r.emitEvent(LostDurableState{Leader: m.From, Term: m.Term, Commit: m.Commit, LastIndex: r.log.last()})
	}
	return badMessage(m, "Commit", m.Commit, fmt.Sprintf("up to %d, the last index here", r.log.last()))
}
