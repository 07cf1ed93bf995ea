package member

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/store"
	pb "quorate.example/raft/raftpb"
)

// ChangeError says why a change of membership, or of the leader, does not fit.
type ChangeError struct {
	// Unknown reports whether the member does not exist; else it is the wrong time or the wrong role.
	Unknown bool
	Reason  string
}

// Error implements error.
func (e *ChangeError) Error() string { return e.Reason }

func refuse(format string, args ...any) error {
	return &ChangeError{Reason: fmt.Sprintf(format, args...)}
}

// AddLearner adds a member that receives everything and has no vote yet.
func (m *Member) AddLearner(ctx context.Context, id uint64, address string) error {
	return m.change(ctx, pb.ConfChangeAddLearnerNode, id, address, func(members []Info) error {
		for _, x := range members {
			if x.ID == id {
				return refuse("member %d exists already", id)
			}
			if x.Address == address {
				return refuse("member %d has the address %s already", x.ID, address)
			}
		}
		return nil
	})
}

// Promote gives a learner its vote.
func (m *Member) Promote(ctx context.Context, id uint64) error {
	return m.change(ctx, pb.ConfChangeAddNode, id, "", func(members []Info) error {
		x, err := find(members, id)
		if err == nil && x.Role != RoleLearner {
			err = refuse("member %d is a voter already", id)
		}
		return err
	})
}

// Remove removes a member, which may be the leader, but not the last voter.
func (m *Member) Remove(ctx context.Context, id uint64) error {
	return m.change(ctx, pb.ConfChangeRemoveNode, id, "", func(members []Info) error {
		x, err := find(members, id)
		if err != nil {
			return err
		}
		isVoter := func(x Info) bool { return x.Role == RoleVoter }
		others := slices.ContainsFunc(members, func(y Info) bool { return isVoter(y) && y.ID != id })
		if isVoter(x) && !others {
			return refuse("member %d is the last voter", id)
		}
		return nil
	})
}

// change proposes a change after looking, at a state that is up to date, whether it fits.
func (m *Member) change(
	ctx context.Context, typ pb.ConfChangeType, id uint64, address string, check func([]Info) error,
) error {
	if err := m.Barrier(ctx); err != nil {
		return err
	}
	members, err := m.Members(ctx)
	if err != nil {
		return err
	}
	if err := check(members); err != nil {
		return err
	}
	cc := pb.ConfChange{Type: typ, NodeID: id, Context: []byte(address)}
	_, err = m.propose(ctx, &proposal{change: &cc})
	return err
}

// Transfer makes another voter the leader, and returns when this member sees it lead.
func (m *Member) Transfer(ctx context.Context, id uint64) error {
	members, err := m.Members(ctx)
	if err != nil {
		return err
	}
	x, err := find(members, id)
	if err != nil {
		return err
	}
	if x.Role != RoleVoter {
		return refuse("member %d is a learner and cannot lead", id)
	}
	watcher := &leaderWatcher{id: id, done: make(chan struct{}), ctx: ctx}
	if err := m.post(ctx, func() { m.watch(watcher) }); err != nil {
		return err
	}
	select {
	case <-watcher.done:
		return nil
	case <-ctx.Done():
		return ErrUnknown
	case <-m.stopped:
		return ErrStopped
	}
}

// leaderWatcher waits until a certain member leads.
type leaderWatcher struct {
	id   uint64
	ctx  context.Context
	done chan struct{}
	age  int // ticks
}

func (m *Member) watch(w *leaderWatcher) {
	m.watchers = append(m.watchers, w)
	if m.leader != w.id {
		m.node.TransferLeader(w.id)
	}
	m.notifyWatchers()
}

// notifyWatchers tells those whose member leads, and drops those who are gone.
func (m *Member) notifyWatchers() {
	m.watchers = slices.DeleteFunc(m.watchers, func(w *leaderWatcher) bool {
		if w.id == m.leader {
			close(w.done)
			return true
		}
		return w.ctx.Err() != nil
	})
}

// tickWatchers asks again from time to time: Raft gives up a transfer after an election timeout, for
// instance because its target did not know yet that it had been promoted.
func (m *Member) tickWatchers() {
	m.notifyWatchers()
	for _, w := range m.watchers {
		if w.age++; w.age%m.cfg.ElectionTicks == 0 && m.leader != raft.None {
			m.node.TransferLeader(w.id)
		}
	}
}

// changeContext travels in a configuration change: who waits for it, and the new member's address.
type changeContext struct {
	id      store.RequestID
	address string
}

func (c changeContext) encode() []byte {
	out := binary.BigEndian.AppendUint64(nil, c.id.Origin)
	out = binary.BigEndian.AppendUint64(out, c.id.Seq)
	return append(out, c.address...)
}

func decodeChangeContext(data []byte) (c changeContext) {
	if len(data) >= 16 {
		c.id.Origin = binary.BigEndian.Uint64(data)
		c.id.Seq = binary.BigEndian.Uint64(data[8:])
		c.address = string(data[16:])
	}
	return c
}

// proposeChange hands over a change. Raft allows one at a time; the next has to wait until this
// one is applied.
func (m *Member) proposeChange(id store.RequestID, cc pb.ConfChange) error {
	cc.ID = id.Seq
	cc.Context = changeContext{id: id, address: string(cc.Context)}.encode()
	err := m.node.ProposeConfChange(cc)
	if err != nil && !errors.Is(err, raft.ErrProposalDropped) {
		return refuse("%v", err)
	}
	return err
}

// applyChange carries out a committed change, in Raft and in the state, and returns the outcome for
// whoever proposed it.
func (m *Member) applyChange(a *store.Applier, e pb.Entry) (outcome, error) {
	if e.Type == pb.EntryConfChangeV2 {
		var cc pb.ConfChangeV2
		if err := cc.Unmarshal(e.Data); err != nil {
			return outcome{}, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		return outcome{}, a.Configuration(e, *m.node.ApplyConfChange(cc), nil)
	}
	var cc pb.ConfChange
	if err := cc.Unmarshal(e.Data); err != nil {
		return outcome{}, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	c := decodeChangeContext(cc.Context)
	o := outcome{result: store.Result{ID: c.id}}
	m.skipped = nil
	conf := m.node.ApplyConfChange(cc)
	if m.skipped != nil {
		o.err = refuse("%v", m.skipped)
		return o, a.Configuration(e, *conf, nil)
	}
	m.removal.changed(m.cfg.ID, cc)
	m.log.Info("membership changed",
		"change", cc.Type.String(), "member", cc.NodeID, "now", raft.DescribeConfState(*conf))
	peers := map[uint64]string{}
	if cc.Type == pb.ConfChangeRemoveNode || c.address != "" {
		peers[cc.NodeID] = c.address
	}
	return o, a.Configuration(e, *conf, peers)
}

// removal notices that this member was removed. A member that was removed and added again reads of its
// removal in the log, so it counts only if no leader cares for it any more.
type removal struct {
	removed bool
	silence int // ticks since the removal, or since a leader was heard
}

func (r *removal) changed(self uint64, cc pb.ConfChange) {
	if cc.NodeID == self {
		r.removed = cc.Type == pb.ConfChangeRemoveNode
		r.silence = 0
	}
}

func (r *removal) heardLeader() { r.silence = 0 }

func (r *removal) tick(patience int) error {
	if r.silence++; r.removed && r.silence > patience {
		return ErrRemoved
	}
	return nil
}
