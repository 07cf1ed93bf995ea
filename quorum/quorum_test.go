package quorum_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/quorum"
)

// outcome plays the definition: an election is won when more than half said yes, lost when even
// everybody who is silent could not make that half.
func outcome(granted, refused, voters int) quorum.VoteResult {
	switch silent := voters - granted - refused; {
	case voters == 0 || 2*granted > voters:
		return quorum.VoteWon
	case 2*(granted+silent) <= voters:
		return quorum.VoteLost
	}
	return quorum.VotePending
}

func TestMajorityVoteFollowsTheDefinition(t *testing.T) {
	for voters := 0; voters <= 12; voters++ {
		for granted := 0; granted <= voters; granted++ {
			for refused := 0; granted+refused <= voters; refused++ {
				require.Equal(t, outcome(granted, refused, voters),
					quorum.MajorityVote(granted, refused, voters),
					"%d yes, %d no of %d", granted, refused, voters)
			}
		}
	}
}

// Thesis 4.3: a joint election needs both halves, and one lost half loses it.
func TestBothHalvesHaveToBeWon(t *testing.T) {
	const won, lost, pending = quorum.VoteWon, quorum.VoteLost, quorum.VotePending
	for _, c := range []struct{ a, b, want quorum.VoteResult }{
		{won, won, won}, {won, pending, pending}, {pending, pending, pending},
		{won, lost, lost}, {pending, lost, lost}, {lost, lost, lost},
	} {
		require.Equal(t, c.want, quorum.Both(c.a, c.b))
		require.Equal(t, c.want, quorum.Both(c.b, c.a))
	}
}

func TestResultsAndIndexesHaveTexts(t *testing.T) {
	require.Equal(t, "VotePending", quorum.VotePending.String())
	require.Equal(t, "VoteLost", quorum.VoteLost.String())
	require.Equal(t, "VoteWon", quorum.VoteWon.String())
	require.Equal(t, "VoteResult(0)", quorum.VoteResult(0).String())
	require.Equal(t, "VoteResult(77)", quorum.VoteResult(77).String())
	require.Equal(t, "12", quorum.Index(12).String())
	require.Equal(t, "∞", quorum.Index(1<<64-1).String())
}
