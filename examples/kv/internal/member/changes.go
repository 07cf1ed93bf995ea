package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"quorate.example/raft"
	"quorate.example/raft/host"
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

// plain is an error of host's in this program's words.
func plain(err error) string { return strings.ReplaceAll(err.Error(), "host: ", "") }

// AddLearner adds a member that receives everything and has no vote yet.
func (m *Member) AddLearner(ctx context.Context, id uint64, address string) error {
	return m.change(ctx, order{Kind: addLearner, ID: id, Address: address}, func(members []Info) error {
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

// Promote gives a learner its vote, when it has caught up.
func (m *Member) Promote(ctx context.Context, id uint64) error {
	return m.change(ctx, order{Kind: promote, ID: id}, func(members []Info) error {
		x, err := find(members, id)
		if err == nil && x.Role != RoleLearner {
			err = refuse("member %d is a voter already", id)
		}
		return err
	})
}

// Remove removes a member, which may be the leader, but not the last voter.
func (m *Member) Remove(ctx context.Context, id uint64) error {
	return m.change(ctx, order{Kind: remove, ID: id}, func(members []Info) error {
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
	asked := false
	err = m.persist(ctx, func(ctx context.Context) error {
		err := m.replica.TransferLeadership(ctx, id)
		asked = asked || !errors.Is(err, host.ErrDropped)
		return err
	})
	if asked && errors.Is(err, ErrNoLeader) {
		return ErrUnknown
	}
	return err
}

// The changes that a leader makes for another member.
const (
	addLearner = "add learner"
	promote    = "promote"
	remove     = "remove"
)

// order is a change of membership, as one member asks another one for it.
type order struct {
	Kind    string `json:"kind"`
	ID      uint64 `json:"id"`
	Address string `json:"address,omitempty"`
	// Patience is how long the one that is asked may take.
	Patience time.Duration `json:"patience"`
}

// change makes a change after looking, at a state that is up to date, whether it fits.
func (m *Member) change(ctx context.Context, o order, check func([]Info) error) error {
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
	return m.persist(ctx, func(ctx context.Context) error {
		err := m.carryOut(ctx, o)
		var elsewhere *host.NotLeaderError
		if errors.As(err, &elsewhere) && elsewhere.Leader != raft.None && elsewhere.Leader != m.cfg.ID {
			return m.askFor(ctx, elsewhere.Leader, o)
		}
		return err
	})
}

// carryOut makes a change here, where the leader is.
func (m *Member) carryOut(ctx context.Context, o order) (err error) {
	switch o.Kind {
	case addLearner:
		_, err = m.replica.AddLearner(ctx, o.ID, host.WithContext(encodeAddress(o.Address)))
	case promote:
		_, err = m.replica.Promote(ctx, o.ID)
	case remove:
		_, err = m.replica.Remove(ctx, o.ID)
	default:
		err = refuse("there is no change %q", o.Kind)
	}
	return err
}

// errUndelivered says that another member did nothing.
var errUndelivered = errors.New("the change was not made by the member that was asked")

// reply is how a member answers an order: neither field if the change is in force.
type reply struct {
	Refused string `json:"refused,omitempty"`
	Again   string `json:"again,omitempty"` // nothing was changed, and it may be tried again
	Unknown bool   `json:"unknown,omitempty"`
}

// travel is how long an answer may be on its way, and forever is the patience of those without a deadline.
const (
	travel  = 500 * time.Millisecond
	forever = time.Hour
)

// askFor has the leader make a change. Without an answer it may have been made.
func (m *Member) askFor(ctx context.Context, leader uint64, o order) error {
	o.Patience = forever
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		o.Patience = left - min(left/10, travel) // for its answer to arrive in time
	}
	request, err := json.Marshal(o)
	if err != nil {
		return err
	}
	answer, err := m.transport.Ask(ctx, leader, request)
	var r reply
	if err == nil {
		err = json.Unmarshal(answer, &r)
	}
	switch {
	case err != nil, r.Unknown:
		return ErrUnknown
	case r.Refused != "":
		return refuse("%s", r.Refused)
	case r.Again != "":
		return fmt.Errorf("%w: %s", errUndelivered, r.Again)
	}
	if o.ID != m.cfg.ID || o.Kind != remove {
		// It is in force; who asks this member next should find it here, too, if that is possible in time.
		_ = m.Barrier(ctx)
	}
	return nil
}

// Answer makes a change that another member asks for, and says what came of it.
func (m *Member) Answer(ctx context.Context, request []byte) ([]byte, error) {
	var o order
	if err := json.Unmarshal(request, &o); err != nil {
		return nil, err
	}
	if err := m.ready(ctx); err != nil {
		return json.Marshal(reply{Again: err.Error()})
	}
	ctx, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	var r reply
	var refused *ChangeError
	switch err := m.carryOut(ctx, o); {
	case err == nil:
	case errors.As(err, &refused):
		r.Refused = refused.Reason
	case errors.Is(err, host.ErrUnknown):
		r.Unknown = true
	case errors.Is(err, host.ErrNotCaughtUp), errors.Is(err, host.ErrChangeRefused):
		r.Refused = plain(err)
	default:
		r.Again = err.Error()
	}
	return json.Marshal(r)
}
