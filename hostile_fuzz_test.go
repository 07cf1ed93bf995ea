package raft_test

import (
	"encoding/binary"
	"flag"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Messages that nobody sane sends, to a member in every role and under every option, between valid ones.
// stage is the member, its host and what is checked; here are the ways to drive it.

var hostileMessages = flag.Int("hostile.messages", 30_000, "hostile messages that TestHostileMessages sends")

// coin reads choices from fuzz input; when that is used up, all choices are 0.
type coin struct{ data []byte }

func (c *coin) below(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

// near returns a number close to v, seldom one that is far off.
func (c *coin) near(v uint64) uint64 {
	switch k := c.below(16); {
	case k < 8:
		return v
	case k < 14:
		return v + uint64(k) - 11 // -3 to 2, may wrap
	case k == 14:
		return 0
	default:
		return huge - uint64(c.below(3))
	}
}

// play runs one world as data says: the role and the options, then hostile and valid messages in turn,
// then valid ones alone, which must make progress.
func play(t testing.TB, data []byte, messages int) *stage {
	s := newStage(t, data)
	for n := 0; n < messages && len(s.data) > 0; n++ {
		s.hit()
		if s.below(3) == 0 {
			s.valid()
		}
	}
	s.recover()
	return s
}

// Whatever a peer sends, in whatever role and in whatever order, nothing panics or goes on for ever, what
// was committed, acknowledged and promised stays, and valid traffic makes progress afterwards.
func FuzzHostile(f *testing.F) {
	rng := rand.New(rand.NewSource(1))
	for i := 0; i < 60; i++ {
		data := make([]byte, 20+rng.Intn(120))
		rng.Read(data)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { play(t, data, 8) })
}

// fill fills data with bytes that depend on seed alone (splitmix64).
func fill(data []byte, seed uint64) {
	x := seed * 0xd1342543de82ef95
	for i := 0; i+8 <= len(data); i += 8 {
		x += 0x9e3779b97f4a7c15
		z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(data[i:], z^z>>31)
	}
}

// tally counts what became of hostile messages.
type tally struct{ sent, passed int }

// The same without a fuzz engine, from a seed, and counted: at least 30 % of the messages pass the term
// gate and the membership check without an error, in every role, or they would show nothing. More than by
// default are sent with
//
//	go test -run 'TestHostileMessages$' -v -hostile.messages 10000000 -timeout 0 .
func TestHostileMessages(t *testing.T) {
	roles := map[raft.StateType]*tally{raft.StateFollower: {}, raft.StateCandidate: {},
		raft.StateLeader: {}, raft.StatePreCandidate: {}}
	types := map[pb.MessageType]int{}
	start, data := time.Now(), make([]byte, 1024)
	var total tally
	var led, followed, worlds int
	for ; total.sent < *hostileMessages; worlds++ {
		fill(data, uint64(worlds)) // a failure names the world, which is the seed
		s := &stage{t: t, name: worlds}
		s.begin(data)
		for n := 0; n < 16; n++ {
			role := s.BasicStatus().RaftState
			typ, passed := s.hit()
			types[min(typ, 24)]++
			roles[role].sent++
			total.sent++
			if passed {
				roles[role].passed++
				total.passed++
			}
			if s.below(3) == 0 {
				s.valid()
			}
		}
		s.recover()
		if s.followed {
			followed++
		}
		if s.led {
			led++
		}
	}
	t.Logf("%d messages in %d worlds, %.0f a second; %.1f %% passed the gates", total.sent, worlds,
		float64(total.sent)/time.Since(start).Seconds(), 100*float64(total.passed)/float64(total.sent))
	for role, c := range roles {
		t.Logf("%s: %d of %d passed", role, c.passed, c.sent)
		require.Greater(t, c.sent, total.sent/100, role)
		require.GreaterOrEqual(t, 10*c.passed, 3*c.sent, "%s: %d of %d passed", role, c.passed, c.sent)
	}
	t.Logf("by type %v; afterwards %d worlds followed and %d led", types, followed, led)
	for typ := range pb.MessageType_name {
		require.NotZero(t, types[pb.MessageType(typ)], pb.MessageType(typ))
	}
	require.Greater(t, 10*followed, 9*worlds)
	require.Greater(t, 2*led, worlds)
}
