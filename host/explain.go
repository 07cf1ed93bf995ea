package host

import (
	"fmt"
	"slices"
	"strings"

	"quorate.example/raft"
	"quorate.example/raft/tracker"
)

// Explanation says in sentences what holds things up. An empty field says that nothing does.
type Explanation struct {
	Leader    string         `json:"leader,omitempty"`    // why there is no leader
	Proposals string         `json:"proposals,omitempty"` // why proposals wait
	Reads     string         `json:"reads,omitempty"`     // why reads wait
	Members   []MemberReason `json:"members,omitempty"`   // who does not catch up, and why
	Stopped   string         `json:"stopped,omitempty"`   // why this replica stopped
}

// MemberReason says why a member is behind.
type MemberReason struct {
	ID   uint64 `json:"id"`
	Text string `json:"text"`
}

// String returns all of it, one sentence a line.
func (x Explanation) String() string {
	var lines []string
	for _, line := range []string{x.Stopped, x.Leader, x.Proposals, x.Reads} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	for _, m := range x.Members {
		lines = append(lines, fmt.Sprintf("Member %d is behind: %s.", m.ID, m.Text))
	}
	if len(lines) == 0 {
		return "All is well."
	}
	return strings.Join(lines, "\n")
}

func (e *engine) explain() (x Explanation) {
	if e.failure != nil {
		x.Stopped = fmt.Sprintf("This replica has stopped: %v.", e.failure)
		return x
	}
	st := e.node.BasicStatus()
	if st.Lead == raft.None {
		x.Leader = e.whyNoLeader(&st)
	}
	x.Proposals = e.whyProposalsWait(&st)
	x.Reads = e.whyReadsWait(&st)
	if st.RaftState == raft.StateLeader {
		e.eachMember(func(id uint64, p *tracker.Progress) {
			if id != e.cfg.ID && p.Match < st.Commit && (p.State != tracker.StateReplicate || !e.heardLately(id)) {
				x.Members = append(x.Members, MemberReason{id, e.whyBehind(id, p)})
			}
		})
	}
	return x
}

func (e *engine) whyNoLeader(st *raft.BasicStatus) string {
	switch {
	case len(e.conf.Voters) == 0:
		return "There is no leader: this member has not been given a configuration yet; it waits for a leader " +
			"that adds it."
	case !member(&e.conf, e.cfg.ID):
		return "There is no leader known here: this member is not part of the group any more."
	case !slices.Contains(e.conf.Voters, e.cfg.ID) && !slices.Contains(e.conf.VotersOutgoing, e.cfg.ID):
		return "There is no leader known here: this member is a learner and cannot campaign; it waits for a " +
			"voter."
	}
	silent, quorum := e.silentVoters()
	heard := len(e.conf.Voters) - len(silent)
	doing := "it waits for its election timeout"
	switch st.RaftState {
	case raft.StatePreCandidate:
		doing = "it asks whether it could win an election"
	case raft.StateCandidate:
		doing = fmt.Sprintf("it asks for votes in term %d", st.Term)
	}
	if heard < quorum {
		return fmt.Sprintf("There is no leader: %s, and of %d voters only %d (itself counted) were heard lately, "+
			"%d are needed; silent: %s.", doing, len(e.conf.Voters), heard, quorum, idList(silent))
	}
	last := ""
	if e.health.why != "" {
		last = " (" + e.health.why + ")"
	}
	return fmt.Sprintf("There is no leader%s: %s.", last, doing)
}

// silentVoters returns the voters that were not heard lately, and how many make a quorum.
func (e *engine) silentVoters() (silent []uint64, quorum int) {
	for _, id := range e.conf.Voters {
		if id != e.cfg.ID && !e.heardLately(id) {
			silent = append(silent, id)
		}
	}
	return silent, len(e.conf.Voters)/2 + 1
}

func idList(ids []uint64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = fmt.Sprint(id)
	}
	return strings.Join(texts, ", ")
}

func (e *engine) whyProposalsWait(st *raft.BasicStatus) string {
	n := len(e.proposals.handed) + len(e.forwarded.pending) + len(e.proposals.waiting)
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf("%d proposals wait: ", n)
	switch {
	case st.Lead == raft.None:
		return text + "there is no leader that could decide them."
	case st.RaftState != raft.StateLeader && len(e.proposals.handed) > 0:
		return text + fmt.Sprintf("they were made in an earlier term, and are decided once member %d commits an "+
			"entry of term %d.", st.Lead, st.Term)
	case st.RaftState != raft.StateLeader:
		return text + fmt.Sprintf("member %d has not decided them.", st.Lead)
	case st.Commit < e.last:
		silent, quorum := e.silentVoters()
		if len(e.conf.Voters)-len(silent) < quorum {
			return text + fmt.Sprintf("%d entries are not on a quorum; silent: %s.", e.last-st.Commit, idList(silent))
		}
		return text + fmt.Sprintf("%d entries are on their way to the disks of a quorum.", e.last-st.Commit)
	case e.applies.applied < st.Commit:
		return text + fmt.Sprintf("the state machine has %d committed entries to apply.", st.Commit-e.applies.applied)
	}
	return text + "they are about to be answered."
}

func (e *engine) whyReadsWait(st *raft.BasicStatus) string {
	n := len(e.reads.next)
	if e.reads.asked != nil {
		n += len(e.reads.asked.waiting)
	}
	behind := 0
	for _, round := range e.reads.confirmed {
		behind += len(round.waiting)
	}
	switch {
	case n > 0 && st.Lead == raft.None:
		return fmt.Sprintf("%d reads wait: there is no leader.", n)
	case n > 0:
		return fmt.Sprintf("%d reads wait: member %d has not confirmed that it leads.", n, st.Lead)
	case behind > 0:
		return fmt.Sprintf("%d reads wait: the state machine is at index %d and has to reach %d.", behind,
			e.applies.applied, e.reads.confirmed[len(e.reads.confirmed)-1].index)
	}
	return ""
}

// whyBehind says why a member does not catch up.
func (e *engine) whyBehind(id uint64, p *tracker.Progress) string {
	if !e.heardLately(id) {
		return "nothing was heard of it for an election timeout"
	}
	first, err := e.cfg.Log.FirstIndex()
	switch x := e.sending.streams[id]; {
	case x != nil:
		return fmt.Sprintf("it is being sent a snapshot at index %d, %d bytes so far", x.meta.Index, x.sent.Load())
	case p.State == tracker.StateSnapshot && e.sending.failures[id] > 0:
		return fmt.Sprintf("sending it a snapshot failed %d times, it is tried again later", e.sending.failures[id])
	case p.State == tracker.StateSnapshot:
		return fmt.Sprintf("it has a snapshot at index %d to install", p.PendingSnapshot)
	case err == nil && p.Match+1 < first && e.snapshots.running:
		return fmt.Sprintf("the log begins at index %d, and a snapshot for it is being taken", first)
	case err == nil && p.Match+1 < first:
		return fmt.Sprintf("the log begins at index %d, and it has to wait for a snapshot", first)
	case p.State == tracker.StateProbe:
		return fmt.Sprintf("the leader looks for where their logs part, at index %d", p.Next)
	case p.IsPaused():
		return "as many appends as are allowed wait for its answer"
	}
	return "its answers are slow"
}
