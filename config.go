package raft

import (
	"errors"
	"fmt"
	"math"
)

// None is the ID of no member: the leader while there is none, the vote that was not given.
const None uint64 = 0

// LocalAppendThread is the target of messages for the host's log writer, and the sender of what it
// answers. It is a name for something inside this process and never goes over the network. See
// Config.AsyncStorageWrites.
const LocalAppendThread uint64 = math.MaxUint64

// LocalApplyThread is the target of messages for the host's state machine, and the sender of what
// it answers. It never goes over the network. See Config.AsyncStorageWrites.
const LocalApplyThread uint64 = math.MaxUint64 - 1

// ReadOnlyOption says how a linearizable read is confirmed (thesis 6.4).
type ReadOnlyOption int

const (
	// ReadOnlySafe confirms a read by a round of heartbeats that a quorum answers. It depends on no
	// clock. It is the default.
	ReadOnlySafe ReadOnlyOption = iota
	// ReadOnlyLeaseBased answers a read from the leader's lease, without a round. It is only as good
	// as the clocks of all voters, and needs Config.CheckQuorum.
	ReadOnlyLeaseBased
)

// CampaignType says what kind of election a campaign asks for.
type CampaignType string

// TraceLogger is here for source compatibility only; nothing is traced through it.
type TraceLogger interface{}

// TracingEvent is here for source compatibility only.
type TracingEvent struct{}

// StateTraceDeployed reports whether state tracing is compiled in. It is not.
const StateTraceDeployed = false

// Config holds the parameters of one member. The library works on a copy of it: it never writes to
// the caller's, and a later change of the caller's has no effect.
type Config struct {
	// ID is this member's identity in the group. It must not be None, LocalAppendThread or
	// LocalApplyThread, and must never be given to another member.
	ID uint64

	// ElectionTick is the election timeout in ticks: a follower that hears no leader for between
	// ElectionTick and 2*ElectionTick-1 ticks campaigns (thesis 3.4). It must be above
	// HeartbeatTick; ten times HeartbeatTick is a good value.
	ElectionTick int
	// HeartbeatTick is the time in ticks between two rounds of a leader's heartbeats. At least 1.
	HeartbeatTick int

	// Storage is where the host keeps what it persisted. The library only reads it: state at start,
	// and log entries and snapshots later.
	Storage Storage
	// Applied is the index of the last entry that the host applied before a restart. Entries up to
	// it are not handed out again. Zero on a new member, or when all is to be applied again.
	Applied uint64

	// AsyncStorageWrites hands log writes and applications to the host as messages
	// (MsgStorageAppend, MsgStorageApply) that may be worked off while the next Ready is being
	// handled. The host then never calls Advance, and delivers the Responses of these messages,
	// to other members and to this one, when the work is durable or applied.
	AsyncStorageWrites bool

	// MaxSizePerMsg limits the encoded size in bytes of the entries in one append message. At least
	// one entry always goes. Zero means one entry a message, math.MaxUint64 no limit.
	MaxSizePerMsg uint64
	// MaxCommittedSizePerReady limits the encoded size in bytes of the committed entries that are
	// being applied. Zero means MaxSizePerMsg.
	MaxCommittedSizePerReady uint64
	// MaxUncommittedEntriesSize limits the payload in bytes of what a leader has appended and not
	// yet seen committed; proposals beyond it are dropped. Zero means no limit.
	MaxUncommittedEntriesSize uint64
	// MaxInflightMsgs limits the append messages that are under way to one member. At least 1.
	MaxInflightMsgs int
	// MaxInflightBytes limits the payload in bytes that is under way to one member. Zero means no
	// limit; otherwise it must be at least MaxSizePerMsg.
	MaxInflightBytes uint64

	// CheckQuorum makes a leader step down that has not heard from a quorum for an election timeout
	// (thesis 6.2), and makes members refuse votes while they hear from a leader (4.2.3).
	CheckQuorum bool
	// PreVote makes a member ask whether it could win before it raises its term (thesis 9.6), so
	// that one that comes back from a partition does not disturb the group.
	PreVote bool

	// ReadOnlyOption says how linearizable reads are confirmed. ReadOnlyLeaseBased needs
	// CheckQuorum.
	ReadOnlyOption ReadOnlyOption

	// Logger receives the log lines of this member; nil means the logger set with SetLogger.
	Logger Logger

	// DisableProposalForwarding makes a follower drop proposals instead of forwarding them to the
	// leader.
	DisableProposalForwarding bool
	// DisableConfChangeValidation lets a leader append configuration changes that do not fit the
	// present configuration, for hosts that validate them when they are applied.
	DisableConfChangeValidation bool
	// StepDownOnRemoval makes a leader step down when it applies its own removal or demotion. Without
	// it the leader goes on until another one is elected.
	StepDownOnRemoval bool

	// TraceLogger is here for source compatibility only and is not used.
	TraceLogger TraceLogger

	// Rand, if set, is where election timeouts are drawn from, one number a draw, so that a test or a
	// simulation can repeat a run: the timeout is ElectionTick + Uint64() mod ElectionTick. It is used
	// only inside calls on this member. Nil means a source of its own, seeded at random.
	Rand interface{ Uint64() uint64 }

	// OnStorageError, if set, is called once when Storage fails with an error that the library cannot
	// handle. The member then stops: it takes no input (ErrHalted) and gives no more Ready. Nil means
	// a panic. It must not call back into the member.
	OnStorageError StorageErrorHandler

	// OnEvent, if set, is told what an operator should know of. It is called inside the call that
	// caused the event, must not block and must not call back into the member.
	OnEvent EventHandler

	// LeaseMargin is by how many ticks a lease for reads ends early, so that the clocks of members may
	// drift apart by so much within an election timeout. Zero means ElectionTick/10, and at least 1.
	// For ReadOnlyLeaseBased, with which Tick must be called for all time that has passed before a read
	// is handed in: Go's tickers drop ticks after a pause.
	LeaseMargin int

	// SnapshotTimeout is how long in ticks a member may leave a snapshot unanswered before the leader
	// tries again. Zero means 50*ElectionTick; each unanswered snapshot doubles it. Negative means for
	// ever. ReportSnapshot ends the wait, SnapshotInProgress starts it again.
	SnapshotTimeout int

	// EagerAppends builds each message when its cause arrives, as go.etcd.io/raft does, and does not
	// merge appends, heartbeats or acknowledgements that leave in one Ready. For hosts that count
	// messages.
	EagerAppends bool

	// Mirror36 makes this member behave as go.etcd.io/raft v3.6.0 does, with what is known to be wrong
	// there. It is for the compatibility tests; a service has no use for it.
	Mirror36 bool
}

