package rafttest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// wrongHosts are host loops with one mistake each, and the oracle that finds
// it.
var wrongHosts = []struct {
	name    string
	host    func() Host
	async   bool
	profile string
	want    []Oracle
}{
	{"SendsBeforeItSaves", func() Host { return &wrongSync{sendFirst: true} }, false, "calm",
		[]Oracle{OracleDurability}},
	{"SavesWithoutSync", func() Host { return &wrongSync{noSync: true} }, false, "calm",
		[]Oracle{OracleDurability}},
	{"NeverSavesHardState", func() Host { return &wrongSync{noHardState: true} }, false, "calm",
		[]Oracle{OracleDurability}},
	{"NeverSavesEntries", func() Host { return &wrongSync{noEntries: true} }, false, "calm",
		[]Oracle{OracleDurability}},
	{"AppliesTwice", func() Host { return &wrongSync{applyTwice: true} }, false, "calm",
		[]Oracle{OracleStateMachine}},
	{"SkipsTheFirstOfTwoEntries", func() Host { return &wrongSync{skipEntry: true} }, false, "calm",
		[]Oracle{OracleStateMachine}},
	{"AppliesWhatIsNotCommitted", func() Host { return &wrongSync{applyEntries: true} }, false, "calm",
		[]Oracle{OracleStateMachine}},
	{"InstallsSnapshotWithoutSaving", func() Host { return &wrongSync{noSnapshot: true} }, false, "chaos",
		[]Oracle{OracleDurability, OraclePanic}},
	{"DropsItsMessagesNowAndThen", func() Host { return &wrongSync{loseAll: true} }, false, "calm",
		[]Oracle{OracleLiveness}},
	{"AnswersReadsBeforeTheyAreConfirmed", func() Host { return &wrongSync{earlyReads: true} }, false,
		"network", []Oracle{OracleReadIndex, OracleLinearizable}},
	{"RespondsBeforeTheWriteIsDone", func() Host { return &hastyAsync{} }, true, "calm",
		[]Oracle{OracleDurability}},
}

// Each mistake of a host loop is found, by the oracle that stands for it.
func TestWrongHostLoopIsFound(t *testing.T) {
	for _, wrong := range wrongHosts {
		wrong := wrong
		t.Run(wrong.name, func(t *testing.T) {
			t.Parallel()
			s := Simulation{
				Profile: profileOf(t, wrong.profile),
				Config:  func(_ uint64, cfg *raft.Config) { cfg.AsyncStorageWrites = wrong.async },
				Host:    func(uint64, *raft.Config) Host { return wrong.host() },
			}
			events := 0
			for s.Seed = 1; s.Seed <= 200; s.Seed++ {
				res := s.Run()
				events += res.Events
				if res.Violation != nil {
					require.Contains(t, wrong.want, res.Violation.Oracle, res.Violation.Error())
					t.Logf("%s after %d seeds, %d events", res.Violation.Oracle, s.Seed, events)
					return
				}
			}
			t.Fatalf("not found in %d events", events)
		})
	}
}

// wrongSync is SyncHost with mistakes to choose from.
type wrongSync struct {
	saving, sendFirst, noSync, noHardState, noEntries, noSnapshot bool
	applyTwice, skipEntry, applyEntries, loseAll, earlyReads      bool
	readies                                                       int
}

func (h *wrongSync) Work(m *Member) {
	for !h.saving && m.HasReady() {
		rd := m.Ready()
		h.readies++
		if h.sendFirst {
			m.Send(rd.Messages...)
			rd.Messages = nil
		}
		h.saving = true
		m.Save(h.write(&rd), func(err error) {
			h.saving = false
			if err != nil {
				m.Fail(err)
				return
			}
			h.finish(m, rd)
		})
	}
}

func (h *wrongSync) write(rd *raft.Ready) Write {
	b := writeOf(rd)
	b.Sync = b.Sync && !h.noSync
	if h.noHardState {
		b.HardState = pb.HardState{}
	}
	if h.noEntries {
		b.Entries = nil
	}
	if h.noSnapshot {
		b.Snapshot = nil
	}
	return b
}

