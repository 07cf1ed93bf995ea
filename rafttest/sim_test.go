package rafttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"sort"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

func profileOf(t testing.TB, name string) Profile {
	t.Helper()
	p, ok := ProfileNamed(name)
	require.True(t, ok, name)
	return p
}

// The same seed is the same run, event for event, whatever the scheduler does.
func TestSameSeedIsTheSameRun(t *testing.T) {
	names := ProfileNames()
	run := func(seed uint64) uint64 {
		return Simulation{Seed: seed, Profile: profileOf(t, names[seed%uint64(len(names))])}.Run().Hash
	}
	first := map[uint64]uint64{}
	for seed := uint64(1); seed <= 100; seed++ {
		first[seed] = run(seed)
	}
	for _, procs := range []int{1, 2} {
		before := runtime.GOMAXPROCS(procs)
		for seed := uint64(1); seed <= 100; seed++ {
			require.Equal(t, first[seed], run(seed), "seed %d with GOMAXPROCS %d", seed, procs)
		}
		runtime.GOMAXPROCS(before)
	}
	distinct := map[uint64]bool{}
	for _, hash := range first {
		distinct[hash] = true
	}
	require.Len(t, distinct, 100, "different seeds are different runs")
}

// Recording a trace changes nothing.
func TestTraceDoesNotChangeTheRun(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		plain := Simulation{Seed: seed}.Run()
		traced := Simulation{Seed: seed, Trace: true}.Run()
		require.Equal(t, plain.Hash, traced.Hash)
		require.Equal(t, plain.Stats, traced.Stats)
		require.NotEmpty(t, traced.Trace.Events)
	}
}

// A run has enough in it to be worth while: the median of the default profile.
func TestMedianRunHasLeadersAndConfigurationChanges(t *testing.T) {
	var events, leaders, changes []int
	for seed := uint64(1); seed <= 101; seed++ {
		res := Simulate(t, Simulation{Seed: seed})
		events = append(events, res.Events)
		leaders = append(leaders, res.Leaders)
		changes = append(changes, res.ConfChanges)
	}
	median := func(list []int) int { sort.Ints(list); return list[len(list)/2] }
	require.GreaterOrEqual(t, median(events), 2000)
	require.GreaterOrEqual(t, median(leaders), 2)
	require.GreaterOrEqual(t, median(changes), 1)
}

// No oracle fires under any profile, for groups of one to five, but for the
// profiles that break something on purpose.
func TestNoViolationUnderAnyProfile(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for _, name := range ProfileNames() {
		name := name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := profileOf(t, name)
			for seed := uint64(1); seed <= seeds; seed++ {
				s := Simulation{Seed: seed, Members: 1 + int(seed%5), Profile: p}
				if res := s.Run(); res.Violation != nil && !p.Allows(res.Violation.Oracle) {
					t.Fatal(s.Shrink(300).Report())
				}
			}
		})
	}
}

// The profiles that break an assumption show what for it is there.
func TestBrokenAssumptionIsNoticed(t *testing.T) {
	for name, want := range map[string]Oracle{
		"lease-broken": OracleReadIndex,
		"lying-disk":   OracleCompleteness,
	} {
		p := profileOf(t, name)
		found := false
		for seed := uint64(1); seed <= 400 && !found; seed++ {
			res := Simulation{Seed: seed, Profile: p}.Run()
			found = res.Violation != nil && res.Violation.Oracle == want
		}
		require.True(t, found, "%s never fired under %s", want, name)
	}
}

// After the last fault a group is well within the bound, and that takes some
// election timeouts only.
func TestGroupIsWellSoonAfterTheFaults(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		res := Simulate(t, Simulation{Seed: seed})
		require.Less(t, res.HealTicks, 600, "seed %d", seed)
	}
}

// A group that can never be well again is noticed: here nobody sends anything to
// member 3.
func TestLivenessFailureIsNoticed(t *testing.T) {
	res := Simulation{Seed: 1, Profile: Calm(), Host: func(_ uint64, cfg *raft.Config) Host {
		cfg.AsyncStorageWrites = false
		return &deafHost{}
	}}.Run()
	require.NotNil(t, res.Violation)
	require.Equal(t, OracleLiveness, res.Violation.Oracle)
}

// deafHost is SyncHost in a world in which nothing goes to member 3.
type deafHost struct{ saving bool }

func (h *deafHost) Work(m *Member) {
	for !h.saving && m.HasReady() {
		rd := m.Ready()
		h.saving = true
		b := writeOf(&rd)
		b.Sync = true
		m.Save(b, func(error) {
			h.saving = false
			for _, msg := range rd.Messages {
				if msg.To != 3 {
					m.Send(msg)
				}
			}
			m.Answer(rd.ReadStates)
			m.Apply(rd.CommittedEntries)
			m.Advance(rd)
		})
	}
}

// Events come out in the order of their time, and of their making where that is
// the same.
func TestQueueIsInOrder(t *testing.T) {
	src := newSource(1, 0, 0, 0)
	var q eventQueue
	var last event
	for round := 0; round < 2000; round++ {
		if src.below(3) > 0 || len(q.heap) == 0 {
			q.push(event{at: last.at + int64(src.below(50))})
			continue
		}
		e := q.pop()
		require.True(t, last.at < e.at || last.at == e.at && last.seq < e.seq)
		last = e
	}
	for len(q.heap) > 0 {
		e := q.pop()
		require.True(t, last.before(&e))
		last = e
	}
}

