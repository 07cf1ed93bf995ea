package lockstep

import (
	"slices"
	"strings"

	"quorate.example/raft/compat/host"
	pb "quorate.example/raft/raftpb"
)

// Explainer recognises one deliberate difference, by its ID in docs/compatibility.md, from what was
// done and what the reference answered.
type Explainer struct {
	ID string
	// Explains reports whether this is the difference. The case then ends.
	Explains func(s *Scene) bool
	// Undo, instead of Explains, is for a difference that leaves no trace in either cluster, so that
	// the case goes on: it takes the difference out of ours and reports whether it was there.
	Undo func(ref, our *Outcome) bool
}

// Scene is a difference with what is known about it.
type Scene struct {
	*Action
	Case     *Case
	Input    pb.Message   // the message that was delivered, if one was
	Before   host.Basic   // the member before the operation
	After    pb.ConfState // its configuration after it
	Changed  bool         // a change of the configuration was applied
	Lead     *watch       // what is known of the member's leadership
	Ref, Our *Outcome
}

// Explainers is the table of deliberate differences, in the order in which they are tried.
var Explainers = []Explainer{
	{ID: "D2", Undo: typedRefusal},
	{ID: "D13", Undo: statusAutoLeave},
	{ID: "D19", Undo: votesTellCommit},
	{ID: "auto-leave", Explains: sharedAutoLeave},
	{ID: "D1", Explains: refusedAsImpossible},
	{ID: "D3", Explains: ackBelowFloor},
	{ID: "D5", Explains: inheritedQuota},
	{ID: "D6", Explains: gateAfterDrop},
	{ID: "D7", Explains: snapshotGivenUp},
	{ID: "D8", Explains: leaseEnded},
	{ID: "D10", Explains: oneRound},
	{ID: "D11", Explains: forwardedTwice},
	{ID: "D12", Explains: leaderAsks},
	{ID: "D14", Explains: singleVoterWaits},
	{ID: "D17", Explains: changeBeforeSnapshot},
	{ID: "D18", Explains: refusedAtMatch},
	{ID: "D19", Explains: commitLearnt},
	{ID: "D20", Explains: handsOver},
	{ID: "D21", Explains: longSearch},
	{ID: "D15", Explains: safeLease},
	{ID: "D16", Explains: ownQuorum},
}

// typedRefusal: ours says why a configuration change was not taken.
func typedRefusal(_, our *Outcome) bool {
	n := len(our.Errs)
	our.Errs = slices.DeleteFunc(slices.Clone(our.Errs), func(e string) bool {
		return strings.HasPrefix(e, "raft: an earlier configuration change") ||
			strings.HasPrefix(e, "raft: the joint configuration must be left") ||
			strings.HasPrefix(e, "raft: the configuration is not joint")
	})
	return len(our.Errs) < n
}

// statusAutoLeave: ours says in Status that the joint configuration is left automatically.
func statusAutoLeave(_, our *Outcome) bool {
	if our.Status == nil || !strings.HasSuffix(our.Status.Config, " autoleave") {
		return false
	}
	st := *our.Status
	st.Config = strings.TrimSuffix(st.Config, " autoleave")
	our.Status = &st
	return true
}

// votesTellCommit: vote requests and refusals of ours tell what is committed.
func votesTellCommit(_, our *Outcome) bool {
	found := false
	quiet := func(p host.Packet) host.Packet {
		m := host.Decode(p.Raw)
		if silence(&m) {
			found = true
			return host.Encode(m)
		}
		return p
	}
	our.Sent = mapped(our.Sent, quiet)
	our.Readies = slices.Clone(our.Readies)
	for i := range our.Readies {
		our.Readies[i].Messages = mapped(our.Readies[i].Messages, quiet)
	}
	return found
}

// silence takes out of m, and of its responses, what only ours tells, and reports whether it was there.
func silence(m *pb.Message) bool {
	found := false
	switch m.Type {
	case pb.MsgVote, pb.MsgPreVote, pb.MsgVoteResp, pb.MsgPreVoteResp:
		found = m.Commit > 0
		m.Commit, m.RejectHint = 0, 0
	}
	for i := range m.Responses {
		found = silence(&m.Responses[i]) || found
	}
	return found
}

func mapped(ps []host.Packet, f func(host.Packet) host.Packet) []host.Packet {
	out := slices.Clone(ps)
	for i := range out {
		out[i] = f(out[i])
	}
	return out
}

