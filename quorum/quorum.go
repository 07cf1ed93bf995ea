// Package quorum is the arithmetic of majorities: what a group of voters has agreed on, given what
// each of them said.
//
// Its functions work on dense slices and counts and never allocate; package tracker, and through
// it the core, uses only these. [MajorityConfig] and [JointConfig] say the same over maps of IDs.
package quorum

import (
	"math"
	"strconv"
)

// Index is a position in the log, or any other number that voters acknowledge upwards.
type Index uint64

// String returns the number, and ∞ for the largest one, which an empty set of voters yields.
func (i Index) String() string {
	if i == math.MaxUint64 {
		return "∞"
	}
	return strconv.FormatUint(uint64(i), 10)
}

// AckedIndexer says what a voter has acknowledged.
type AckedIndexer interface {
	// AckedIndex returns the highest index that the voter acknowledged; found is false, and idx
	// without meaning, for a voter that has not been heard of.
	AckedIndex(voterID uint64) (idx Index, found bool)
}

// VoteResult is the outcome of an election among one set of voters.
type VoteResult uint8

const (
	// VotePending says that the votes still missing can turn the election either way.
	VotePending VoteResult = 1 + iota
	// VoteLost says that a majority is out of reach.
	VoteLost
	// VoteWon says that a majority has granted its vote.
	VoteWon
)

// String returns the name of the constant, or VoteResult(n) for a value that is none.
func (v VoteResult) String() string {
	switch v {
	case VotePending:
		return "VotePending"
	case VoteLost:
		return "VoteLost"
	case VoteWon:
		return "VoteWon"
	}
	return "VoteResult(" + strconv.Itoa(int(v)) + ")"
}

// MajorityVote returns the outcome among voters of whom granted said yes and refused said no. No
// voters at all count as won, so that the absent half of a configuration never decides.
func MajorityVote(granted, refused, voters int) VoteResult {
	quorum := voters/2 + 1
	switch {
	case voters == 0 || granted >= quorum:
		return VoteWon
	case voters-refused < quorum:
		return VoteLost
	}
	return VotePending
}

// Both returns the outcome of an election that has to be won in two sets of voters, as in a joint
// configuration. Thesis 4.3.
func Both(a, b VoteResult) VoteResult {
	switch {
	case a == VoteLost || b == VoteLost:
		return VoteLost
	case a == VoteWon && b == VoteWon:
		return VoteWon
	}
	return VotePending
}
