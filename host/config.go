package host

import (
	"fmt"
	"time"

	"quorate.example/raft"
)

// Config says who a member is and what it works with. Start copies it.
type Config struct {
	// ID is this member's identity; see raft.Config.
	ID uint64
	// StateMachine, Log and Transport are the service's parts. Snapshots is needed unless StateMachine is a
	// DurableStateMachine.
	StateMachine StateMachine
	Log          LogStore
	Snapshots    SnapshotStore
	Transport    Transport

	// Bootstrap names the first voters of a new group, the same on all of them. It is used only while log and
	// state are empty. A member that joins an existing group starts without it.
	Bootstrap []raft.Peer

	// TickInterval is the length of a tick. Zero means 100 ms.
	TickInterval time.Duration
	// ElectionTicks and HeartbeatTicks are raft.Config's ElectionTick and HeartbeatTick. Zero means 10 and 1.
	ElectionTicks  int
	HeartbeatTicks int

	// Forward lets followers pass proposals on to the leader. All members must have the same value. Without it
	// Propose returns a *NotLeaderError there.
	Forward bool
	// LeaseReads answers reads from the leader's lease without a quorum round, which is only as good as the
	// clocks of all voters. All members must have the same value. It is for Read and LeaseRead alike.
	LeaseReads bool

	// GatherTime is for how long a leader lets proposals wait for one another, until half as many have come as
	// were under way at once lately: they share a write then. Zero means that none waits; a fraction of what a sync
	// takes is a good value. A lone caller never waits.
	GatherTime time.Duration

	// MaxProposalBytes limits what is proposed here and not yet answered. Zero means 64 MiB. One that is alone
	// is always taken.
	MaxProposalBytes int
	// MaxApplyBytes limits the entries that are being applied. Zero means 16 MiB.
	MaxApplyBytes int
	// MaxInboxBytes limits the messages of other members that wait for the loop. Zero means 64 MiB.
	MaxInboxBytes int
	// MaxSnapshotBytes limits the size of the snapshots that are being sent at once; one is always sent, and of
	// those without a method Size() int64 up to four. Zero means 1 GiB.
	MaxSnapshotBytes int64

	// SnapshotEntries and SnapshotBytes say after how many applied entries, or bytes of them, the state is saved
	// and the log shortened. Zero means 10,000 and 64 MiB.
	SnapshotEntries uint64
	SnapshotBytes   int
	// TailEntries and TailBytes bound what stays in the log before the newest snapshot, for followers that are
	// a little behind. Zero means 5,000 and 32 MiB; negative TailBytes means nothing stays. For members that are
	// further behind and answer, a leader keeps up to 16 times SnapshotEntries and 8 times SnapshotBytes.
	TailEntries uint64
	TailBytes   int

	// PromoteLag is by how many entries a learner may be behind when Promote gives it a vote. Zero means 256.
	PromoteLag uint64

	// Logger receives log lines of package raft; nil means the one of raft.SetLogger.
	Logger raft.Logger
	// OnEvent, if set, is called on the loop with each event. It must not block or call the replica.
	OnEvent func(Event)
	// Seed makes election timeouts, names of proposals and backoff repeat, in simulations. It must differ from
	// member to member and from life to life. Zero means at random.
	Seed uint64
	// Raft, if set, may change what is given to package raft, such as MaxInflightMsgs.
	Raft func(*raft.Config)
}

// configError says which field is wrong.
func configError(field string, value any, allowed string) error {
	return fmt.Errorf("%w: Config.%s is %v; allowed: %s", ErrConfig, field, value, allowed)
}

