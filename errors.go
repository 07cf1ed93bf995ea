package raft

import (
	"errors"
	"fmt"

	pb "quorate.example/raft/raftpb"
)

// Errors of calls on a member. They work with errors.Is.
var (
	// ErrProposalDropped is returned for a proposal that was not appended: there is no leader, a
	// transfer is under way, the leader is at MaxUncommittedEntriesSize, or this member was removed.
	// It is safe to propose again.
	ErrProposalDropped = errors.New("raft proposal dropped")
	// ErrStepLocalMsg is returned by RawNode.Step for a message that only this process may make.
	ErrStepLocalMsg = errors.New("raft: cannot step raft local message")
	// ErrStepPeerNotFound is returned by RawNode.Step for an answer of somebody who is not a member.
	ErrStepPeerNotFound = errors.New("raft: cannot step as peer not found")
	// ErrStopped is returned by the calls of a Node that was stopped.
	ErrStopped = errors.New("raft: stopped")
	// ErrHalted is returned by all input to a member whose Storage failed.
	ErrHalted = errors.New("raft: halted because Storage failed")
	// ErrBadMessage is returned for a message that no correct member sends; it was not looked at any
	// further. The text names the field and what is allowed.
	ErrBadMessage = errors.New("raft: bad message")
	// ErrTooManyReads is returned for a read that was not taken because too many are waiting.
	ErrTooManyReads = errors.New("raft: too many reads waiting")

	// ErrConfChangePending is returned for a configuration change that was proposed to the leader
	// while an earlier one is not applied (thesis 4.1). An empty entry took its place in the log.
	ErrConfChangePending = errors.New("raft: an earlier configuration change is not applied yet")
	// ErrMustLeaveJoint is returned for a change that was proposed to the leader of a joint
	// configuration and does not leave it. An empty entry took its place in the log.
	ErrMustLeaveJoint = errors.New("raft: the joint configuration must be left first")
	// ErrNotJoint is returned for leaving a joint configuration that was proposed to the leader of a
	// simple one. An empty entry took its place in the log.
	ErrNotJoint = errors.New("raft: the configuration is not joint")
)

// badMessage returns an error that says which field of m is wrong.
func badMessage(m *pb.Message, field string, value any, allowed string) error {
	return fmt.Errorf("%w: %s from %d: %s is %v; allowed: %s",
		ErrBadMessage, m.Type, m.From, field, value, allowed)
}
