package raft

import "sync/atomic"

// settings are the plain values of a Config, with the defaults filled in. They never change, so that
// members which have the same share them: with many groups in a process that is nearly all.
type settings struct {
	ElectionTick    int
	HeartbeatTick   int
	LeaseMargin     int
	SnapshotTimeout int

	MaxSizePerMsg             uint64
	MaxCommittedSizePerReady  uint64
	MaxUncommittedEntriesSize uint64
	MaxInflightMsgs           int
	MaxInflightBytes          uint64

	ReadOnlyOption ReadOnlyOption
	deviations     deviation

	AsyncStorageWrites          bool
	CheckQuorum                 bool
	PreVote                     bool
	DisableProposalForwarding   bool
	DisableConfChangeValidation bool
	StepDownOnRemoval           bool
	EagerAppends                bool
}

// lastSettings are those of the member that was started last.
var lastSettings atomic.Pointer[settings]

// settings returns those of c, the same ones as for the member before if they are equal.
func (c *Config) settings() *settings {
	s := settings{
		ElectionTick:    c.ElectionTick,
		HeartbeatTick:   c.HeartbeatTick,
		LeaseMargin:     c.LeaseMargin,
		SnapshotTimeout: c.SnapshotTimeout,

		MaxSizePerMsg:             c.MaxSizePerMsg,
		MaxCommittedSizePerReady:  c.MaxCommittedSizePerReady,
		MaxUncommittedEntriesSize: c.MaxUncommittedEntriesSize,
		MaxInflightMsgs:           c.MaxInflightMsgs,
		MaxInflightBytes:          c.MaxInflightBytes,

		ReadOnlyOption: c.ReadOnlyOption,

		AsyncStorageWrites:          c.AsyncStorageWrites,
		CheckQuorum:                 c.CheckQuorum,
		PreVote:                     c.PreVote,
		DisableProposalForwarding:   c.DisableProposalForwarding,
		DisableConfChangeValidation: c.DisableConfChangeValidation,
		StepDownOnRemoval:           c.StepDownOnRemoval,
		EagerAppends:                c.EagerAppends,
	}
	if !c.Mirror36 {
		s.deviations = allDeviations
	}
	if last := lastSettings.Load(); last != nil && *last == s {
		return last
	}
	fresh := new(settings)
	*fresh = s
	lastSettings.Store(fresh)
	return fresh
}

// hooks are what a Config may have that few have: where random numbers come from, and who is told.
type hooks struct {
	rand         interface{ Uint64() uint64 }
	storageError StorageErrorHandler
	event        EventHandler
}

// any reports whether there are any.
func (h *hooks) any() bool { return h.rand != nil || h.storageError != nil || h.event != nil }

// hooks returns those of c.
func (c *Config) hooks() hooks {
	return hooks{rand: c.Rand, storageError: c.OnStorageError, event: c.OnEvent}
}
