package rafttest

import (
	"fmt"
	"strconv"
	"strings"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// actionKind is what may happen to a member.
type actionKind uint8

const (
	actDeliver actionKind = iota
	actDuplicate
	actCampaign
	actTick
	actPropose
	actRead
	actTransfer
	actConfChange
	actCompact
	actCrash     // and start again, without what was not synced
	actCrashKept // the same, with all that was written
	actWrite     // asynchronous writes: the log writer does its next job
	actApply     // and so does the state machine
	numActions
)

var deedNames = [numActions]string{"deliver", "duplicate", "campaign", "tick", "propose", "read", "transfer",
	"change", "compact", "crash", "crash-kept", "write", "apply"}

// action is one thing that happens to one member. arg is the message, the number of the proposal, read
// or change, or the target of a transfer. If crashAt is not zero, the process ends at that step of its
// host loop and starts again.
type action struct {
	kind    actionKind
	member  uint8
	crashAt uint8
	arg     uint32
}

// Bounds of what fits into one number.
const (
	maxBudget  = 15
	maxArg     = 1<<24 - 1
	maxCrashAt = 15
)

// step returns what identifies the action for the member that it happens to.
func (a action) step() uint32 {
	kind := a.kind
	if kind == actDuplicate {
		kind = actDeliver
	}
	return uint32(kind)<<28 | uint32(a.crashAt)<<24 | a.arg
}

func (a action) pack() uint64 {
	return uint64(a.kind)<<40 | uint64(a.crashAt)<<36 | uint64(a.member)<<32 | uint64(a.arg)
}

func unpackAction(n uint64) action {
	return action{actionKind(n >> 40), uint8(n >> 32 & 15), uint8(n >> 36 & 15), uint32(n)}
}

// budget is how often things may still happen, by kind of action.
type budget [numActions]uint8

// budget returns the counts of x.
func (x *Exploration) budget() [numActions]int {
	return [numActions]int{
		actDuplicate: x.Duplicates, actCampaign: x.Campaigns, actTick: x.Ticks, actPropose: x.Proposals,
		actRead: x.Reads, actTransfer: x.Transfers, actConfChange: len(x.ConfChanges),
		actCompact: x.Compactions, actCrash: x.Crashes,
	}
}

func (x *Exploration) fullBudget() (b budget) {
	for kind, n := range x.budget() {
		b[kind] = uint8(n)
	}
	return b
}

// pack returns b as a number; what has no bound takes no place.
func (b *budget) pack() (n uint64) {
	for kind := actDuplicate; kind <= actCrash; kind++ {
		n = n<<4 | uint64(b[kind])
	}
	return n
}

func unpackBudget(n uint64) (b budget) {
	for kind := actCrash; kind >= actDuplicate; kind-- {
		b[kind] = uint8(n & 15)
		n >>= 4
	}
	return b
}

// spend takes the price of a, and reports whether it could be paid.
func (b *budget) spend(a action) bool {
	take := func(kind actionKind) bool {
		if b[kind] == 0 {
			return false
		}
		b[kind]--
		return true
	}
	if a.crashAt > 0 && !take(actCrash) {
		return false
	}
	switch a.kind {
	case actDeliver, actWrite, actApply:
		return true
	case actCrashKept:
		return take(actCrash)
	}
	return take(a.kind)
}

// text returns the action as Replay takes it. Messages have the numbers in which they were sent.
func (a action) text(message int) string {
	text := deedNames[a.kind]
	switch a.kind {
	case actDeliver, actDuplicate:
		text += " m" + strconv.Itoa(message)
	case actTransfer:
		text += fmt.Sprintf(" %d to %d", a.member, a.arg)
	default:
		text += " " + strconv.Itoa(int(a.member))
	}
	if a.crashAt > 0 {
		text += " crash at " + strconv.Itoa(int(a.crashAt))
	}
	return text
}

// parseAction is the inverse of text; for messages, arg is their number.
func parseAction(text string) (a action, err error) {
	words := strings.Fields(text)
	wrong := fmt.Errorf("rafttest: %q is no action", text)
	if n := len(words); n > 3 && words[n-3] == "crash" && words[n-2] == "at" {
		at, err := strconv.Atoi(words[n-1])
		if err != nil || at < 1 || at > maxCrashAt {
			return a, wrong
		}
		a.crashAt, words = uint8(at), words[:n-3]
	}
	if len(words) < 2 {
		return a, wrong
	}
	kind := -1
	for i, name := range deedNames {
		if name == words[0] {
			kind = i
		}
	}
	if kind < 0 {
		return a, wrong
	}
	a.kind = actionKind(kind)
	isMessage := a.kind == actDeliver || a.kind == actDuplicate
	n, err := strconv.ParseUint(strings.TrimPrefix(words[1], "m"), 10, 16)
	switch {
	case err != nil, isMessage != strings.HasPrefix(words[1], "m"), !isMessage && (n == 0 || n > maxExplored):
		return a, wrong
	case isMessage:
		a.arg = uint32(n)
	default:
		a.member = uint8(n)
	}
	if a.kind == actTransfer {
		if len(words) != 4 || words[2] != "to" {
			return a, wrong
		}
		to, err := strconv.ParseUint(words[3], 10, 8)
		if err != nil {
			return a, wrong
		}
		a.arg = uint32(to)
	} else if len(words) != 2 {
		return a, wrong
	}
	return a, nil
}

// flight is a message that was sent.
type flight struct {
	data     string
	from, to uint64
	typ      pb.MessageType
}

// describe returns the message for people.
func (f *flight) describe() string {
	var m pb.Message
	if err := pb.UnmarshalPeer([]byte(f.data), &m); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(strings.ReplaceAll(raft.DescribeMessage(m, nil), "\n", " "))
}
