package rafttest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// commands has what a transcript may say. A command either returns an error,
// which becomes the last line of its answer, or has written its answer to
// env.Output.
var commands = map[string]func(*InteractionEnv, call) error{
	"add-nodes": (*InteractionEnv).onAddNodes,

	"campaign":            eachMember((*InteractionEnv).Campaign),
	"forget-leader":       eachMember((*InteractionEnv).forgetLeader),
	"tick-election":       eachMember((*InteractionEnv).tickElection),
	"tick-heartbeat":      eachMember((*InteractionEnv).tickHeartbeat),
	"transfer-leadership": (*InteractionEnv).onTransferLeadership,
	"set-randomized-election-timeout": (*InteractionEnv).
		onSetRandomizedElectionTimeout,

	"propose":             (*InteractionEnv).onPropose,
	"propose-conf-change": (*InteractionEnv).onProposeConfChange,

	"process-ready": eachHeaded("handling Ready", (*InteractionEnv).ProcessReady),
	"process-append-thread": eachHeaded("processing append thread",
		(*InteractionEnv).ProcessAppendThread),
	"process-apply-thread": eachHeaded("processing apply thread",
		(*InteractionEnv).ProcessApplyThread),
	"stabilize": (*InteractionEnv).onStabilize,

	"deliver-msgs":       (*InteractionEnv).onDeliverMsgs,
	"send-snapshot":      (*InteractionEnv).onSendSnapshot,
	"report-unreachable": (*InteractionEnv).onReportUnreachable,
	"compact":            (*InteractionEnv).onCompact,

	"log-level":  (*InteractionEnv).onLogLevel,
	"raft-log":   eachMember((*InteractionEnv).RaftLog),
	"raft-state": func(env *InteractionEnv, _ call) error { return env.raftState() },
	"status":     eachMember((*InteractionEnv).Status),
}

// Handle runs one command of a transcript and returns its answer: what the
// command and the members' loggers wrote, then the error if there was one. An
// answer without text is "ok". Arguments that make no sense fail t.
func (env *InteractionEnv) Handle(t *testing.T, d datadriven.TestData) string {
	run, ok := commands[d.Cmd]
	if !ok {
		d.Fatalf(t, "unknown command %q", d.Cmd)
	}
	env.Output.Builder.Reset()
	err := run(env, call{t: t, env: env, data: d})
	if err != nil {
		// An error is an answer even at level NONE.
		env.Output.Builder.WriteString(err.Error())
	}
	if env.Output.Len() == 0 {
		return "ok"
	}
	return env.Output.String()
}

// call is one command with its arguments: members as bare numbers in order,
// options as key=value, and the text below the command line.
type call struct {
	t    *testing.T
	env  *InteractionEnv
	data datadriven.TestData
}

// bare returns the arguments that have no value.
func (c call) bare() []string {
	var words []string
	for _, arg := range c.data.CmdArgs {
		if len(arg.Vals) == 0 {
			words = append(words, arg.Key)
		}
	}
	return words
}

// word returns the bare argument at position i.
func (c call) word(i int) string {
	words := c.bare()
	if i >= len(words) {
		c.data.Fatalf(c.t, "%s wants at least %d bare arguments", c.data.Cmd, i+1)
	}
	return words[i]
}

func (c call) number(i int) uint64 {
	var n uint64
	if _, err := fmt.Sscan(c.word(i), &n); err != nil {
		c.data.Fatalf(c.t, "%s: argument %q is not a number", c.data.Cmd, c.word(i))
	}
	return n
}

// member returns the position in env.Nodes of the member at bare argument i.
func (c call) member(i int) int { return c.position(c.number(i)) }

// members returns the positions of all members named by bare arguments.
func (c call) members() []int {
	var idxs []int
	for i := range c.bare() {
		idxs = append(idxs, c.member(i))
	}
	return idxs
}

func (c call) position(id uint64) int {
	if id == 0 || id > uint64(len(c.env.Nodes)) {
		c.data.Fatalf(c.t, "%s: there is no member %d", c.data.Cmd, id)
	}
	return int(id - 1)
}

// option scans key=value into dest and leaves it alone when key is absent.
func (c call) option(key string, dest any) bool {
	return c.data.MaybeScanArgs(c.t, key, dest)
}

// ids returns the IDs of key=(1,2,3).
func (c call) ids(key string) []uint64 {
	arg, ok := c.data.Arg(key)
	if !ok {
		return nil
	}
	return scanIDs(c.t, arg)
}

