package host

import (
	"errors"
	"fmt"
)

// Errors of a Replica's calls. They work with errors.Is.
var (
	// ErrConfig is what errors about a Config match.
	ErrConfig = errors.New("host: invalid config")
	// ErrNotLeader says that this member does not lead, and so nothing was proposed. It comes as a
	// *NotLeaderError, which names the leader.
	ErrNotLeader = errors.New("host: not the leader")
	// ErrDropped says that nothing was proposed. It comes as a *DroppedError, which has the reason.
	ErrDropped = errors.New("host: dropped")
	// ErrLost says that another entry took the place of what was proposed: it was not done and never will
	// be. It is safe to propose it again.
	ErrLost = errors.New("host: lost, another entry took its place")
	// ErrUnknown says that what was proposed may have been done, or may still be. It comes as an
	// *UnknownError.
	ErrUnknown = errors.New("host: outcome unknown")
	// ErrStopped says that the replica stopped. Replica.Err has the cause.
	ErrStopped = errors.New("host: stopped")
	// ErrSnapshotBusy says that another snapshot is being received.
	ErrSnapshotBusy = errors.New("host: another snapshot is being received")
	// ErrSnapshotPath is returned by Step for a MsgSnap, which has to go through ReceiveSnapshot.
	ErrSnapshotPath = errors.New("host: snapshots go through ReceiveSnapshot")
	// ErrNotForUs is returned for a message that is not for this member, or that no peer may send.
	ErrNotForUs = errors.New("host: message not for this member")
	// ErrLeaseReadsOff is returned by LeaseRead unless Config.LeaseReads is set.
	ErrLeaseReadsOff = errors.New("host: Config.LeaseReads is off")

	// ErrChangeRefused says that a configuration change does not fit: the text says why. The errors of
	// package raft (ErrConfChangePending, ErrMustLeaveJoint, ErrNotJoint) are wrapped.
	ErrChangeRefused = errors.New("host: configuration change refused")
	// ErrConfigurationMoved says that the configuration is not the one that the caller expected.
	ErrConfigurationMoved = errors.New("host: the configuration has changed meanwhile")
	// ErrNotCaughtUp says that a learner did not catch up, and so was not promoted.
	ErrNotCaughtUp = errors.New("host: the learner has not caught up")
	// ErrTransferFailed says that the leadership was not handed over to the wanted member.
	ErrTransferFailed = errors.New("host: the leadership was not transferred")
)

// NotLeaderError says who leads instead.
type NotLeaderError struct {
	Leader uint64 // raft.None if unknown
	Term   uint64
}

// Error implements error.
func (e *NotLeaderError) Error() string {
	if e.Leader == 0 {
		return fmt.Sprintf("host: not the leader of term %d, nobody is known to lead", e.Term)
	}
	return fmt.Sprintf("host: not the leader of term %d, member %d leads", e.Term, e.Leader)
}

// Is reports whether target is ErrNotLeader.
func (e *NotLeaderError) Is(target error) bool { return target == ErrNotLeader }

// DropReason says why a call was not taken.
type DropReason string

// The reasons.
const (
	DropNoLeader  DropReason = "no leader is known"
	DropQuota     DropReason = "too much is not committed yet"
	DropTransfer  DropReason = "the leadership is being transferred"
	DropStopped   DropReason = "the replica has stopped"
	DropQueueFull DropReason = "too much is waiting"
	DropRemoved   DropReason = "this member is not part of the group"
	DropCanceled  DropReason = "the caller gave up before it was proposed"
)

// DroppedError says why a call was not taken.
type DroppedError struct {
	Reason DropReason
	Cause  error // may be nil
}

// Error implements error.
func (e *DroppedError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("host: dropped, %s: %v", e.Reason, e.Cause)
	}
	return "host: dropped, " + string(e.Reason)
}

// Is reports whether target is ErrDropped, or ErrStopped if that is the reason.
func (e *DroppedError) Is(target error) bool {
	return target == ErrDropped || target == ErrStopped && e.Reason == DropStopped
}

// Unwrap returns the cause.
func (e *DroppedError) Unwrap() error { return e.Cause }

// UnknownError says why nobody can tell how a proposal ended.
type UnknownError struct{ Cause error }

// Error implements error.
func (e *UnknownError) Error() string { return fmt.Sprintf("host: outcome unknown: %v", e.Cause) }

// Is reports whether target is ErrUnknown.
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

// Unwrap returns the cause.
func (e *UnknownError) Unwrap() error { return e.Cause }

// errSkippedOver is the cause when a snapshot replaced the log in which the answer was.
var errSkippedOver = errors.New("a snapshot took the place of the log that would tell")

// ReadError says why a read was not confirmed before its context ended.
type ReadError struct {
	Waiting string // for what
	Cause   error
}

// Error implements error.
func (e *ReadError) Error() string {
	return fmt.Sprintf("host: read not done, %s: %v", e.Waiting, e.Cause)
}

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Cause }

func dropped(reason DropReason, cause error) error {
	return &DroppedError{Reason: reason, Cause: cause}
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrChangeRefused, fmt.Sprintf(format, args...))
}
