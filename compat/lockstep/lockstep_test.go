package lockstep

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/compat/host"
	"quorate.example/raft/compat/ours"
	"quorate.example/raft/compat/v36"
)

func TestMain(m *testing.M) {
	v36.Deterministic()
	m.Run()
}

const ops = 40_000

// agrees fails the test with a shrunk trace if res has a difference.
func agrees(t *testing.T, libs Libraries, res *Result) {
	t.Helper()
	if res.Failure != nil {
		res.Failure.Shrink(libs, 10*time.Second)
		t.Fatal(res.Failure)
	}
	t.Log(res.Counts())
}

// With Mirror36, a host sees what it sees of v3.6.0.
func TestMirrorEqualsReference(t *testing.T) {
	libs := Libraries{Reference: v36.New, Ours: ours.New}
	agrees(t, libs, Run(libs, 1, ops))
}

// In default mode, a host that drains after each input sees only differences that are listed.
func TestDefaultDiffersOnlyAsListed(t *testing.T) {
	libs := Libraries{Reference: v36.New, Ours: ours.New, Default: true, Explainers: Explainers}
	agrees(t, libs, Run(libs, 1, ops))
}

// The harness itself is deterministic: v3.6.0 against v3.6.0 shows no difference, and the schedules
// get far enough to say something.
func TestReferenceAgreesWithItself(t *testing.T) {
	libs := Libraries{Reference: v36.New, Ours: v36.New}
	res := Run(libs, 1, ops)
	agrees(t, libs, res)
	for _, typ := range []string{"MsgApp", "MsgSnap", "MsgReadIndexResp", "MsgTimeoutNow", "MsgPreVoteResp"} {
		require.Greater(t, res.Sent[typ], 0, typ)
	}
	require.Less(t, len(res.RefPanics), res.Cases/20)
	require.Less(t, res.ReadLeaks, res.Cases/20)
}

// forgetful is a member of v3.6.0 with a fault: it ignores every ForgetLeader.
type forgetful struct{ host.Raw }

func (forgetful) ForgetLeader() error { return nil }

// A difference is found, and its schedule reduced to what is needed to show it.
func TestFaultIsFoundAndShrunk(t *testing.T) {
	libs := Libraries{Reference: v36.New, Ours: func(o host.Options, st *host.Disk) (host.Raw, error) {
		raw, err := v36.New(o, st)
		return forgetful{raw}, err
	}}
	res := Run(libs, 1, ops)
	require.NotNil(t, res.Failure)
	long := len(res.Failure.Ops)
	res.Failure.Shrink(libs, 5*time.Second)
	require.Less(t, len(res.Failure.Ops), long)
	require.LessOrEqual(t, len(res.Failure.Ops), 12)
	require.Contains(t, res.Failure.Trace, "forget-leader")
	require.Contains(t, res.Failure.Diff, "lead")
}

// The same seed is the same case and the same schedule.
func TestSeedIsTheBugReport(t *testing.T) {
	a, b := NewCase(42, false), NewCase(42, false)
	require.Equal(t, a.String(), b.String())
	require.Equal(t, a.Schedule(), b.Schedule())
	require.NotEqual(t, a.Schedule(), NewCase(43, false).Schedule())
}
