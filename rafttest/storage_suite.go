package rafttest

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Reopener is a Storage that outlives its process. TestStorage crashes such a
// storage too and looks at what is left.
type Reopener interface {
	Storage
	// Reopen gives the storage up as a crash of the process does, without a
	// chance to tidy up, and returns it opened again. What a write method had
	// written before it returned must be there.
	Reopen() (Storage, error)
}

// TestStorage tests the storages that factory makes against the contract that
// package raft and its hosts rely on, in one subtest per rule, named for it.
// Each call of factory must return a storage that is empty and independent of
// the others; it may use t for temporary directories and cleaning up.
//
// The contract of the write methods:
//
//   - Append writes entries that follow each other. They may overlap the log
//     and then replace it from the first one on, tail included. Entries at or
//     below the compacted index are passed over.
//   - SetHardState replaces the whole HardState.
//   - ApplySnapshot replaces the whole log by a snapshot from another member.
//   - Compact(i) removes the entries up to and including i. The term of entry
//     i stays known.
//
// The suite never leaves a gap in a log, and never compacts past its end.
func TestStorage(t *testing.T, factory func(t testing.TB) Storage) {
	for _, rule := range storageRules {
		rule := rule
		t.Run(rule.name, func(t *testing.T) {
			rule.run(t, factory)
		})
	}
}

// storageRule is one sentence of the contract and the test of it.
type storageRule struct {
	name  string
	check func(*storageCheck)
	// crashes says that the rule is about storages that can be reopened.
	crashes bool
}

func (r storageRule) run(t testing.TB, factory func(testing.TB) Storage) {
	s := factory(t)
	if _, ok := s.(Reopener); r.crashes && !ok {
		t.Logf("%T lives in memory only: it has no Reopen", s)
		return
	}
	r.check(&storageCheck{TB: t, s: s})
}

// storageCheck is the storage under test with questions whose wrong answers
// fail the test and say what was asked.
type storageCheck struct {
	testing.TB
	s Storage
}

const noSizeLimit = math.MaxUint64

// numbered returns the entries lo to hi of one term. Their data tells index
// and term, so that a mix-up shows.
func numbered(term, lo, hi uint64) []pb.Entry {
	var entries []pb.Entry
	for i := lo; i <= hi; i++ {
		data := []byte(fmt.Sprintf("entry %d of term %d", i, term))
		entries = append(entries, pb.Entry{Term: term, Index: i, Data: data})
	}
	return entries
}

// snapshotAt returns a snapshot with a joint configuration that uses each field.
func snapshotAt(index, term uint64) pb.Snapshot {
	return pb.Snapshot{
		Data: []byte(fmt.Sprintf("state at %d", index)),
		Metadata: pb.SnapshotMetadata{
			Index: index,
			Term:  term,
			ConfState: pb.ConfState{
				Voters:         []uint64{1, 2, 3},
				Learners:       []uint64{5},
				VotersOutgoing: []uint64{1, 2, 4},
				LearnersNext:   []uint64{4},
				AutoLeave:      true,
			},
		},
	}
}

func (c *storageCheck) append(entries ...pb.Entry) {
	c.Helper()
	c.noError(c.s.Append(entries), "Append of %s", spanOf(entries))
}

func (c *storageCheck) compact(index uint64) {
	c.Helper()
	c.noError(c.s.Compact(index), "Compact(%d)", index)
}

func (c *storageCheck) install(snap pb.Snapshot) {
	c.Helper()
	c.noError(c.s.ApplySnapshot(snap), "ApplySnapshot at index %d", snap.Metadata.Index)
}

func (c *storageCheck) save(hs pb.HardState) {
	c.Helper()
	c.noError(c.s.SetHardState(hs), "SetHardState(%+v)", hs)
}

func (c *storageCheck) noError(err error, format string, args ...any) {
	c.Helper()
	if err != nil {
		c.Fatalf("%s failed: %v", fmt.Sprintf(format, args...), err)
	}
}

// wantBounds asks for the indexes of the first and the last entry.
func (c *storageCheck) wantBounds(first, last uint64) {
	c.Helper()
	gotFirst, err := c.s.FirstIndex()
	c.noError(err, "FirstIndex")
	gotLast, err := c.s.LastIndex()
	c.noError(err, "LastIndex")
	if gotFirst != first {
		c.Errorf("FirstIndex is %d, want %d", gotFirst, first)
	}
	if gotLast != last {
		c.Errorf("LastIndex is %d, want %d", gotLast, last)
	}
}

func (c *storageCheck) wantTerm(index, term uint64) {
	c.Helper()
	got, err := c.s.Term(index)
	c.noError(err, "Term(%d)", index)
	if got != term {
		c.Errorf("Term(%d) is %d, want %d", index, got, term)
	}
}

// wantTermError asks for a term that the storage cannot know.
func (c *storageCheck) wantTermError(index uint64, want error) {
	c.Helper()
	if _, err := c.s.Term(index); !errors.Is(err, want) {
		c.Errorf("Term(%d) has error %q, want %q", index, textOf(err), want)
	}
}

