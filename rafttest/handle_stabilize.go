package rafttest

// phase is one of the four kinds of work that Stabilize does in turn.
type phase struct {
	heading string
	due     func(*InteractionEnv, int) bool
	do      func(*InteractionEnv, int) error
	drain   bool // do all that is due under one heading
}

// phases in the order in which a round goes through them, all members in one
// before any in the next. A message sent in a round thus arrives in it.
var phases = [...]phase{
	{
		heading: "handling Ready",
		due:     func(env *InteractionEnv, idx int) bool { return env.Nodes[idx].HasReady() },
		do:      (*InteractionEnv).ProcessReady,
	},
	{
		heading: "receiving messages",
		due:     (*InteractionEnv).hasMessagesFor,
		do: func(env *InteractionEnv, idx int) error {
			env.DeliverMsgs(anyType, Recipient{ID: env.id(idx)})
			return nil
		},
	},
	{
		heading: "processing append thread",
		due:     func(env *InteractionEnv, idx int) bool { return len(env.Nodes[idx].AppendWork) > 0 },
		do:      (*InteractionEnv).ProcessAppendThread,
		drain:   true,
	},
	{
		heading: "processing apply thread",
		due:     func(env *InteractionEnv, idx int) bool { return len(env.Nodes[idx].ApplyWork) > 0 },
		do:      (*InteractionEnv).ProcessApplyThread,
		drain:   true,
	},
}

// Stabilize lets the members at idxs work until none of them has anything left
// to do. Without idxs it means all members. Messages for others stay in flight.
func (env *InteractionEnv) Stabilize(idxs ...int) error {
	if len(idxs) == 0 {
		for idx := range env.Nodes {
			idxs = append(idxs, idx)
		}
	}
	for busy := true; busy; {
		busy = false
		for i := range phases {
			did, err := env.runPhase(&phases[i], idxs)
			if err != nil {
				return err
			}
			busy = busy || did
		}
	}
	return nil
}

func (env *InteractionEnv) runPhase(p *phase, idxs []int) (did bool, _ error) {
	for _, idx := range idxs {
		if !p.due(env, idx) {
			continue
		}
		did = true
		idx := idx
		err := env.headed(env.id(idx), p.heading, func() error {
			for {
				if err := p.do(env, idx); err != nil {
					return err
				}
				if !p.drain || !p.due(env, idx) {
					return nil
				}
			}
		})
		if err != nil {
			return true, err
		}
	}
	return did, nil
}

func (env *InteractionEnv) hasMessagesFor(idx int) bool {
	id := env.id(idx)
	for i := range env.Messages {
		if env.Messages[i].To == id {
			return true
		}
	}
	return false
}

// onStabilize: stabilize 1 2 log-level=none; the level holds for this command.
func (env *InteractionEnv) onStabilize(c call) error {
	var level string
	if c.option("log-level", &level) {
		before := env.Output.Lvl
		defer func() { env.Output.Lvl = before }()
		if err := env.LogLevel(level); err != nil {
			return err
		}
	}
	return env.Stabilize(c.members()...)
}
