package drill

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func deal(p *planner, n int) (out []step) {
	for range n {
		out = append(out, p.next())
	}
	return out
}

// Claim: the same seed gives the same faults, another one gives others.
func TestPlanFollowsItsSeed(t *testing.T) {
	a, b := deal(newPlanner(1, Kinds(), time.Minute), 30), deal(newPlanner(1, Kinds(), time.Minute), 30)
	require.Equal(t, a, b)
	require.NotEqual(t, a, deal(newPlanner(2, Kinds(), time.Minute), 30))
}

// Claim: each kind has its turn before one comes again, and a plan of half a minute has room for all.
func TestPlanTakesKindsInTurns(t *testing.T) {
	p := newPlanner(3, Kinds(), 30*time.Second)
	var planned time.Duration
	for range 3 {
		seen := map[Kind]bool{}
		planned = 0
		for _, st := range deal(p, len(Kinds())) {
			require.False(t, seen[st.kind])
			seen[st.kind] = true
			require.Positive(t, st.after)
			require.Positive(t, st.length)
			planned += st.after + st.length
		}
		require.Less(t, planned, 30*time.Second)
	}
}

// Claim: faults are neither too short to matter nor so long that few of them fit.
func TestFaultsHaveAUsefulLength(t *testing.T) {
	for _, total := range []time.Duration{time.Second, time.Hour} {
		for _, st := range deal(newPlanner(4, Kinds(), total), 50) {
			require.GreaterOrEqual(t, st.length, shortest/2)
			require.LessOrEqual(t, st.length, 2*longest)
		}
	}
}

// Claim: lists of kinds are read, and unknown kinds refused.
func TestKindsAreParsed(t *testing.T) {
	kinds, err := ParseKinds("all")
	require.NoError(t, err)
	require.Equal(t, Kinds(), kinds)
	kinds, err = ParseKinds("kill,one-way")
	require.NoError(t, err)
	require.Equal(t, []Kind{Kill, OneWay}, kinds)
	_, err = ParseKinds("kill,earthquake")
	require.ErrorContains(t, err, "earthquake")
}

// Claim: a partition separates a minority with the victim from all others, in both directions; a one-way
// cut takes one direction of the victim's links, and a pair loses only each other.
func TestCutsTakeTheRightLinks(t *testing.T) {
	for seed := range uint64(50) {
		for _, n := range []int{3, 5} {
			victim := int(seed) % n
			cut := func(kind Kind) map[link]bool {
				links, _ := cutLinks(step{kind: kind, random: rand.New(rand.NewPCG(seed, 1))}, victim, n)
				set := map[link]bool{}
				for _, l := range links {
					require.False(t, set[l], "%v twice", l)
					require.NotEqual(t, l.from, l.to)
					set[l] = true
				}
				return set
			}
			whole := cut(Partition)
			group := map[int]bool{}
			for l := range whole {
				require.True(t, whole[link{l.to, l.from}])
				if l.from == victim {
					group[l.to] = true // the other side
				}
			}
			require.Greater(t, len(group), n/2, "the victim is in the minority")
			require.Len(t, whole, 2*len(group)*(n-len(group)))

			oneWay := cut(OneWay)
			require.Len(t, oneWay, n-1)
			from := 0
			for l := range oneWay {
				require.True(t, l.from == victim || l.to == victim)
				if l.from == victim {
					from++
				}
			}
			require.Contains(t, []int{0, n - 1}, from)
			require.Len(t, cut(Pair), 2)
		}
	}
}
