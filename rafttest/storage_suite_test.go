package rafttest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// MemoryStorage keeps the contract.
func TestMemoryStorageKeepsTheContract(t *testing.T) {
	TestStorage(t, func(testing.TB) Storage { return raft.NewMemoryStorage() })
}

// A storage that survives crashes keeps the contract too: this one is
// MemoryStorage under another name, and what the wrong ones below start from.
func TestReopenableStorageKeepsTheContract(t *testing.T) {
	TestStorage(t, func(testing.TB) Storage { return newBent() })
}

// Each rule is broken by one storage that is wrong in just that respect, and
// the suite says so in the words of that rule.
func TestWrongStorageFailsForTheRightReason(t *testing.T) {
	for _, rule := range storageRules {
		rule := rule
		t.Run(rule.name, func(t *testing.T) {
			wrong, ok := wrongStorages[rule.name]
			require.True(t, ok, "no wrong storage shows that this rule bites")
			said := runRecorded(rule, func(testing.TB) Storage {
				s := newBent()
				wrong.bend(s)
				return s
			})
			require.Contains(t, said, wrong.want)
		})
	}
	require.Len(t, wrongStorages, len(storageRules), "a wrong storage is for no rule")
}

// runRecorded runs a rule in a goroutine of its own and returns what it
// complained about.
func runRecorded(rule storageRule, factory func(testing.TB) Storage) string {
	rec := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				rec.Errorf("panic: %v", p)
			}
		}()
		rule.run(rec, factory)
	}()
	<-done
	return rec.text()
}

// recorder is a testing.TB that keeps the complaints for itself. The methods
// it lacks are those the suite does not call.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (r *recorder) Helper() {}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// bent is a right storage of which single methods can be replaced.
type bent struct {
	*raft.MemoryStorage
	initial func() (pb.HardState, pb.ConfState, error)
	entries func(lo, hi, maxSize uint64) ([]pb.Entry, error)
	term    func(uint64) (uint64, error)
	first   func() (uint64, error)
	last    func() (uint64, error)
	snap    func() (pb.Snapshot, error)
	append  func([]pb.Entry) error
	save    func(pb.HardState) error
	install func(pb.Snapshot) error
	compact func(uint64) error
	reopen  func() (Storage, error)
}

func newBent() *bent {
	m := raft.NewMemoryStorage()
	s := &bent{
		MemoryStorage: m,
		initial:       m.InitialState,
		entries:       m.Entries,
		term:          m.Term,
		first:         m.FirstIndex,
		last:          m.LastIndex,
		snap:          m.Snapshot,
		append:        m.Append,
		save:          m.SetHardState,
		install:       m.ApplySnapshot,
		compact:       m.Compact,
	}
	s.reopen = func() (Storage, error) { return s, nil }
	return s
}

func (s *bent) InitialState() (pb.HardState, pb.ConfState, error) { return s.initial() }
func (s *bent) Term(i uint64) (uint64, error)                     { return s.term(i) }
func (s *bent) FirstIndex() (uint64, error)                       { return s.first() }
func (s *bent) LastIndex() (uint64, error)                        { return s.last() }
func (s *bent) Snapshot() (pb.Snapshot, error)                    { return s.snap() }
func (s *bent) Append(entries []pb.Entry) error                   { return s.append(entries) }
func (s *bent) SetHardState(hs pb.HardState) error                { return s.save(hs) }
func (s *bent) ApplySnapshot(snap pb.Snapshot) error              { return s.install(snap) }
func (s *bent) Compact(i uint64) error                            { return s.compact(i) }
func (s *bent) Reopen() (Storage, error)                          { return s.reopen() }
func (s *bent) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	return s.entries(lo, hi, maxSize)
}
