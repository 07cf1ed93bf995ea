package host

import (
	"errors"
	"fmt"
	"sync/atomic"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// ChangeOption is an option of a configuration change.
type ChangeOption func(*change)

// IfConfiguration makes a change only while the configuration is the one of index, as Status.ConfIndex has it
// on the leader. Else it returns ErrConfigurationMoved.
func IfConfiguration(index uint64) ChangeOption {
	return func(c *change) { c.guarded, c.expected = true, index }
}

// WithContext adds bytes to the change, such as an address, for the state machine (Entry.Change.Context).
func WithContext(context []byte) ChangeOption {
	return func(c *change) { c.context = context }
}

// change is one configuration change that somebody waits for.
type change struct {
	changes  []pb.ConfChangeSingle
	context  []byte
	guarded  bool
	expected uint64
	promote  uint64 // the learner that has to have caught up first

	stage  atomic.Int32 // as of a proposal
	settle func(index uint64, err error)

	term, index uint64
	inForce     bool   // but maybe the group has still to leave the joint configuration
	match       uint64 // how far the learner was
	idle        int    // ticks for which it has not moved
}

// changes are those of this member.
type changes struct {
	waiting []*change
	handed  []*change // as in proposals
}

// changeNext hands over a change that may be made now, and reports whether it did.
func (e *engine) changeNext() bool {
	c := &e.changes
	for i, x := range c.waiting {
		st := e.node.BasicStatus()
		if st.RaftState == raft.StateLeader && !e.mayCount(&st) && e.node.HasReady() {
			return false
		}
		err := e.refuseChange(x, &st)
		if errors.Is(err, errNotYet) {
			continue
		}
		c.waiting = append(c.waiting[:i:i], c.waiting[i+1:]...)
		if !x.stage.CompareAndSwap(stageWaiting, stageHanded) {
			return true // nobody waits for it
		}
		if err == nil {
			err = e.proposeChange(x, st.Term)
		}
		if err != nil {
			x.settle(0, err)
		}
		return true
	}
	return false
}

// errNotYet says that a learner has still to catch up.
var errNotYet = errors.New("not yet")

// patience is for how many election timeouts a learner that is to be promoted may make no progress.
const patience = 30

// refuseChange says why a change cannot be made now.
func (e *engine) refuseChange(x *change, st *raft.BasicStatus) error {
	switch {
	case x.stage.Load() == stageAbandoned:
		return nil
	case st.RaftState != raft.StateLeader && st.Lead == raft.None:
		return dropped(DropNoLeader, &NotLeaderError{Term: st.Term})
	case st.RaftState != raft.StateLeader:
		return &NotLeaderError{Leader: st.Lead, Term: st.Term}
	case x.guarded && x.expected != e.confIndex:
		return fmt.Errorf("%w: it is of index %d, not %d", ErrConfigurationMoved, e.confIndex, x.expected)
	case st.LeadTransferee != raft.None:
		return dropped(DropTransfer, nil)
	}
	if err := e.misfit(x.changes); err != nil {
		return err
	}
	if x.promote != 0 {
		return e.catchesUp(x, st)
	}
	return nil
}

// misfit says why changes make no sense in the present configuration.
func (e *engine) misfit(changes []pb.ConfChangeSingle) error {
	voters := map[uint64]bool{}
	for _, id := range e.conf.Voters {
		voters[id] = true
	}
	for _, c := range changes {
		switch c.Type {
		case pb.ConfChangeAddNode:
			voters[c.NodeID] = true
		case pb.ConfChangeAddLearnerNode:
			delete(voters, c.NodeID)
		case pb.ConfChangeRemoveNode:
			if !member(&e.conf, c.NodeID) {
				return refused("member %d does not exist", c.NodeID)
			}
			delete(voters, c.NodeID)
		default:
			return refused("%s is not a change of a member's role", c.Type)
		}
		if c.NodeID == raft.None || raft.IsLocalMsgTarget(c.NodeID) {
			return refused("%d cannot be a member's ID", c.NodeID)
		}
	}
	if len(voters) == 0 {
		return refused("no voter would be left")
	}
	return nil
}

// catchesUp reports as nil that a learner is close enough to the end of the log to get a vote.
func (e *engine) catchesUp(x *change, st *raft.BasicStatus) error {
	var pr tracker.Progress
	found := false
	e.eachMember(func(id uint64, p *tracker.Progress) {
		if id == x.promote {
			pr, found = *p, true
		}
	})
	switch {
	case !found:
		return refused("member %d does not exist", x.promote)
	case !pr.IsLearner:
		return refused("member %d is a voter already", x.promote)
	case e.heardLately(x.promote) && pr.Match > 0 && pr.Match+e.cfg.PromoteLag >= st.Commit:
		return nil
	case pr.Match > x.match:
		x.match, x.idle = pr.Match, 0
	case x.idle >= patience*e.cfg.ElectionTicks:
		return fmt.Errorf("%w: member %d has %d of %d entries: %s", ErrNotCaughtUp, x.promote, pr.Match,
			st.Commit, e.whyBehind(x.promote, &pr))
	}
	return errNotYet
}

// eachMember calls f with what the leader knows of each member.
func (e *engine) eachMember(f func(id uint64, p *tracker.Progress)) {
	if n, ok := e.node.(interface {
		WithProgress(func(uint64, raft.ProgressType, tracker.Progress))
	}); ok {
		n.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) { f(id, &p) })
	}
}

