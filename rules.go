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
	if t < 0 || int(t) >= numTypes {
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

// A rule is what a member in one role does about one type of message. It takes the message by value:
// through a pointer it would escape to the heap.
type rule func(*raft, pb.Message) error

// rules says who answers what, in which role. What is not here is ignored. It is filled at start
// since the rules themselves refer to it.
var rules [numStates][numTypes]rule

func init() {
	everyRole := map[pb.MessageType]rule{
		pb.MsgHup:               (*raft).onHup,
		pb.MsgVote:              (*raft).onVoteRequest,
		pb.MsgPreVote:           (*raft).onVoteRequest,
		pb.MsgStorageAppendResp: (*raft).onAppendDurable,
		pb.MsgStorageApplyResp:  (*raft).onApplied,
	}
	perRole := [numStates]map[pb.MessageType]rule{
		StateFollower: {
			pb.MsgApp:            (*raft).onAppend,
			pb.MsgHeartbeat:      (*raft).onHeartbeat,
			pb.MsgSnap:           (*raft).onSnapshot,
			pb.MsgProp:           (*raft).forwardProposal,
			pb.MsgReadIndex:      (*raft).forwardRead,
			pb.MsgReadIndexResp:  (*raft).onReadAnswer,
			pb.MsgTransferLeader: (*raft).forwardTransfer,
			pb.MsgTimeoutNow:     (*raft).onTimeoutNow,
			pb.MsgForgetLeader:   (*raft).onForgetLeader,
		},
		StateCandidate: {
			pb.MsgApp:       (*raft).candidateMeetsLeader,
			pb.MsgHeartbeat: (*raft).candidateMeetsLeader,
			pb.MsgSnap:      (*raft).candidateMeetsLeader,
			pb.MsgProp:      (*raft).dropProposal,
			pb.MsgVoteResp:  (*raft).onBallot,
		},
		StatePreCandidate: {
			pb.MsgApp:         (*raft).candidateMeetsLeader,
			pb.MsgHeartbeat:   (*raft).candidateMeetsLeader,
			pb.MsgSnap:        (*raft).candidateMeetsLeader,
			pb.MsgProp:        (*raft).dropProposal,
			pb.MsgPreVoteResp: (*raft).onBallot,
		},
		StateLeader: {
			pb.MsgBeat:           (*raft).onBeat,
			pb.MsgCheckQuorum:    (*raft).onCheckQuorum,
			pb.MsgProp:           (*raft).onProposal,
			pb.MsgReadIndex:      (*raft).onRead,
			pb.MsgAppResp:        (*raft).onAppendResponse,
			pb.MsgHeartbeatResp:  (*raft).onHeartbeatResponse,
			pb.MsgSnapStatus:     (*raft).onSnapshotStatus,
			pb.MsgUnreachable:    (*raft).onUnreachable,
			pb.MsgTransferLeader: (*raft).onTransfer,
		},
	}
	for role := range rules {
		for t, f := range everyRole {
			rules[role][t] = f
		}
		for t, f := range perRole[role] {
			rules[role][t] = f
		}
	}
}