// checked returns a copy of c with the defaults filled in, or what is wrong with it.
func (c Config) checked() (Config, error) {
	_, durable := c.StateMachine.(DurableStateMachine)
	switch {
	case c.ID == raft.None || raft.IsLocalMsgTarget(c.ID):
		return c, configError("ID", c.ID, "1 to 2^64-3")
	case c.StateMachine == nil:
		return c, configError("StateMachine", nil, "an implementation of StateMachine")
	case c.Log == nil:
		return c, configError("Log", nil, "an implementation of LogStore")
	case c.Transport == nil:
		return c, configError("Transport", nil, "an implementation of Transport")
	case c.Snapshots == nil && !durable:
		return c, configError("Snapshots", nil, "a SnapshotStore, or a StateMachine that is a DurableStateMachine")
	case c.TickInterval < 0:
		return c, configError("TickInterval", c.TickInterval, "0, or more")
	}
	if c.GatherTime < 0 {
		return c, configError("GatherTime", c.GatherTime, "0, or more")
	}
	for _, n := range []struct {
		field string
		value int64
	}{
		{"ElectionTicks", int64(c.ElectionTicks)}, {"HeartbeatTicks", int64(c.HeartbeatTicks)},
		{"MaxProposalBytes", int64(c.MaxProposalBytes)}, {"MaxApplyBytes", int64(c.MaxApplyBytes)},
		{"MaxInboxBytes", int64(c.MaxInboxBytes)}, {"MaxSnapshotBytes", c.MaxSnapshotBytes},
		{"SnapshotBytes", int64(c.SnapshotBytes)},
	} {
		if n.value < 0 {
			return c, configError(n.field, n.value, "0, or more")
		}
	}
	seen := map[uint64]bool{}
	for _, p := range c.Bootstrap {
		if p.ID == raft.None || raft.IsLocalMsgTarget(p.ID) || seen[p.ID] {
			return c, configError("Bootstrap", p.ID, "IDs from 1 to 2^64-3, each once")
		}
		seen[p.ID] = true
	}
	if len(c.Bootstrap) > 0 && !seen[c.ID] {
		return c, configError("Bootstrap", "without "+fmt.Sprint(c.ID), "a list with Config.ID in it")
	}
	c.fillDefaults()
	if c.ElectionTicks <= c.HeartbeatTicks {
		return c, configError("ElectionTicks", c.ElectionTicks, "more than HeartbeatTicks")
	}
	return c, nil
}

func (c *Config) fillDefaults() {
	c.Bootstrap = append([]raft.Peer(nil), c.Bootstrap...)
	orElse(&c.TickInterval, 100*time.Millisecond)
	orElse(&c.ElectionTicks, 10)
	orElse(&c.HeartbeatTicks, 1)
	orElse(&c.MaxProposalBytes, 64<<20)
	orElse(&c.MaxApplyBytes, 16<<20)
	orElse(&c.MaxInboxBytes, 64<<20)
	orElse(&c.MaxSnapshotBytes, 1<<30)
	orElse(&c.SnapshotEntries, 10_000)
	orElse(&c.SnapshotBytes, 64<<20)
	orElse(&c.TailEntries, 5_000)
	orElse(&c.TailBytes, 32<<20)
	orElse(&c.PromoteLag, 256)
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// raftConfig returns what package raft is started with.
func (c *Config) raftConfig() raft.Config {
	rc := raft.Config{
		ID:                        c.ID,
		ElectionTick:              c.ElectionTicks,
		HeartbeatTick:             c.HeartbeatTicks,
		MaxSizePerMsg:             1 << 20,
		MaxUncommittedEntriesSize: 64 << 20,
		MaxInflightMsgs:           256,
		MaxInflightBytes:          32 << 20,
		CheckQuorum:               true,
		PreVote:                   true,
		StepDownOnRemoval:         true,
		Logger:                    c.Logger,
	}
	if c.LeaseReads {
		rc.ReadOnlyOption = raft.ReadOnlyLeaseBased
	}
	if c.Raft != nil {
		c.Raft(&rc)
	}
	rc.ID = c.ID
	rc.AsyncStorageWrites = true
	rc.MaxCommittedSizePerReady = uint64(c.MaxApplyBytes)
	rc.DisableProposalForwarding = !c.Forward
	return rc
}
