// Package host runs members of either library behind one face, so that the tests in this module can
// treat them alike: Raw is a member, Disk what it keeps, Host the loop that an embedder writes. The
// values in between are those of quorate.example/raft/raftpb; messages travel as bytes that the
// library of the sender wrote and the library of the receiver reads.
package host

import (
	pb "quorate.example/raft/raftpb"
)

// Options is the configuration of one member, in terms that each library has.
type Options struct {
	ID                          uint64
	ElectionTick, HeartbeatTick int
	Applied                     uint64
	Async                       bool
	MaxSizePerMsg               uint64
	MaxCommittedSizePerReady    uint64
	MaxUncommittedEntriesSize   uint64
	MaxInflightMsgs             int
	MaxInflightBytes            uint64
	CheckQuorum, PreVote        bool
	LeaseReads                  bool
	DisableProposalForwarding   bool
	DisableConfChangeValidation bool
	StepDownOnRemoval           bool

	// Mirror and Eager mean Mirror36 and EagerAppends; the other libraries have no such switch.
	Mirror, Eager bool
	// QuietVotes takes out of what arrives the commit index that votes of this library tell, as if only
	// the other library were there.
	QuietVotes bool
	// Draw gives the random part of the election timeout, in [0, ElectionTick). Nil leaves the
	// library its own source.
	Draw func() uint64 `json:"-"`
}

// Maker starts a member on what st holds.
type Maker func(o Options, st *Disk) (Raw, error)

// Raw is a RawNode of either library. Calls may panic, as the library does.
type Raw interface {
	Bootstrap(ids []uint64) error
	Tick()
	TickQuiesced()
	Campaign() error
	ForgetLeader() error
	Propose(data []byte) error
	ProposeConfChange(cc pb.ConfChangeI) error
	// Step hands in a message as the bytes that came from the network.
	Step(raw []byte) error
	ReadIndex(ctx []byte)
	TransferLeader(to uint64)
	ReportUnreachable(id uint64)
	ReportSnapshot(id uint64, failed bool)
	HasReady() bool
	Ready() Ready
	// Advance says that the last Ready is dealt with.
	Advance()
	// ApplyConfChange applies the change in e, an entry of either configuration type.
	ApplyConfChange(e pb.Entry) pb.ConfState
	Basic() Basic
	Status() Status
}

// Ready is what a member hands out.
type Ready struct {
	Soft       *Soft
	Hard       pb.HardState
	ReadStates []ReadState
	Entries    []pb.Entry
	Snapshot   pb.Snapshot
	Committed  []pb.Entry
	Messages   []Packet
	MustSync   bool
	Text       string // the library's own description, heartbeat contexts masked
	Nil        string // which of the slices are nil
}

// Soft is the volatile state: the leader and the own role.
type Soft struct{ Lead, Role uint64 }

// Roles, as StateType numbers them.
const (
	Follower uint64 = iota
	Candidate
	Leader
	PreCandidate
)

// ReadState is an answered read.
type ReadState struct {
	Index uint64
	Ctx   []byte
}

// Packet is a message on its way.
type Packet struct {
	Type     pb.MessageType
	From, To uint64
	Raw      []byte
}

// Basic is a BasicStatus.
type Basic struct {
	ID         uint64
	Hard       pb.HardState
	Soft       Soft
	Applied    uint64
	Transferee uint64
}

// Status is a Status with its texts, the visits of WithProgress, and HasReady.
type Status struct {
	Basic
	HasReady bool
	Text     string
	JSON     string
	Config   string
	Progress []Progress // by ID
	Visits   []Progress // in the order of the visits
}

// Progress is what a leader knows of one peer.
type Progress struct {
	ID, Match, Next, State, Pending uint64
	Recent, Paused, Learner, Full   bool
	Inflight                        int
	Text                            string
}

// NilParts names the slices of a Ready that are nil, for Ready.Nil.
func NilParts(reads, entries, committed, messages bool) string {
	b := []byte("----")
	for i, isNil := range []bool{reads, entries, committed, messages} {
		if isNil {
			b[i] = "RECM"[i]
		}
	}
	return string(b)
}

// MaskContext replaces the context of a heartbeat or its answer: the two libraries number reads
// differently (fix 1 of v3.7), so only whether there is one is comparable.
func MaskContext(t pb.MessageType, ctx []byte) []byte {
	if len(ctx) > 0 && (t == pb.MsgHeartbeat || t == pb.MsgHeartbeatResp) {
		return []byte("*")
	}
	return ctx
}

// Quiet is a Logger of either library that logs nothing and panics where it must.
type Quiet struct{}

// Debug drops its arguments, as the other silent levels do.
func (Quiet) Debug(...any)            {}
func (Quiet) Debugf(string, ...any)   {}
func (Quiet) Info(...any)             {}
func (Quiet) Infof(string, ...any)    {}
func (Quiet) Warning(...any)          {}
func (Quiet) Warningf(string, ...any) {}
func (Quiet) Error(...any)            {}
func (Quiet) Errorf(string, ...any)   {}
func (Quiet) Fatal(v ...any)          { panic(Panic(sprint(v...))) }
func (Quiet) Fatalf(f string, v ...any) {
	panic(Panic(sprintf(f, v...)))
}

// Panic panics with a Panic.
func (Quiet) Panic(v ...any)            { panic(Panic(sprint(v...))) }
func (Quiet) Panicf(f string, v ...any) { panic(Panic(sprintf(f, v...))) }

// Panic is what a library's Logger was asked to panic with.
type Panic string