// The user's state machine and workload take the place of the registers.
func TestOwnStateMachineIsChecked(t *testing.T) {
	s := Simulation{
		Workload:     appendWorkload{},
		StateMachine: func(uint64) StateMachine { return &appendMachine{} },
	}
	for s.Seed = 1; s.Seed <= 10; s.Seed++ {
		require.Positive(t, Simulate(t, s).Writes)
	}
	s.StateMachine = func(id uint64) StateMachine { return &appendMachine{forgetful: id == 2} }
	found := false
	for s.Seed = 1; s.Seed <= 20 && !found; s.Seed++ {
		v := s.Run().Violation
		found = v != nil && (v.Oracle == OracleStateMachine || v.Oracle == OracleLinearizable)
	}
	require.True(t, found)
}

// appendMachine is a text that grows. A forgetful one loses text when it grows
// long.
type appendMachine struct {
	text      []byte
	forgetful bool
}

func (a *appendMachine) Apply(call []byte) []byte {
	a.text = append(a.text, call...)
	if a.forgetful && len(a.text) > 100 {
		a.text = a.text[:10]
	}
	return fmt.Appendf(nil, "%d", len(a.text))
}

func (a *appendMachine) Query([]byte) []byte       { return fmt.Appendf(nil, "%d", len(a.text)) }
func (a *appendMachine) Snapshot() []byte          { return a.text }
func (a *appendMachine) Restore(data []byte) error { a.text = append([]byte(nil), data...); return nil }

type appendWorkload struct{}

func (appendWorkload) Call(unique uint32, read bool, random func(uint64) uint64) []byte {
	if read {
		return []byte("?")
	}
	return bytes.Repeat([]byte{'x'}, 1+int(random(5)))
}

func (appendWorkload) Model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, input, output any) (bool, any) {
			length, call := state.(int), string(input.([]byte))
			if call != "?" {
				length += len(call)
			}
			return string(output.([]byte)) == fmt.Sprint(length), length
		},
	}
}

// A storage that reopens itself is used across crashes, and a wrong one is
// found out.
func TestOwnStorageIsChecked(t *testing.T) {
	p := profileOf(t, "crash")
	reopened := 0
	s := Simulation{Profile: p, Storage: func(uint64) Storage {
		b := newBent()
		b.reopen = func() (Storage, error) { reopened++; return b, nil }
		return b
	}}
	for s.Seed = 1; s.Seed <= 10; s.Seed++ {
		Simulate(t, s)
	}
	require.Positive(t, reopened)

	s.Profile = Chaos()
	for i, wrong := range []func(*bent){keepsOldTail, losesHardState, losesLastBatchFromAnywhere} {
		wrong := wrong
		s.Storage = func(uint64) Storage { b := newBent(); wrong(b); return b }
		found := false
		for s.Seed = 1; s.Seed <= 100 && !found; s.Seed++ {
			found = s.Run().Violation != nil
		}
		require.True(t, found, "wrong storage %d", i)
	}
}

// losesLastBatchFromAnywhere forgets the last entry whenever it is reopened.
func losesLastBatchFromAnywhere(s *bent) {
	s.reopen = func() (Storage, error) {
		first, _ := s.MemoryStorage.FirstIndex()
		last, _ := s.MemoryStorage.LastIndex()
		if last <= first {
			return s, nil
		}
		e, err := s.MemoryStorage.Entries(last-1, last, noSizeLimit)
		if err != nil {
			return nil, err
		}
		return s, s.MemoryStorage.Append(e)
	}
}

// A page of a run has its records in it, and nothing in them ends the script.
func TestTimelineIsOnePage(t *testing.T) {
	res := Simulation{Seed: 3, Trace: true}.Run()
	var page bytes.Buffer
	require.NoError(t, res.WriteTimeline(&page))
	text := page.String()
	require.Equal(t, 1, strings.Count(text, "</script>"))
	require.NotContains(t, text, "src=")
	at := strings.Index(text, "const trace = ")
	require.Positive(t, at)
	data, _, _ := strings.Cut(text[at+len("const trace = "):], ";\n")
	var trace Trace
	require.NoError(t, json.Unmarshal([]byte(data), &trace))
	require.Len(t, trace.Events, len(res.Trace.Events))

	res.Trace = nil
	require.ErrorContains(t, res.WriteTimeline(&page), "Simulation.Trace")
}

// The image of a disk takes batches as a log does.
func TestImageKeepsWhatADiskKeeps(t *testing.T) {
	var i image
	i.install(pb.Snapshot{Metadata: pb.SnapshotMetadata{Index: 3, Term: 1}})
	i.append(numbered(1, 4, 8))
	i.append(numbered(2, 6, 7))
	require.EqualValues(t, 7, i.lastIndex())
	require.True(t, i.has(6, 2) && i.has(5, 1) && i.has(2, 9))
	require.False(t, i.has(6, 1) || i.has(8, 1))
	i.compact(6)
	require.Equal(t, pb.Entry{Index: 6, Term: 2}, i.base)
	require.EqualValues(t, 7, i.lastIndex())
	i.append(numbered(3, 5, 7))
	require.True(t, i.has(7, 3))
}

// BenchmarkSimulation measures events per second on one goroutine.
func BenchmarkSimulation(b *testing.B) {
	for _, name := range []string{"calm", "chaos"} {
		p, _ := ProfileNamed(name)
		b.Run(name, func(b *testing.B) {
			events := 0
			for i := 0; i < b.N; i++ {
				events += Simulation{Seed: uint64(i), Profile: p}.Run().Events
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
