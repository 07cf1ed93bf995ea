// Package lockstep drives two clusters, one on each library, with one random schedule, and compares
// everything that a host can see after each operation.
//
// A schedule is made of numbers that mean something only in a state of the clusters ("the third of
// the links that carry something"), so that a part of a schedule is a schedule too: that is what
// shrinking needs. The state of the reference decides what an operation means, and both clusters
// then do that.
//
// # Reads
//
// The libraries number reads differently on purpose: v3.6.0 puts the caller's context of the newest
// read on its heartbeats and needs a quorum of answers to one context; this library sends a number
// and lets answers to different numbers add up. So the contexts of heartbeats and of their answers
// are compared for presence only, and schedules keep to where both rules give the same answers:
//
//   - a context is never used twice, is never empty, and no message that carries a read request
//     is delivered twice;
//   - a leader never has two reads waiting at once, unless the case has at most three voters and no
//     changes of configuration: then one answer of a voter confirms in either library.
//
// A read that was waiting for the first commit of a term when its leader stepped down is answered by
// v3.6.0 when the same member leads again, in whatever term. A case ends, counted as a read leak,
// when such a member becomes leader again.
package lockstep

import "fmt"

// Kind is what an operation does.
type Kind uint8

// The operations.
const (
	Deliver Kind = iota
	Drop
	Dup
	Replay
	Partition
	Heal
	Tick
	TickQuiesced
	Campaign
	Propose
	ProposeBatch
	ProposeConf
	ReadIndex
	Transfer
	ForgetLeader
	ReportSnapshot
	ReportUnreachable
	Snapshot
	Compact
	NoSnapshot
	Crash
	Restart
	Pump
	Drain
	Thread
	StepLocal
	StepStranger
	numKinds
)

var kindNames = [numKinds]string{
	"deliver", "drop", "dup", "replay", "partition", "heal", "tick", "tick-quiesced", "campaign",
	"propose", "propose-batch", "propose-conf", "read-index", "transfer", "forget-leader",
	"report-snapshot", "report-unreachable", "snapshot", "compact", "no-snapshot", "crash", "restart",
	"pump", "drain", "thread", "step-local", "step-stranger",
}

func (k Kind) String() string { return kindNames[k] }

// Op is one operation of a schedule.
type Op struct {
	Kind    Kind
	A, B, C uint32
	Salt    uint64 // what the members draw from during this operation
}

func (o Op) String() string { return fmt.Sprintf("%s %d %d %d", o.Kind, o.A, o.B, o.C) }

// rng is splitmix64: small, fast, and the same everywhere.
type rng struct{ s uint64 }

func (r *rng) next() uint64 {
	r.s += 0x9e3779b97f4a7c15
	return scramble(r.s)
}

func scramble(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *rng) n(n int) int             { return int(r.next() % uint64(n)) }
func (r *rng) chance(num, of int) bool { return r.n(of) < num }

func pick[T any](r *rng, from ...T) T { return from[r.n(len(from))] }
