package raft

import pb "quorate.example/raft/raftpb"

// kind says what is true of all messages of one type.
type kind uint8

const (
	local       kind = 1 << iota // made inside this process, never by a peer
	response                     // answers something: refused from whoever is not a member
	fromLeader                   // only the leader of its term sends it
	waitsOnDisk                  // leaves when log, term and vote are durable (thesis 3.8)
	noTerm                       // carries no term: a request that somebody passes on
	ownTerm                      // carries the term of the campaign, which need not be the sender's
	voteRequest                  // asks for a vote or a pre-vote
	fromPeer                     // one that a member never sends itself
)

const (
	numTypes  = int(pb.MsgForgetLeader) + 1
	numStates = int(StatePreCandidate) + 1
)

var kinds = [numTypes]kind{
	pb.MsgHup:         local,
	pb.MsgBeat:        local,
	pb.MsgCheckQuorum: local,
	pb.MsgUnreachable: local | response,
	pb.MsgSnapStatus:  local,

	pb.MsgStorageAppend:     local,
	pb.MsgStorageAppendResp: local | response,
	pb.MsgStorageApply:      local,
	pb.MsgStorageApplyResp:  local | response,

	pb.MsgApp:           fromLeader | fromPeer,
	pb.MsgHeartbeat:     fromLeader | fromPeer,
	pb.MsgSnap:          fromLeader | fromPeer,
	pb.MsgTimeoutNow:    fromPeer,
	pb.MsgAppResp:       response | waitsOnDisk,
	pb.MsgHeartbeatResp: response | fromPeer,

	pb.MsgVote:        voteRequest | ownTerm | fromPeer,
	pb.MsgPreVote:     voteRequest | ownTerm | fromPeer,
	pb.MsgVoteResp:    response | ownTerm | waitsOnDisk,
	pb.MsgPreVoteResp: response | ownTerm | waitsOnDisk,

	pb.MsgProp:          noTerm,
	pb.MsgReadIndex:     noTerm,
	pb.MsgReadIndexResp: response,
}

// kindOf returns the kind of t, which may be a type that a newer member invented.
func kindOf(t pb.MessageType) kind {
	if uint32(t) >= uint32(numTypes) {
		return 0
	}
	return kinds[t]
}

// IsLocalMsg reports whether messages of type msgt are made inside this process only.
func IsLocalMsg(msgt pb.MessageType) bool { return kindOf(msgt)&local != 0 }

// IsResponseMsg reports whether messages of type msgt answer something.
func IsResponseMsg(msgt pb.MessageType) bool { return kindOf(msgt)&response != 0 }

// IsLocalMsgTarget reports whether id names a part of this process, LocalAppendThread or
// LocalApplyThread, and not a member.
func IsLocalMsgTarget(id uint64) bool {
	return id == LocalAppendThread || id == LocalApplyThread
}

// rule says who answers what, in which role; what is not here is ignored. It is a table written as
// switches: through a table of functions each message would have to be copied or go to the heap.
func (r *raft) rule(m *pb.Message) error {
	switch r.state {
	case StateFollower:
		return r.asFollower(m)
	case StateLeader:
		return r.asLeader(m)
	case StatePreCandidate:
		return r.asCandidate(m, pb.MsgPreVoteResp)
	default:
		return r.asCandidate(m, pb.MsgVoteResp)
	}
}

func (r *raft) inEveryRole(m *pb.Message) error {
	switch m.Type {
	case pb.MsgHup:
		return r.onHup(m)
	case pb.MsgVote, pb.MsgPreVote:
		return r.onVoteRequest(m)
	case pb.MsgStorageAppendResp:
		return r.onAppendDurable(m)
	case pb.MsgStorageApplyResp:
		return r.onApplied(m)
	}
	return nil
}

func (r *raft) asFollower(m *pb.Message) error {
	switch m.Type {
	case pb.MsgApp:
		return r.onAppend(m)
	case pb.MsgHeartbeat:
		return r.onHeartbeat(m)
	case pb.MsgSnap:
		return r.onSnapshot(m)
	case pb.MsgProp:
		return r.forwardProposal(m)
	case pb.MsgReadIndex:
		return r.forwardRead(m)
	case pb.MsgReadIndexResp:
		return r.onReadAnswer(m)
	case pb.MsgTransferLeader:
		return r.forwardTransfer(m)
	case pb.MsgTimeoutNow:
		return r.onTimeoutNow(m)
	case pb.MsgForgetLeader:
		return r.onForgetLeader(m)
	}
	return r.inEveryRole(m)
}

// asCandidate is for both sorts of campaign; ballot is the type of their answers.
func (r *raft) asCandidate(m *pb.Message, ballot pb.MessageType) error {
	switch m.Type {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		return r.candidateMeetsLeader(m)
	case pb.MsgProp:
		return r.dropProposal(m)
	case ballot:
		return r.onBallot(m)
	}
	return r.inEveryRole(m)
}

func (r *raft) asLeader(m *pb.Message) error {
	switch m.Type {
	case pb.MsgAppResp:
		return r.onAppendResponse(m)
	case pb.MsgHeartbeatResp:
		return r.onHeartbeatResponse(m)
	case pb.MsgProp:
		return r.onProposal(m)
	case pb.MsgReadIndex:
		return r.onRead(m)
	case pb.MsgBeat:
		return r.onBeat(m)
	case pb.MsgCheckQuorum:
		return r.onCheckQuorum(m)
	case pb.MsgSnapStatus:
		return r.onSnapshotStatus(m)
	case pb.MsgUnreachable:
		return r.onUnreachable(m)
	case pb.MsgTransferLeader:
		return r.onTransfer(m)
	}
	return r.inEveryRole(m)
}
