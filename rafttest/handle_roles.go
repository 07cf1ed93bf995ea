package rafttest

import (
	"errors"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Campaign makes the member at idx start an election.
func (env *InteractionEnv) Campaign(idx int) error { return env.Nodes[idx].Campaign() }

// ForgetLeader makes the member at idx forget who leads. What the member
// answers is thrown away.
func (env *InteractionEnv) ForgetLeader(idx int) { _ = env.forgetLeader(idx) }

func (env *InteractionEnv) forgetLeader(idx int) error {
	return env.Nodes[idx].ForgetLeader()
}

// Tick ticks the member at idx num times.
func (env *InteractionEnv) Tick(idx int, num int) error {
	for ; num > 0; num-- {
		env.Nodes[idx].Tick()
	}
	return nil
}

func (env *InteractionEnv) tickElection(idx int) error {
	return env.Tick(idx, env.Nodes[idx].Config.ElectionTick)
}

func (env *InteractionEnv) tickHeartbeat(idx int) error {
	return env.Tick(idx, env.Nodes[idx].Config.HeartbeatTick)
}

// onTransferLeadership: transfer-leadership from=1 to=4.
func (env *InteractionEnv) onTransferLeadership(c call) error {
	var from, to uint64
	if !c.option("from", &from) || !c.option("to", &to) {
		return errors.New("transfer-leadership wants from=ID to=ID")
	}
	env.Nodes[c.position(from)].TransferLeader(to)
	return nil
}

// onSetRandomizedElectionTimeout: set-randomized-election-timeout 2 timeout=5.
func (env *InteractionEnv) onSetRandomizedElectionTimeout(c call) error {
	set := env.Options.SetRandomizedElectionTimeout
	if set == nil {
		return errors.New("InteractionOpts.SetRandomizedElectionTimeout is not set")
	}
	var ticks int
	if !c.option("timeout", &ticks) {
		return errors.New("set-randomized-election-timeout wants timeout=TICKS")
	}
	set(env.Nodes[c.member(0)].RawNode, ticks)
	return nil
}

// Propose hands data to the member at idx to be replicated.
func (env *InteractionEnv) Propose(idx int, data []byte) error {
	return env.Nodes[idx].Propose(data)
}

// ProposeConfChange hands a configuration change to the member at idx.
func (env *InteractionEnv) ProposeConfChange(idx int, c pb.ConfChangeI) error {
	return env.Nodes[idx].ProposeConfChange(c)
}

// onPropose: propose 1 text.
func (env *InteractionEnv) onPropose(c call) error {
	return env.Propose(c.member(0), []byte(c.word(1)))
}

// onProposeConfChange: propose-conf-change 1 v1=true, or with transition=auto,
// implicit or explicit; below it changes such as "v1 l2 r3 u4", or nothing to
// leave a joint configuration.
func (env *InteractionEnv) onProposeConfChange(c call) error {
	changes, err := pb.ConfChangesFromString(c.data.Input)
	if err != nil {
		return err
	}
	var v1 bool
	c.option("v1", &v1)
	if v1 {
		if len(changes) != 1 {
			return errors.New("a v1 configuration change is exactly one change")
		}
		return env.ProposeConfChange(c.member(0),
			pb.ConfChange{Type: changes[0].Type, NodeID: changes[0].NodeID})
	}
	transition, err := c.transition()
	if err != nil {
		return err
	}
	return env.ProposeConfChange(c.member(0),
		pb.ConfChangeV2{Transition: transition, Changes: changes})
}

func (c call) transition() (pb.ConfChangeTransition, error) {
	name := "auto"
	c.option("transition", &name)
	switch name {
	case "auto":
		return pb.ConfChangeTransitionAuto, nil
	case "implicit":
		return pb.ConfChangeTransitionJointImplicit, nil
	case "explicit":
		return pb.ConfChangeTransitionJointExplicit, nil
	}
	return 0, errors.New("transition is auto, implicit or explicit")
}

// onReportUnreachable: report-unreachable 1 2 tells member 1 that 2 cannot be
// reached.
func (env *InteractionEnv) onReportUnreachable(c call) error {
	env.Nodes[c.member(0)].ReportUnreachable(env.id(c.member(1)))
	return nil
}

// isVoter reports whether st counts its own member among the voters.
func isVoter(st raft.Status) bool {
	_, ok := st.Config.Voters.IDs()[st.ID]
	return ok
}
