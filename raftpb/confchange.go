package raftpb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ConfChangeI is a membership change of either form. [ConfChange] and [ConfChangeV2] satisfy it,
// as values and as pointers.
type ConfChangeI interface {
	// AsV1 returns the change as a ConfChange, and reports whether it has that form.
	AsV1() (ConfChange, bool)
	// AsV2 returns the change as a ConfChangeV2. It always can, but drops the ID of a ConfChange.
	AsV2() ConfChangeV2
}

var (
	_ ConfChangeI = ConfChange{}
	_ ConfChangeI = ConfChangeV2{}
)

// MarshalConfChange encodes c for the Data of a log entry and returns it with the type that the
// entry must have. A ConfChange keeps its own form, so that members that know no other can read
// it. A nil c stands for the zero ConfChangeV2, whose Data is nil.
func MarshalConfChange(c ConfChangeI) (EntryType, []byte, error) {
	if c == nil {
		return EntryConfChangeV2, nil, nil
	}
	if v1, ok := c.AsV1(); ok {
		data, err := v1.Marshal()
		return EntryConfChange, data, err
	}
	v2 := c.AsV2()
	data, err := v2.Marshal()
	return EntryConfChangeV2, data, err
}

// AsV1 returns c itself and true.
func (c ConfChange) AsV1() (ConfChange, bool) {
	return c, true
}

// AsV2 returns a ConfChangeV2 with the one change of c and its Context.
func (c ConfChange) AsV2() ConfChangeV2 {
	return ConfChangeV2{
		Changes: []ConfChangeSingle{{Type: c.Type, NodeID: c.NodeID}},
		Context: c.Context,
	}
}

// AsV1 returns the zero ConfChange and false: no ConfChangeV2 is ever taken for a ConfChange, not
// even one with a single change.
func (c ConfChangeV2) AsV1() (ConfChange, bool) {
	return ConfChange{}, false
}

// AsV2 returns c itself.
func (c ConfChangeV2) AsV2() ConfChangeV2 {
	return c
}

// EnterJoint reports whether c has to go through a joint configuration (ok), and if so, whether
// the leader leaves that by itself (autoLeave). Thesis 4.3.
//
// One change, with the transition left to us, moves any two majorities by one voter at most: they
// still overlap and the simple way is safe. Everything else is joint. So is a transition that
// this release does not know, with autoLeave: that is safe for every set of changes, needs nothing
// from the host, and an entry that is committed can no longer be refused.
func (c ConfChangeV2) EnterJoint() (autoLeave bool, ok bool) {
	if c.Transition == ConfChangeTransitionAuto && len(c.Changes) <= 1 {
		return false, false
	}
	return c.Transition != ConfChangeTransitionJointExplicit, true
}

// LeaveJoint reports whether c asks to leave a joint configuration: it has neither changes nor a
// transition. Its Context is free.
func (c ConfChangeV2) LeaveJoint() bool {
	return c.Transition == ConfChangeTransitionAuto && len(c.Changes) == 0
}

// confChangeLetters[t] is how ConfChangesFromString and ConfChangesToString write the type t.
var confChangeLetters = [...]byte{
	ConfChangeAddNode:        'v',
	ConfChangeRemoveNode:     'r',
	ConfChangeUpdateNode:     'u',
	ConfChangeAddLearnerNode: 'l',
}

// ConfChangesFromString reads changes as test scripts and tools write them: a letter and an ID
// each, one space between two. "v1 l2 r3 u4" makes 1 a voter and 2 a learner, removes 3 and updates
// 4. White space around s is ignored. It returns nil if s holds none.
func ConfChangesFromString(s string) ([]ConfChangeSingle, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, nil
	}
	var ccs []ConfChangeSingle
	for _, word := range strings.Split(s, " ") {
		if len(word) < 2 {
			return nil, fmt.Errorf("unknown token %s", word)
		}
		typ := slices.Index(confChangeLetters[:], word[0])
		if typ < 0 {
			return nil, fmt.Errorf("unknown input: %s", word)
		}
		id, err := strconv.ParseUint(word[1:], 10, 64)
		if err != nil {
			return nil, err
		}
		ccs = append(ccs, ConfChangeSingle{Type: ConfChangeType(typ), NodeID: id})
	}
	return ccs, nil
}

// ConfChangesToString is the inverse of [ConfChangesFromString]. A type without a letter is
// written as "unknown".
func ConfChangesToString(ccs []ConfChangeSingle) string {
	words := make([]string, len(ccs))
	for i, cc := range ccs {
		kind := "unknown"
		if cc.Type >= 0 && int(cc.Type) < len(confChangeLetters) {
			kind = string(confChangeLetters[cc.Type])
		}
		words[i] = kind + strconv.FormatUint(cc.NodeID, 10)
	}
	return strings.Join(words, " ")
}
