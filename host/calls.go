package host

import (
	"context"
	"errors"
	"fmt"

	pb "quorate.example/raft/raftpb"
)

// proposalOverhead is what a proposal counts for beside its bytes.
const proposalOverhead = 64

func proposalSize(data []byte) int { return len(data) + proposalOverhead }

// Propose replicates data, and returns what the state machine answered when it was applied here. The replica
// keeps data; it must not be changed.
//
// The errors, by errors.Is: ErrNotLeader and ErrDropped if nothing was proposed; ErrLost if it certainly never
// happens; ErrUnknown if it may have happened, also together with the context's error or ErrStopped.
func (r *Replica) Propose(ctx context.Context, data []byte) (Result, error) {
	type outcome struct {
		result Result
		err    error
	}
	size := proposalSize(data)
	c := r.e.counters
	if total := c.proposalBytes.Add(int64(size)); total > int64(r.cfg.MaxProposalBytes) && total > int64(size) {
		c.proposalBytes.Add(int64(-size))
		c.dropped.Add(1)
		return Result{}, dropped(DropQueueFull, nil)
	}
	answer := make(chan outcome, 1)
	x := &proposal{data: data, size: size, settle: func(result Result, err error) {
		c.proposalBytes.Add(int64(-size))
		answer <- outcome{result, err}
	}}
	if !r.inbox.put(func(in *input) { in.proposals = append(in.proposals, x) }) {
		c.proposalBytes.Add(int64(-size))
		return Result{}, dropped(DropStopped, r.stopCause())
	}
	c.proposed.Add(1)
	select {
	case o := <-answer:
		return o.result, o.err
	case <-ctx.Done():
	}
	if x.stage.CompareAndSwap(stageWaiting, stageAbandoned) {
		c.proposalBytes.Add(int64(-size))
		c.dropped.Add(1)
		return Result{}, dropped(DropCanceled, ctx.Err())
	}
	select {
	case o := <-answer:
		return o.result, o.err
	default:
	}
	return Result{}, &UnknownError{Cause: ctx.Err()}
}

// Read returns when this member's state has everything that was acknowledged, anywhere in the group, before
// the call: reading it then is linearizable. It works on followers and learners, too. Reads that wait share a
// quorum round. The error is a *ReadError, which wraps the context's error or ErrStopped.
func (r *Replica) Read(ctx context.Context) error {
	answer := make(chan error, 1)
	x := &read{
		gone:   func() bool { return ctx.Err() != nil },
		settle: func(err error) { answer <- err },
	}
	if !r.inbox.put(func(in *input) { in.reads = append(in.reads, x) }) {
		return &ReadError{Waiting: "the replica has stopped", Cause: &stoppedError{cause: r.stopCause()}}
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return &ReadError{Waiting: "no leader confirmed it in time", Cause: ctx.Err()}
	}
}

// LeaseRead is Read for those who count on the leader's lease: it fails unless Config.LeaseReads is set.
func (r *Replica) LeaseRead(ctx context.Context) error {
	if !r.cfg.LeaseReads {
		return ErrLeaseReadsOff
	}
	return r.Read(ctx)
}

func newChange(changes []pb.ConfChangeSingle, options []ChangeOption) *change {
	x := &change{changes: append([]pb.ConfChangeSingle(nil), changes...)}
	for _, option := range options {
		option(x)
	}
	return x
}

// Change makes several changes of roles at once, through a joint configuration if there is more than one. It
// returns when they are in force and the joint configuration is left, with the index that names the new
// configuration. It must be called on the leader.
//
// The errors, by errors.Is: ErrNotLeader, ErrDropped, ErrLost and ErrUnknown as of Propose; ErrChangeRefused
// if it does not fit, among them raft.ErrConfChangePending; ErrConfigurationMoved.
func (r *Replica) Change(
	ctx context.Context, changes []pb.ConfChangeSingle, options ...ChangeOption,
) (uint64, error) {
	return r.change(ctx, newChange(changes, options))
}