// sharedAutoLeave: a commit and the automatic leaving of a joint configuration that it allows were
// decided in one Advance, and ours sends them in one append.
func sharedAutoLeave(s *Scene) bool {
	return autoLeaves(s.Ref) && count(s.Our, pb.MsgApp) < count(s.Ref, pb.MsgApp)
}

func refusedAsImpossible(s *Scene) bool {
	return s.carriesInput() && len(s.Ref.Errs) == 0 && s.ourErr("raft: bad message")
}

// ackBelowFloor: an acknowledgement that may stem from a member that was removed and came back does not
// count in ours. It may have gone and come in one operation, so what counts is looked at, too.
func ackBelowFloor(s *Scene) bool {
	if s.Input.Type != pb.MsgAppResp || s.Input.Reject {
		return false
	}
	floor, gone := s.Lead.gone[s.Input.From]
	return gone && s.Input.Index <= floor ||
		match(s.Ref, s.Input.From) == s.Input.Index && match(s.Our, s.Input.From) < s.Input.Index
}

// match returns what the leader knows a member to have.
func match(o *Outcome, id uint64) uint64 {
	if o.Status != nil {
		for _, p := range o.Status.Progress {
			if p.ID == id {
				return p.Match
			}
		}
	}
	return 0
}

// inheritedQuota: ours drops a proposal because of what the leader inherited uncommitted.
func inheritedQuota(s *Scene) bool {
	return s.quota() > 0 && s.proposes() && len(s.Ref.Errs) == 0 && s.ourErr("raft proposal dropped") &&
		s.Lead.inherited
}

// gateAfterDrop: the reference refuses a change, or does not leave the joint configuration, because of
// a change that it dropped for the quota.
func gateAfterDrop(s *Scene) bool {
	return s.Lead.droppedConf && (s.proposes() || autoLeaves(s.Our) && !autoLeaves(s.Ref))
}

// autoLeaves reports whether the leader appended the entry that leaves a joint configuration.
func autoLeaves(o *Outcome) bool {
	for i := range o.Readies {
		for _, e := range o.Readies[i].Entries {
			if e.Type == pb.EntryConfChangeV2 && len(e.Data) == 0 {
				return true
			}
		}
	}
	return false
}

func snapshotGivenUp(s *Scene) bool {
	return s.Kind == Tick && s.Before.Soft.Role == host.Leader && len(s.Lead.snapshots) > 0
}

// leaseEnded: the leader sent TimeoutNow and so answers no read from its lease any more.
func leaseEnded(s *Scene) bool {
	return s.Lead.timeoutNow && s.Case.Options[s.member-1].LeaseReads &&
		count(s.Our, pb.MsgHeartbeat) > count(s.Ref, pb.MsgHeartbeat)
}

// oneRound: several reads waited for the first commit of the term; ours confirms them in one round.
func oneRound(s *Scene) bool {
	return s.Lead.early && len(s.Lead.reads) > 1 && count(s.Our, pb.MsgHeartbeat) < count(s.Ref, pb.MsgHeartbeat)
}

// forwardedTwice: a forwarded request is forwarded again; ours counts the hops, and drops it if it
// would go back.
func forwardedTwice(s *Scene) bool {
	t := s.Input.Type
	return (t == pb.MsgProp || t == pb.MsgReadIndex) && s.carriesInput() && count(s.Ref, t) > 0
}

// leaderAsks: the member is asked for its vote by the leader that it follows.
func leaderAsks(s *Scene) bool {
	t := s.Input.Type
	return (t == pb.MsgVote || t == pb.MsgPreVote) && s.Input.From == s.Before.Soft.Lead &&
		len(s.Ref.Readies) == 0
}

// singleVoterWaits: a single voter is asked for a read before an entry of its term is committed; the
// reference answers at once.
func singleVoterWaits(s *Scene) bool {
	asked := s.Kind == ReadIndex || s.carriesInput() && s.Input.Type == pb.MsgReadIndex
	return asked && !s.Lead.settled && answers(s.Ref) > answers(s.Our)
}

// safeLease: a member with lease reads keeps its side of the lease (it does not campaign or forget its
// leader while it lasts), and answers from it only what the clock of its heartbeats covers.
func safeLease(s *Scene) bool {
	if !s.Case.Options[s.member-1].LeaseReads {
		return false
	}
	if !s.carriesInput() {
		return slices.Contains([]Kind{Campaign, ForgetLeader, Tick, ReadIndex, Thread}, s.Kind)
	}
	return slices.Contains([]pb.MessageType{pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgVote, pb.MsgVoteResp,
		pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgAppResp, pb.MsgReadIndex}, s.Input.Type)
}