// wantEntries asks for [lo, hi) and compares everything.
func (c *storageCheck) wantEntries(lo, hi, maxSize uint64, want []pb.Entry) {
	c.Helper()
	got, err := c.s.Entries(lo, hi, maxSize)
	c.noError(err, "Entries(%d, %d, %s)", lo, hi, limitText(maxSize))
	if len(got) != len(want) {
		c.Errorf("Entries(%d, %d, %s) has %d entries (%s), want %d (%s)", lo, hi,
			limitText(maxSize), len(got), spanOf(got), len(want), spanOf(want))
		return
	}
	for i := range want {
		if !sameEntry(got[i], want[i]) {
			c.Errorf("Entries(%d, %d, %s) at position %d is %+v, want %+v", lo, hi,
				limitText(maxSize), i, got[i], want[i])
		}
	}
}

func (c *storageCheck) wantEntriesError(lo, hi uint64, want error) {
	c.Helper()
	got, err := c.s.Entries(lo, hi, noSizeLimit)
	if !errors.Is(err, want) {
		c.Errorf("Entries(%d, %d) has %d entries and error %q, want error %q",
			lo, hi, len(got), textOf(err), want)
	}
}

// wantRefused asks for entries past the end, which no caller may do: the answer
// is ErrUnavailable or a panic, and not entries.
func (c *storageCheck) wantRefused(lo, hi uint64) {
	c.Helper()
	got, err, panicked := c.entriesOrPanic(lo, hi)
	if panicked || errors.Is(err, raft.ErrUnavailable) {
		return
	}
	c.Errorf("Entries(%d, %d) past the end has %d entries and error %q, want error %q",
		lo, hi, len(got), textOf(err), raft.ErrUnavailable)
}

func (c *storageCheck) entriesOrPanic(lo, hi uint64) (got []pb.Entry, err error, panicked bool) {
	defer func() {
		if recover() != nil {
			panicked = true
		}
	}()
	got, err = c.s.Entries(lo, hi, noSizeLimit)
	return got, err, false
}

func (c *storageCheck) wantHardState(want pb.HardState) {
	c.Helper()
	got, _, err := c.s.InitialState()
	c.noError(err, "InitialState")
	if got != want {
		c.Errorf("InitialState has HardState %+v, want %+v", got, want)
	}
}

func (c *storageCheck) wantConfState(want pb.ConfState) {
	c.Helper()
	_, got, err := c.s.InitialState()
	c.noError(err, "InitialState")
	if !sameConfState(got, want) {
		c.Errorf("InitialState has ConfState %+v, want %+v", got, want)
	}
}

func (c *storageCheck) wantSnapshot(want pb.Snapshot) {
	c.Helper()
	got, err := c.s.Snapshot()
	c.noError(err, "Snapshot")
	if string(got.Data) != string(want.Data) {
		c.Errorf("Snapshot has data %q, want %q", got.Data, want.Data)
	}
	if got.Metadata.Index != want.Metadata.Index || got.Metadata.Term != want.Metadata.Term {
		c.Errorf("Snapshot is at index %d, term %d, want index %d, term %d", got.Metadata.Index,
			got.Metadata.Term, want.Metadata.Index, want.Metadata.Term)
	}
	if !sameConfState(got.Metadata.ConfState, want.Metadata.ConfState) {
		c.Errorf("Snapshot has ConfState %+v, want %+v",
			got.Metadata.ConfState, want.Metadata.ConfState)
	}
}

// crash replaces the storage by what is left of it after a crash.
func (c *storageCheck) crash() {
	c.Helper()
	s, err := c.s.(Reopener).Reopen()
	c.noError(err, "Reopen")
	c.s = s
}

// sameEntry compares entries. Whether no data is nil or empty is left to the
// storage.
func sameEntry(a, b pb.Entry) bool {
	return a.Term == b.Term && a.Index == b.Index && a.Type == b.Type &&
		string(a.Data) == string(b.Data)
}

// sameConfState compares field by field and takes nil and empty as the same.
func sameConfState(a, b pb.ConfState) bool {
	return sameIDs(a.Voters, b.Voters) && sameIDs(a.Learners, b.Learners) &&
		sameIDs(a.VotersOutgoing, b.VotersOutgoing) &&
		sameIDs(a.LearnersNext, b.LearnersNext) && a.AutoLeave == b.AutoLeave
}

func sameIDs(a, b []uint64) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

func textOf(err error) string {
	if err == nil {
		return "none"
	}
	return err.Error()
}

func limitText(maxSize uint64) string {
	if maxSize == noSizeLimit {
		return "no limit"
	}
	return fmt.Sprintf("%d bytes", maxSize)
}

func spanOf(entries []pb.Entry) string {
	if len(entries) == 0 {
		return "no entries"
	}
	return fmt.Sprintf("%d to %d", entries[0].Index, entries[len(entries)-1].Index)
}