func (r *Replica) change(ctx context.Context, x *change) (uint64, error) {
	type outcome struct {
		index uint64
		err   error
	}
	if len(x.changes) == 0 {
		return 0, refused("there is nothing to change")
	}
	answer := make(chan outcome, 1)
	x.settle = func(index uint64, err error) { answer <- outcome{index, err} }
	if !r.call(func() { r.e.changes.waiting = append(r.e.changes.waiting, x) }) {
		return 0, dropped(DropStopped, r.stopCause())
	}
	select {
	case o := <-answer:
		return o.index, o.err
	case <-ctx.Done():
	}
	if x.stage.CompareAndSwap(stageWaiting, stageAbandoned) {
		if x.promote != 0 {
			return 0, fmt.Errorf("%w: %w", ErrNotCaughtUp, ctx.Err())
		}
		return 0, dropped(DropCanceled, ctx.Err())
	}
	select {
	case o := <-answer:
		return o.index, o.err
	default:
	}
	return 0, &UnknownError{Cause: ctx.Err()}
}

func (r *Replica) changeOne(
	ctx context.Context, typ pb.ConfChangeType, id uint64, options []ChangeOption,
) (uint64, error) {
	return r.Change(ctx, []pb.ConfChangeSingle{{Type: typ, NodeID: id}}, options...)
}

// AddVoter adds a voter at once. A new member should be a learner first, and be promoted when it has caught up.
func (r *Replica) AddVoter(ctx context.Context, id uint64, options ...ChangeOption) (uint64, error) {
	return r.changeOne(ctx, pb.ConfChangeAddNode, id, options)
}

// AddLearner adds a member that receives everything and has no vote.
func (r *Replica) AddLearner(ctx context.Context, id uint64, options ...ChangeOption) (uint64, error) {
	return r.changeOne(ctx, pb.ConfChangeAddLearnerNode, id, options)
}

// Promote gives a learner its vote when it is at most Config.PromoteLag entries behind. ErrNotCaughtUp if it
// makes no progress for some election timeouts, or when ctx ends.
func (r *Replica) Promote(ctx context.Context, id uint64, options ...ChangeOption) (uint64, error) {
	x := newChange([]pb.ConfChangeSingle{{Type: pb.ConfChangeAddNode, NodeID: id}}, options)
	x.promote = id
	return r.change(ctx, x)
}

// Demote makes a voter a learner.
func (r *Replica) Demote(ctx context.Context, id uint64, options ...ChangeOption) (uint64, error) {
	return r.changeOne(ctx, pb.ConfChangeAddLearnerNode, id, options)
}

// Remove removes a member, which may be this leader, but not the last voter.
func (r *Replica) Remove(ctx context.Context, id uint64, options ...ChangeOption) (uint64, error) {
	return r.changeOne(ctx, pb.ConfChangeRemoveNode, id, options)
}

// TransferLeadership makes a voter the leader and returns when this member sees it lead. It may be called on
// any member. ErrTransferFailed says that somebody else leads, or the old leader still.
func (r *Replica) TransferLeadership(ctx context.Context, to uint64) error {
	answer := make(chan error, 1)
	t := &transfer{
		to:     to,
		gone:   func() bool { return ctx.Err() != nil },
		settle: func(err error) { answer <- err },
	}
	if !r.call(func() { r.transferOrStopped(t) }) {
		return dropped(DropStopped, r.stopCause())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return &UnknownError{Cause: ctx.Err()}
	}
}

func (r *Replica) transferOrStopped(t *transfer) {
	if r.e.failure != nil {
		t.settle(dropped(DropStopped, r.e.failure))
		return
	}
	r.e.transferTo(t)
}

// AwaitLeader returns who leads as soon as somebody is known to, for callers that want to try again.
func (r *Replica) AwaitLeader(ctx context.Context) (uint64, error) {
	type outcome struct {
		leader uint64
		err    error
	}
	answer := make(chan outcome, 1)
	w := &leaderWatcher{
		gone:   func() bool { return ctx.Err() != nil },
		settle: func(leader uint64, err error) { answer <- outcome{leader, err} },
	}
	if !r.call(func() { r.awaitOrStopped(w) }) {
		return 0, &stoppedError{cause: r.stopCause()}
	}
	select {
	case o := <-answer:
		return o.leader, o.err
	case <-ctx.Done():
		return 0, errors.Join(&NotLeaderError{}, ctx.Err())
	}
}

func (r *Replica) awaitOrStopped(w *leaderWatcher) {
	if r.e.failure != nil {
		w.settle(0, &stoppedError{cause: r.e.failure})
		return
	}
	r.e.awaitLeader(w)
}