// StorageErrorHandler is told that Storage failed and the member has stopped. Like EventHandler it is an
// interface and not a function so that a Config can be compared.
type StorageErrorHandler interface{ StorageFailed(err error) }

// StorageErrorFunc makes a StorageErrorHandler of a function.
type StorageErrorFunc func(err error)

// StorageFailed calls f.
func (f StorageErrorFunc) StorageFailed(err error) { f(err) }

// EventHandler is told what an operator should know of.
type EventHandler interface{ HandleEvent(e Event) }

// EventFunc makes an EventHandler of a function.
type EventFunc func(e Event)

// HandleEvent calls f.
func (f EventFunc) HandleEvent(e Event) { f(e) }

// ErrConfig is what errors about a Config match with errors.Is.
var ErrConfig = errors.New("raft: invalid config")

// configError says which field of a Config is wrong. Its text starts as v3.6's does.
type configError struct {
	text    string
	field   string
	value   any
	allowed string
}

func (e *configError) Error() string {
	return fmt.Sprintf("%s (Config.%s is %v; allowed: %s)", e.text, e.field, e.value, e.allowed)
}

func (e *configError) Is(target error) bool { return target == ErrConfig }

// checked returns a copy of c with the defaults filled in, or what is wrong with it.
func (c *Config) checked() (Config, error) {
	if c == nil {
		return Config{}, fmt.Errorf("%w: Config is nil", ErrConfig)
	}
	d := *c
	fail := func(text, field string, value any, allowed string) (Config, error) {
		return Config{}, &configError{text: text, field: field, value: value, allowed: allowed}
	}
	switch {
	case d.ID == None:
		return fail("cannot use none as id", "ID", d.ID, "1 to 2^64-3")
	case IsLocalMsgTarget(d.ID):
		return fail("cannot use local target as id", "ID", d.ID, "1 to 2^64-3")
	case d.HeartbeatTick <= 0:
		return fail("heartbeat tick must be greater than 0", "HeartbeatTick", d.HeartbeatTick, "1 and up")
	case d.ElectionTick <= d.HeartbeatTick:
		return fail("election tick must be greater than heartbeat tick", "ElectionTick", d.ElectionTick,
			"more than HeartbeatTick")
	case d.Storage == nil:
		return fail("storage cannot be nil", "Storage", nil, "an implementation of Storage")
	case d.MaxInflightMsgs <= 0:
		return fail("max inflight messages must be greater than 0", "MaxInflightMsgs", d.MaxInflightMsgs,
			"1 and up")
	case d.MaxInflightBytes != 0 && d.MaxInflightBytes < d.MaxSizePerMsg:
		return fail("max inflight bytes must be >= max message size", "MaxInflightBytes",
			d.MaxInflightBytes, "0, or MaxSizePerMsg and up")
	case d.ReadOnlyOption != ReadOnlySafe && d.ReadOnlyOption != ReadOnlyLeaseBased:
		return fail("unknown read only option", "ReadOnlyOption", d.ReadOnlyOption,
			"ReadOnlySafe, ReadOnlyLeaseBased")
	case d.LeaseMargin < 0:
		return fail("lease margin must not be negative", "LeaseMargin", d.LeaseMargin, "0 and up")
	case d.ReadOnlyOption == ReadOnlyLeaseBased && !d.CheckQuorum:
		return fail("CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased",
			"CheckQuorum", d.CheckQuorum, "true with ReadOnlyLeaseBased")
	}
	d.fillDefaults()
	return d, nil
}

func (c *Config) fillDefaults() {
	if c.MaxUncommittedEntriesSize == 0 {
		c.MaxUncommittedEntriesSize = noLimit
	}
	if c.MaxCommittedSizePerReady == 0 {
		c.MaxCommittedSizePerReady = c.MaxSizePerMsg
	}
	if c.MaxInflightBytes == 0 {
		c.MaxInflightBytes = noLimit
	}
	if c.Logger == nil {
		c.Logger = getLogger()
	}
	if c.LeaseMargin == 0 {
		c.LeaseMargin = max(1, c.ElectionTick/10)
	}
	if c.SnapshotTimeout == 0 {
		c.SnapshotTimeout = 50 * c.ElectionTick
	}
	if c.Mirror36 {
		c.EagerAppends = true
	}
}
