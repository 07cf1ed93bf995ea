package host_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
)

// Claim: events tell who leads, who lost it, and why; Explain says why there is nobody.
func TestEventsAndExplainSayWhyThereIsNoLeader(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	events, cancel := leader.Subscribe(1000)
	defer cancel()
	var gone []string
	for _, x := range g.others(leader) {
		gone = append(gone, fmt.Sprint(x.id))
		g.crash(x.id)
	}
	e := await(t, events, ofKind(host.EventLeaderLost))
	require.Equal(t, leader.id, e.Member)
	require.Contains(t, e.Reason, "no quorum answered")
	await(t, events, ofKind(host.EventCampaign))
	begin := leader.Metrics().Ticks
	for leader.Metrics().Ticks < begin+20 && g.context().Err() == nil {
		leader.Status()
	}
	text := leader.Explain().String()
	require.Contains(t, text, "of 3 voters only 1 (itself counted) were heard lately, 2 are needed")
	require.Contains(t, text, "silent: "+strings.Join(gone, ", "))
}

// Claim: a member that does not catch up is told of with the reason, and so is its return; Explain names it.
func TestEventsTellWhoIsStuckAndWhy(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	events, cancel := leader.Subscribe(1000)
	defer cancel()
	stuck := g.others(leader)[0]
	g.crash(stuck.id)
	g.write("x")
	fits := func(kind host.EventKind) func(host.Event) bool {
		return func(e host.Event) bool { return e.Kind == kind && e.Member == stuck.id }
	}
	e := await(t, events, fits(host.EventMemberStuck))
	require.Contains(t, e.Reason, "nothing was heard of it")
	members := leader.Explain().Members
	require.Len(t, members, 1)
	require.Equal(t, stuck.id, members[0].ID)
	g.start(stuck.id, nil)
	await(t, events, fits(host.EventMemberBack))
}

// Claim: who asks for a vote while a leader is heard is refused, and the event says so.
func TestRefusedVotesAreToldWithTheReason(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	others := g.others(leader)
	loner, witness := others[0], others[1]
	g.write("all have this")
	events, cancel := witness.Subscribe(1000)
	defer cancel()
	g.net.Cut(leader.id, loner.id, true) // it hears nothing and asks for pre-votes
	e := await(t, events, func(e host.Event) bool {
		return e.Kind == host.EventVoteRefused && e.Member == loner.id
	})
	require.Contains(t, e.Reason, fmt.Sprintf("member %d leads", leader.id))
}

// Claim: a subscriber that does not read holds nobody up; what it missed shows as a gap in the numbers.
func TestSlowSubscriberHoldsNobodyUp(t *testing.T) {
	g := newGroup(t, 3, smallSnapshots)
	leader := g.leader()
	events, cancel := leader.Subscribe(1)
	defer cancel()
	for i := 0; i < 60; i++ {
		g.write(fmt.Sprint(i))
	}
	first := <-events
	recent := leader.RecentEvents()
	require.NotEmpty(t, recent)
	require.Greater(t, recent[len(recent)-1].Number, first.Number)
	require.NotZero(t, leader.Metrics().EventsDropped)
	require.NotEmpty(t, first.String())
}

// Claim: Explain says why a proposal waits.
func TestExplainSaysWhyAProposalWaits(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.leader()
	g.write("x")
	for _, x := range g.nodes {
		require.NoError(t, x.Read(g.context()))
	}
	require.Equal(t, "All is well.", leader.Explain().String())
	g.net.Isolate(leader.id, true)
	answer := make(chan error, 1)
	go func() {
		_, err := leader.Propose(g.context(), []byte("y"))
		answer <- err
	}()
	text := ""
	for text == "" && g.context().Err() == nil {
		text = leader.Explain().Proposals
	}
	require.Contains(t, text, "1 proposals wait: ")
	g.net.Isolate(leader.id, false)
	<-answer
}

// Claim: all ticks of a pause are given to the member before anything else that waited: a follower that slept
// through its election timeout has lost its leader when it looks, and a leader does not answer from an old
// lease. The clock is bounded, so that a week asleep is not a week of ticks.
func TestClockCatchesUpAfterAPause(t *testing.T) {
	net := hosttest.NewNetwork()
	defer net.Close()
	now := time.Unix(1000, 0)
	clock := make(chan time.Time)
	var at = make(chan time.Time, 1)
	at <- now
	read := func() time.Time {
		t := <-at
		at <- t
		return t
	}
	r, err := host.StartWithClock(host.Config{
		ID: 1, StateMachine: &ledger{}, Log: hosttest.NewLog(), Snapshots: &hosttest.Snapshots{},
		Transport: net.Transport(1), Logger: raft.DiscardLogger(), TickInterval: time.Second,
		Bootstrap: []raft.Peer{{ID: 1}, {ID: 2}},
	}, read, clock)
	require.NoError(t, err)
	defer r.Stop()
	require.Zero(t, r.Metrics().Ticks)
	forward := func(d time.Duration) { at <- (<-at).Add(d) }
	forward(7 * time.Second)
	r.Status()
	require.EqualValues(t, 7, r.Metrics().Ticks)
	require.EqualValues(t, 6, r.Metrics().TicksCaughtUp)
	for late := time.After(deadline); r.Status().Applied < 2; {
		select {
		case <-late:
			require.Fail(t, "the first configuration is not applied")
		default:
		}
	}
	forward(7 * 24 * time.Hour)
	r.Status()
	require.EqualValues(t, 107, r.Metrics().Ticks)
	r.Status()
	require.NotZero(t, r.Metrics().Elections)
	forward(time.Second)
	clock <- time.Time{}
	r.Status()
	require.EqualValues(t, 108, r.Metrics().Ticks)
}