// ownQuorum: the member is all the voters there are, also of a joint configuration, so ours confirms
// its reads without anybody else, where the reference waits for an answer; or there is one voter and it
// is another member, whose answer only the reference does without; or a change of the configuration
// made a quorum of those that have answered, and the reference waits for one more answer.
func ownQuorum(s *Scene) bool {
	if s.Changed && answers(s.Our) > answers(s.Ref) {
		return true
	}
	in, out := s.After.Voters, s.After.VotersOutgoing
	if len(in) != 1 || len(out) > 1 {
		return false
	}
	if in[0] != s.member {
		return len(out) == 0 && answers(s.Ref) > answers(s.Our)
	}
	return (len(out) == 0 || out[0] == s.member) && answers(s.Our) > answers(s.Ref)
}

// changeBeforeSnapshot: a follower's apply thread applies a configuration change that it was given before
// a snapshot came.
func changeBeforeSnapshot(s *Scene) bool {
	return s.Kind == Thread && s.Ref.Status != nil && s.Our.Status != nil &&
		s.Ref.Status.Soft.Role == host.Follower && s.Ref.Status.Config != s.Our.Status.Config
}

// refusedAtMatch: a member refuses what it had acknowledged; ours does not ask it again at once.
func refusedAtMatch(s *Scene) bool {
	return s.Input.Type == pb.MsgAppResp && s.Input.Reject &&
		(count(s.Our, pb.MsgApp)+count(s.Our, pb.MsgSnap) < count(s.Ref, pb.MsgApp)+count(s.Ref, pb.MsgSnap) ||
			stillWaitsFor(s, s.Input.From))
}

// stillWaitsFor: with no snapshot to be had the reference sends nothing either, but does not wait any more.
func stillWaitsFor(s *Scene, id uint64) bool {
	if s.Ref.Status == nil || s.Our.Status == nil || len(s.Ref.Status.Progress) != len(s.Our.Status.Progress) {
		return false
	}
	for i, ref := range s.Ref.Status.Progress {
		if our := s.Our.Status.Progress[i]; our.ID == id {
			return our.Paused && !ref.Paused && our.Match == ref.Match && our.Next == our.Match+1 && ref.Next == our.Next
		}
	}
	return false
}

// longSearch: after many refusals ours goes back by more than a term.
func longSearch(s *Scene) bool {
	from := s.Input.From
	if s.Input.Type != pb.MsgAppResp || !s.Input.Reject || s.Lead.refusals[from] <= 8 ||
		s.Ref.Status == nil || s.Our.Status == nil || len(s.Ref.Status.Progress) != len(s.Our.Status.Progress) {
		return false
	}
	for i, ref := range s.Ref.Status.Progress {
		if our := s.Our.Status.Progress[i]; our.ID == from {
			return our.Match == ref.Match && our.Next < ref.Next
		}
	}
	return false
}

// commitLearnt: a vote request or a refusal told ours what is committed.
func commitLearnt(s *Scene) bool {
	switch s.Input.Type {
	case pb.MsgVote, pb.MsgPreVote, pb.MsgVoteResp, pb.MsgPreVoteResp:
		return s.carriesInput() && s.Our.Status != nil && s.Ref.Status != nil &&
			s.Our.Status.Hard.Commit > s.Ref.Status.Hard.Commit
	}
	return false
}

// handsOver: a leader that was removed, and is to step down for it, first hands over in ours.
func handsOver(s *Scene) bool {
	return s.Our.Status != nil && s.Ref.Status != nil &&
		s.Our.Status.Soft.Role == host.Leader && s.Ref.Status.Soft.Role != host.Leader
}

func answers(o *Outcome) (n int) {
	for i := range o.Readies {
		n += len(answered(&o.Readies[i]))
	}
	return n
}

func (s *Scene) carriesInput() bool { return s.Kind == Deliver || s.Kind == Replay }

func (s *Scene) proposes() bool {
	return s.Kind == Propose || s.Kind == ProposeBatch || s.Kind == ProposeConf ||
		s.carriesInput() && s.Input.Type == pb.MsgProp
}

func (s *Scene) quota() uint64 { return s.Case.Options[s.member-1].MaxUncommittedEntriesSize }

func (s *Scene) ourErr(prefix string) bool {
	return slices.ContainsFunc(s.Our.Errs, func(e string) bool { return strings.HasPrefix(e, prefix) })
}

func count(o *Outcome, t pb.MessageType) (n int) {
	for i := range o.Sent {
		if o.Sent[i].Type == t {
			n++
		}
	}
	return n
}
