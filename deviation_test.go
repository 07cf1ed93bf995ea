package raft_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pb "quorate.example/raft/raftpb"
)

// Status tells whether the joint configuration is left automatically; v3.6.0's never does (D13).
func TestStatusTellsOfAutoLeave(t *testing.T) {
	conf := pb.ConfState{Voters: []uint64{1, 2}, VotersOutgoing: []uint64{1}, AutoLeave: true}
	require.True(t, newGroupOf(t, conf).get(1).Status().Config.AutoLeave)
	require.False(t, newGroupOf(t, conf, mirror).get(1).Status().Config.AutoLeave)
}

// A single voter answers reads only when an entry of its term is committed: after a restart its commit
// index may be behind what it acknowledged (D14; found by simulation).
func TestSingleVoterReadsWaitForItsTermsFirstCommit(t *testing.T) {
	g := newGroup(t, 1)
	g.elect(1)
	require.NoError(t, g.get(1).Propose([]byte("acknowledged")))
	g.settle()
	store := g.get(1).store
	hard, _, err := store.InitialState()
	require.NoError(t, err)
	hard.Commit = 2 // it need not have been synced
	require.NoError(t, store.SetHardState(hard))
	m := g.restart(1)
	require.NoError(t, m.Campaign())
	rd := m.Ready() // its vote; after this it leads
	g.save(m, rd.HardState, rd.Entries, rd.Snapshot)
	g.apply(m, rd.CommittedEntries)
	m.Advance(rd)
	m.ReadIndex([]byte("r"))
	g.settle()
	require.Len(t, m.reads, 1)
	require.Contains(t, m.values(), "acknowledged")
	last, err := store.LastIndex()
	require.NoError(t, err)
	require.Equal(t, last, m.reads[0].Index)
}

// Reads that waited for the first commit of the term share one round of heartbeats; with Mirror36 each
// has its own (D10).
func TestEarlyReadsShareOneRound(t *testing.T) {
	rounds := func(opts ...option) int {
		g := newGroup(t, 3, opts...)
		require.NoError(t, g.get(1).Campaign())
		for g.leader() != 1 {
			g.handle(g.get(1))
			g.handle(g.get(2))
			g.deliver()
		}
		for i := 0; i < 4; i++ {
			g.get(1).ReadIndex([]byte{byte(i)})
		}
		beats := 0
		g.lose = func(m pb.Message) bool {
			if m.Type == pb.MsgHeartbeat && m.To == 2 {
				beats++
			}
			return false
		}
		g.settle()
		require.Len(t, g.get(1).reads, 4)
		return beats
	}
	require.Equal(t, 1, rounds())
	require.Equal(t, 4, rounds(mirror))
}

// Each deviation in the code has its line in docs/compatibility.md, with a test that exists.
func TestEachDeviationIsListedWithItsTest(t *testing.T) {
	code, err := os.ReadFile("mirror.go")
	require.NoError(t, err)
	page, err := os.ReadFile("docs/compatibility.md")
	require.NoError(t, err)
	var tests strings.Builder
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "_test.go") {
			text, err := os.ReadFile(f.Name())
			require.NoError(t, err)
			tests.Write(text)
		}
	}
	for _, id := range regexp.MustCompile(`// (D\d+)`).FindAllStringSubmatch(string(code), -1) {
		line := regexp.MustCompile(`(?m)^\| ` + id[1] + ` \|.*$`).FindString(string(page))
		require.NotEmpty(t, line, "%s has no line in docs/compatibility.md", id[1])
		test := regexp.MustCompile("`(Test\\w+)`").FindStringSubmatch(line)
		require.NotNil(t, test, "%s names no test", id[1])
		require.Contains(t, tests.String(), "func "+test[1]+"(", id[1])
	}
}
