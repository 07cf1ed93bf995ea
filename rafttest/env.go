package rafttest

import (
	"math"
	"strings"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// InteractionOpts are the hooks through which a test shapes the members of an
// InteractionEnv. The zero value has none.
type InteractionOpts struct {
	// OnConfig is called with the Config of each new member before it starts,
	// and may change it.
	OnConfig func(*raft.Config)

	// SetRandomizedElectionTimeout sets the election timeout of a member, in
	// ticks, in place of the one it drew. The command
	// set-randomized-election-timeout fails without this hook.
	SetRandomizedElectionTimeout func(node *raft.RawNode, timeout int)
}

// InteractionEnv holds a group of members and the messages between them, and
// moves only when told to. Handle takes the commands of a transcript; the other
// methods are the same commands for Go callers. Members are numbered from 1 in
// the order of their creation, and a method's idx is that number less one.
//
// An InteractionEnv is used by one goroutine.
type InteractionEnv struct {
	// Options are what the environment was made with, never nil.
	Options *InteractionOpts
	// Nodes are the members, the one with ID n at position n-1.
	Nodes []Node
	// Messages are in flight: sent, and neither delivered nor dropped.
	Messages []pb.Message
	// Output collects what the commands and the members' loggers write.
	Output *RedirectLogger
}

// Storage is what a member of an InteractionEnv keeps its log in: raft.Storage
// and the writes that a host makes.
type Storage interface {
	raft.Storage
	SetHardState(state pb.HardState) error
	ApplySnapshot(pb.Snapshot) error
	Compact(newFirstIndex uint64) error
	Append([]pb.Entry) error
}

// Node is one member of an InteractionEnv.
type Node struct {
	*raft.RawNode
	Storage

	// Config is what the member was started with.
	Config *raft.Config
	// AppendWork and ApplyWork are the storage messages that wait for the
	// commands process-append-thread and process-apply-thread. They stay empty
	// unless Config.AsyncStorageWrites is set.
	AppendWork []pb.Message
	ApplyWork  []pb.Message
	// History has the state after each applied entry as a snapshot, the newest
	// last. It is the state machine: a member sends the newest one to a
	// follower that its log no longer reaches.
	History []pb.Snapshot
}

// NewInteractionEnv returns an environment without members. A nil opts has no
// hooks.
func NewInteractionEnv(opts *InteractionOpts) *InteractionEnv {
	if opts == nil {
		opts = &InteractionOpts{}
	}
	return &InteractionEnv{
		Options: opts,
		Output:  &RedirectLogger{Builder: &strings.Builder{}},
	}
}

// interactionConfig returns the Config that members of a transcript start from:
// timeouts small enough to tick through by hand, and no limits.
func interactionConfig() raft.Config {
	return raft.Config{
		ElectionTick:    3,
		HeartbeatTick:   1,
		MaxSizePerMsg:   math.MaxUint64,
		MaxInflightMsgs: math.MaxInt32,
	}
}

// AddNodes adds n members with the next free IDs. Each starts from cfg, whose
// ID, Storage and Logger are filled in, and from snap as the state that it
// already has on disk; an empty snap is a member that knows nothing yet.
func (env *InteractionEnv) AddNodes(n int, cfg raft.Config, snap pb.Snapshot) error {
	for ; n > 0; n-- {
		if err := env.addNode(cfg, snap); err != nil {
			return err
		}
	}
	return nil
}

func (env *InteractionEnv) addNode(cfg raft.Config, snap pb.Snapshot) error {
	disk := newHistoryStorage()
	if !isBlank(snap) {
		if err := disk.ApplySnapshot(snap); err != nil {
			return err
		}
	}
	disk.remember(snap)

	cfg.ID = uint64(len(env.Nodes) + 1)
	cfg.Storage = disk
	cfg.Logger = env.Output
	if env.Options.OnConfig != nil {
		env.Options.OnConfig(&cfg)
	}
	rn, err := raft.NewRawNode(&cfg)
	if err != nil {
		return err
	}
	env.Nodes = append(env.Nodes, Node{
		RawNode: rn,
		Storage: disk,
		Config:  &cfg,
		History: []pb.Snapshot{snap},
	})
	return nil
}

// isBlank reports whether snap brings nothing: neither an index nor members.
func isBlank(snap pb.Snapshot) bool {
	return snap.Metadata.Index == 0 && len(snap.Metadata.ConfState.Voters) == 0
}

// historyStorage answers Snapshot with the state of the member's state machine
// instead of the last snapshot that was written to disk.
type historyStorage struct {
	*raft.MemoryStorage
	newest pb.Snapshot
}

func newHistoryStorage() *historyStorage {
	return &historyStorage{MemoryStorage: raft.NewMemoryStorage()}
}

func (s *historyStorage) remember(snap pb.Snapshot) { s.newest = snap }

func (s *historyStorage) Snapshot() (pb.Snapshot, error) { return s.newest, nil }