func (h *wrongSync) finish(m *Member, rd raft.Ready) {
	if !raft.IsEmptySnap(rd.Snapshot) {
		m.Install(rd.Snapshot)
	}
	if !h.loseAll || h.readies < 5 {
		m.Send(rd.Messages...)
	}
	m.Answer(rd.ReadStates)
	committed := rd.CommittedEntries
	if h.skipEntry && len(committed) > 1 {
		committed = committed[1:]
	}
	if h.applyEntries && len(rd.Entries) > 0 && len(committed) == 0 {
		committed = rd.Entries
	}
	m.Apply(committed)
	if h.applyTwice {
		m.Apply(committed)
	}
	if h.earlyReads {
		m.Answer(m.UnconfirmedReads())
	}
	m.Advance(rd)
}

// hastyAsync is AsyncHost that does not wait for the disk.
type hastyAsync struct{ AsyncHost }

func (h *hastyAsync) Work(m *Member) {
	for m.HasReady() {
		rd := m.Ready()
		m.Answer(rd.ReadStates)
		for _, msg := range rd.Messages {
			switch msg.To {
			case raft.LocalAppendThread:
				responses := msg.Responses
				msg.Responses = nil
				h.save(m, msg)
				h.respond(m, responses)
			case raft.LocalApplyThread:
				h.apply(m, msg)
			default:
				m.Send(msg)
			}
		}
	}
}

// UnconfirmedReads returns the reads that wait, as if they were confirmed.
func (m *Member) UnconfirmedReads() []raft.ReadState {
	var states []raft.ReadState
	for _, r := range m.waiting.reads {
		ctx := []byte{byte(r.number), byte(r.number >> 8), byte(r.number >> 16), byte(r.number >> 24)}
		states = append(states, raft.ReadState{Index: m.applied, RequestCtx: ctx})
	}
	return states
}

// A failure comes with few actions, and the run that is left fails in the same
// way when its command line is read again.
func TestFailureShrinksAndRepeats(t *testing.T) {
	s := Simulation{
		Seed:   7,
		Config: func(_ uint64, cfg *raft.Config) { cfg.AsyncStorageWrites = false },
		Host:   func(uint64, *raft.Config) Host { return &wrongSync{skipEntry: true} },
	}
	small := s.Shrink(300)
	require.NotNil(t, small)
	require.Equal(t, OracleStateMachine, small.Result.Violation.Oracle)
	require.Less(t, len(small.Keep), 12)
	require.Greater(t, small.Before, 100)
	require.LessOrEqual(t, small.Runs, 300)

	report := small.Report()
	require.Contains(t, report, "-seed 7 -profile chaos -members 3 -keep "+FormatKeep(small.Keep))
	require.Equal(t, len(small.Keep), strings.Count(report, " s  "))

	keep, err := ParseKeep(FormatKeep(small.Keep))
	require.NoError(t, err)
	noise, err := ParseNoise(small.Without.String())
	require.NoError(t, err)
	s.Keep, s.Without = keep, noise
	require.Equal(t, small.Result.Hash, s.Run().Hash)
	require.Equal(t, small.Result.Violation, s.Run().Violation)

	require.Nil(t, Simulation{Seed: 1, Profile: Calm()}.Shrink(10), "nothing to shrink")
}

// The short form of kept actions reads back, and nonsense does not.
func TestKeptActionsReadBack(t *testing.T) {
	for text, want := range map[string][]int{
		"none": {}, "4": {4}, "0-2": {0, 1, 2}, "0-1,5,7-9": {0, 1, 5, 7, 8, 9},
	} {
		got, err := ParseKeep(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, text, FormatKeep(got))
	}
	for _, text := range []string{"", "x", "3-", "5-2", "1,,2"} {
		_, err := ParseKeep(text)
		require.Error(t, err, text)
	}
	noise, err := ParseNoise("drop,clock")
	require.NoError(t, err)
	require.Equal(t, NoiseDrop|NoiseClock, noise)
	_, err = ParseNoise("rain")
	require.ErrorContains(t, err, "rain")
}