func scanIDs(t *testing.T, arg datadriven.CmdArg) []uint64 {
	ids := make([]uint64, len(arg.Vals))
	for i := range ids {
		arg.Scan(t, i, &ids[i])
	}
	return ids
}

// eachMember is the command that does the same for all members it names.
func eachMember(do func(*InteractionEnv, int) error) func(*InteractionEnv, call) error {
	return func(env *InteractionEnv, c call) error {
		idxs := c.members()
		if len(idxs) == 0 {
			c.data.Fatalf(c.t, "%s wants a member", c.data.Cmd)
		}
		for _, idx := range idxs {
			if err := do(env, idx); err != nil {
				return err
			}
		}
		return nil
	}
}

// eachHeaded is eachMember with a heading per member, unless there is only one.
func eachHeaded(
	doing string, do func(*InteractionEnv, int) error,
) func(*InteractionEnv, call) error {
	return func(env *InteractionEnv, c call) error {
		idxs := c.members()
		if len(idxs) == 1 {
			return do(env, idxs[0])
		}
		for _, idx := range idxs {
			idx := idx
			err := env.headed(env.id(idx), doing, func() error { return do(env, idx) })
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func (env *InteractionEnv) id(idx int) uint64 { return env.Nodes[idx].Config.ID }

// nodeOptions has the options of add-nodes that set a field of the Config.
var nodeOptions = map[string]func(*raft.Config) any{
	"async-storage-writes":           func(c *raft.Config) any { return &c.AsyncStorageWrites },
	"checkquorum":                    func(c *raft.Config) any { return &c.CheckQuorum },
	"disable-conf-change-validation": func(c *raft.Config) any { return &c.DisableConfChangeValidation },
	"disable-proposal-forwarding":    func(c *raft.Config) any { return &c.DisableProposalForwarding },
	"election-tick":                  func(c *raft.Config) any { return &c.ElectionTick },
	"heartbeat-tick":                 func(c *raft.Config) any { return &c.HeartbeatTick },
	"inflight":                       func(c *raft.Config) any { return &c.MaxInflightMsgs },
	"inflight-bytes":                 func(c *raft.Config) any { return &c.MaxInflightBytes },
	"max-committed-size-per-ready":   func(c *raft.Config) any { return &c.MaxCommittedSizePerReady },
	"max-size-per-msg":               func(c *raft.Config) any { return &c.MaxSizePerMsg },
	"max-uncommitted-size":           func(c *raft.Config) any { return &c.MaxUncommittedEntriesSize },
	"prevote":                        func(c *raft.Config) any { return &c.PreVote },
	"step-down-on-removal":           func(c *raft.Config) any { return &c.StepDownOnRemoval },
}

// onAddNodes: add-nodes 3 voters=(1,2) learners=(3) index=10 content=x, and the
// keys of nodeOptions.
func (env *InteractionEnv) onAddNodes(c call) error {
	cfg := interactionConfig()
	var snap pb.Snapshot
	snap.Metadata.ConfState.Voters = c.ids("voters")
	snap.Metadata.ConfState.Learners = c.ids("learners")
	for _, arg := range c.data.CmdArgs {
		if len(arg.Vals) == 0 {
			continue
		}
		switch arg.Key {
		case "voters", "learners":
		case "index":
			arg.Scan(c.t, 0, &snap.Metadata.Index)
			snap.Metadata.Term = 1
		case "content":
			snap.Data = []byte(arg.Vals[0])
		case "read-only":
			cfg.ReadOnlyOption = c.readOnly(arg.Vals[0])
		default:
			field, ok := nodeOptions[arg.Key]
			if !ok {
				c.data.Fatalf(c.t, "add-nodes has no option %q", arg.Key)
			}
			scanField(c, arg, field(&cfg))
		}
	}
	return env.AddNodes(int(c.number(0)), cfg, snap)
}

func (c call) readOnly(name string) raft.ReadOnlyOption {
	switch name {
	case "safe":
		return raft.ReadOnlySafe
	case "lease-based":
		return raft.ReadOnlyLeaseBased
	}
	c.data.Fatalf(c.t, "read-only is safe or lease-based, not %q", name)
	return 0
}

func scanField(c call, arg datadriven.CmdArg, field any) { arg.Scan(c.t, 0, field) }

// onLogLevel: log-level debug.
func (env *InteractionEnv) onLogLevel(c call) error {
	return env.LogLevel(strings.TrimSpace(c.word(0)))
}