func (e *engine) proposeChange(x *change, term uint64) error {
	cc := pb.ConfChangeV2{Changes: x.changes, Context: x.context}
	err := e.node.ProposeConfChange(cc)
	switch {
	case errors.Is(err, raft.ErrConfChangePending), errors.Is(err, raft.ErrMustLeaveJoint),
		errors.Is(err, raft.ErrNotJoint):
		e.last++ // an empty entry took its place
		return fmt.Errorf("%w: %w", ErrChangeRefused, err)
	case errors.Is(err, raft.ErrProposalDropped):
		return dropped(DropQuota, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrChangeRefused, err)
	}
	e.last++
	x.term, x.index = term, e.last
	e.changes.handed = append(e.changes.handed, x)
	return nil
}

// resolve hears that an entry was applied: a change is in force, or can no longer come.
func (c *changes) resolve(e *engine, entry *pb.Entry) {
	kept := c.handed[:0]
	for _, x := range c.handed {
		switch {
		case x.inForce:
		case x.term == entry.Term && x.index == entry.Index:
			if e.health.skipped != nil {
				x.settle(0, fmt.Errorf("%w: %w", ErrChangeRefused, e.health.skipped))
				continue
			}
			x.inForce = true
		case x.term < entry.Term:
			x.settle(0, ErrLost)
			continue
		}
		kept = append(kept, x)
	}
	clear(c.handed[len(kept):])
	c.handed = kept
}

// settleChanges answers the changes that are in force, when no joint configuration is left.
func (e *engine) settleChanges() {
	if len(e.conf.VotersOutgoing) > 0 {
		return
	}
	c := &e.changes
	kept := c.handed[:0]
	for _, x := range c.handed {
		if x.inForce {
			x.settle(e.confIndex, nil)
		} else {
			kept = append(kept, x)
		}
	}
	clear(c.handed[len(kept):])
	c.handed = kept
}

// tickChanges counts how long learners make no progress.
func (e *engine) tickChanges() {
	for _, x := range e.changes.waiting {
		x.idle++
	}
}

func (c *changes) skipOver(index uint64, unknown error) {
	kept := c.handed[:0]
	for _, x := range c.handed {
		if x.index <= index && !x.inForce {
			x.settle(0, unknown)
		} else {
			kept = append(kept, x)
		}
	}
	clear(c.handed[len(kept):])
	c.handed = kept
}

func (e *engine) abandonChanges(stopped error) {
	for _, x := range e.changes.waiting {
		if x.stage.CompareAndSwap(stageWaiting, stageHanded) {
			x.settle(0, dropped(DropStopped, stopped))
		}
	}
	for _, x := range e.changes.handed {
		x.settle(0, &UnknownError{Cause: stopped})
	}
	e.changes = changes{}
}
