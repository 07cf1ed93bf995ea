package store_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

func open(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = "data"
	}
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	if o.LogSegmentBytes == 0 {
		o.LogSegmentBytes = 16 << 10
	}
	s, err := store.Open(o)
	require.NoError(t, err)
	return s
}

func save(t *testing.T, s *store.Store, rd raft.Ready) {
	t.Helper()
	require.NoError(t, s.Save(host.Write{Entries: rd.Entries, HardState: rd.HardState, Sync: rd.MustSync}))
}

func putEntry(index, term uint64, key, value string) pb.Entry {
	c := store.Command{Op: store.OpPut, Key: key, Value: []byte(value)}
	return pb.Entry{Index: index, Term: term, Data: c.Encode()}
}

// appendAndApply saves and applies puts from index 1 to n, one Ready each.
func appendAndApply(t *testing.T, s *store.Store, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		e := putEntry(i, 1, fmt.Sprintf("key-%03d", i%7), fmt.Sprintf("value-%d", i))
		save(t, s, raft.Ready{
			HardState: pb.HardState{Term: 1, Commit: i}, Entries: []pb.Entry{e}, MustSync: true,
		})
		apply(t, s, e)
	}
}

func apply(t *testing.T, s *store.Store, entries ...pb.Entry) []store.Result {
	t.Helper()
	var out []store.Result
	a := s.Apply()
	for _, e := range entries {
		r, err := a.Entry(e)
		require.NoError(t, err)
		out = append(out, r)
	}
	require.NoError(t, a.Commit())
	return out
}

// content is the whole state, as text.
func content(t *testing.T, s *store.Store) string {
	t.Helper()
	page, err := s.List(store.ListOptions{Limit: math.MaxInt, MaxBytes: math.MaxInt, Values: true})
	require.NoError(t, err)
	out := fmt.Sprintf("revision %d\n", page.Revision)
	for _, x := range page.Items {
		out += fmt.Sprintf("%s@%d=%s\n", x.Key, x.Revision, x.Value)
	}
	return out
}

// Claim: under random appends, overwrites, compactions and restarts the log answers as
// raft.MemoryStorage does.
func TestLogAnswersAsMemoryStorageDoes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	o := store.Options{FS: vfs.NewMem(), CacheBytes: 600}
	s := open(t, o)
	model := raft.NewMemoryStorage()
	applied, term := uint64(0), uint64(1)
	for range 400 {
		last, err := model.LastIndex()
		require.NoError(t, err)
		switch rng.IntN(10) {
		case 0:
			require.NoError(t, s.Close())
			s = open(t, o)
		case 1, 2: // apply, and compact behind it
			if applied == last {
				continue
			}
			entries, err := model.Entries(applied+1, last+1, math.MaxUint64)
			require.NoError(t, err)
			entries = entries[:1+rng.IntN(len(entries))]
			apply(t, s, entries...)
			applied = entries[len(entries)-1].Index
			if to := applied - min(applied, 5); to > 0 {
				require.Equal(t, ignoreCompacted(model.Compact(to)), ignoreCompacted(s.Compact(to)))
			}
		default:
			term += uint64(rng.IntN(2))
			from := last + 1 - uint64(rng.IntN(int(min(last-applied, 4))+1))
			entries := randomEntries(rng, from, term)
			save(t, s, raft.Ready{Entries: entries, MustSync: rng.IntN(2) == 0})
			require.NoError(t, model.Append(entries))
		}
		compareLogs(t, rng, model, s)
	}
	require.NoError(t, s.Close())
}

func ignoreCompacted(err error) error {
	if err == raft.ErrCompacted {
		return nil
	}
	return err
}

func randomEntries(rng *rand.Rand, from, term uint64) []pb.Entry {
	var out []pb.Entry
	for i := range uint64(1 + rng.IntN(4)) {
		value := string(bytes.Repeat([]byte("x"), rng.IntN(60)))
		out = append(out, putEntry(from+i, term, fmt.Sprintf("key-%d", rng.IntN(5)), value))
	}
	return out
}

func compareLogs(t *testing.T, rng *rand.Rand, model, s raft.Storage) {
	t.Helper()
	first, err := model.FirstIndex()
	require.NoError(t, err)
	last, err := model.LastIndex()
	require.NoError(t, err)
	have, err := s.FirstIndex()
	require.NoError(t, err)
	require.Equal(t, first, have)
	have, err = s.LastIndex()
	require.NoError(t, err)
	require.Equal(t, last, have)
	for i := max(first, 2) - 2; i <= last+1; i++ {
		want, wantErr := model.Term(i)
		have, haveErr := s.Term(i)
		require.Equal(t, wantErr, haveErr, "term of %d", i)
		require.Equal(t, want, have, "term of %d", i)
	}
	for range 5 {
		if first > last {
			return
		}
		lo := first + uint64(rng.IntN(int(last-first)+1))
		hi := lo + 1 + uint64(rng.IntN(int(last+1-lo)))
		limit := []uint64{0, 100, 300, math.MaxUint64}[rng.IntN(4)]
		want, wantErr := model.Entries(lo, hi, limit)
		have, haveErr := s.Entries(lo, hi, limit)
		require.Equal(t, wantErr, haveErr)
		require.Equal(t, len(want), len(have), "[%d, %d) up to %d bytes", lo, hi, limit)
		for i := range want {
			require.Equal(t, want[i], have[i])
		}
	}
	_, err = s.Entries(first-1, last+1, 0)
	require.ErrorIs(t, err, raft.ErrCompacted)
	_, err = s.Entries(first, last+2, 0)
	require.ErrorIs(t, err, raft.ErrUnavailable)
}

// Claim: entries that were handed out do not change when the log overwrites them.
func TestHandedOutEntriesStayAsTheyAre(t *testing.T) {
	s := open(t, store.Options{})
	defer s.Close()
	save(t, s, raft.Ready{Entries: []pb.Entry{putEntry(1, 1, "a", "1"), putEntry(2, 1, "b", "2")}})
	held, err := s.Entries(1, 3, math.MaxUint64)
	require.NoError(t, err)
	save(t, s, raft.Ready{Entries: []pb.Entry{putEntry(2, 2, "c", "3"), putEntry(3, 2, "d", "4")}})
	require.Equal(t, putEntry(2, 1, "b", "2"), held[1])
}

// Claim: each operation does what it says, under its condition, and all members count the same revisions.
func TestCommandsAndTheirConditions(t *testing.T) {
	at := func(n uint64) *uint64 { return &n }
	steps := []struct {
		c        store.Command
		changed  bool
		conflict bool
		revision uint64
	}{
		{store.Command{Op: store.OpPut, Key: "a"}, true, false, 1},
		{store.Command{Op: store.OpPut, Key: "a", Expect: at(0)}, false, true, 1},
		{store.Command{Op: store.OpPut, Key: "a", Expect: at(1)}, true, false, 2},
		{store.Command{Op: store.OpDelete, Key: "a", Expect: at(1)}, false, true, 2},
		{store.Command{Op: store.OpDelete, Key: "a", Expect: at(2)}, true, false, 3},
		{store.Command{Op: store.OpDelete, Key: "a"}, false, false, 3},
		{store.Command{Op: store.OpPut, Key: "a", Expect: at(0)}, true, false, 4},
		{store.Command{Op: store.OpPut, Key: "b", Expect: at(9)}, false, true, 4},
	}
	for _, together := range []bool{true, false} {
		s := open(t, store.Options{})
		var entries []pb.Entry
		for i, x := range steps {
			x.c.ID = store.RequestID{Origin: 1, Seq: uint64(i)}
			entries = append(entries, pb.Entry{Index: uint64(i + 1), Term: 1, Data: x.c.Encode()})
		}
		var results []store.Result
		if together {
			results = apply(t, s, entries...)
		} else {
			for _, e := range entries {
				results = append(results, apply(t, s, e)...)
			}
		}
		for i, x := range steps {
			require.Equal(t, x.changed, results[i].Changed, "step %d", i)
			require.Equal(t, x.conflict, results[i].Conflict, "step %d", i)
			require.Equal(t, x.revision, results[i].Revision, "step %d", i)
			require.Equal(t, store.RequestID{Origin: 1, Seq: uint64(i)}, results[i].ID)
		}
		require.NoError(t, s.Close())
	}
}

// Claim: a command that this version cannot read stops the member instead of being skipped, and the
// decoder does not trust lengths.
func TestUnreadableCommandsAreErrors(t *testing.T) {
	s := open(t, store.Options{})
	defer s.Close()
	good := store.Command{Op: store.OpPut, Key: "key"}.Encode()
	newer := append([]byte{99}, good[1:]...)
	for _, data := range [][]byte{{1}, newer, good[:len(good)-1], append(good[:27:27], 0xff, 0xff, 0xff)} {
		_, err := s.Apply().Entry(pb.Entry{Index: 1, Term: 1, Data: data})
		require.Error(t, err)
	}
	_, err := s.Apply().Entry(pb.Entry{Index: 2, Term: 1})
	require.Error(t, err, "entry 1 must come first")
}

// Claim: pages of a list join without gaps and repetitions, within their bounds.
func TestListPageByPage(t *testing.T) {
	s := open(t, store.Options{})
	defer s.Close()
	var entries []pb.Entry
	keys := []string{"a", "b", "b/1", "b/2", "b/3", "b\xff", "c"}
	for i, key := range keys {
		entries = append(entries, putEntry(uint64(i+1), 1, key, "0123456789"))
	}
	apply(t, s, entries...)
	for _, o := range []store.ListOptions{
		{Prefix: "b", Limit: 2, MaxBytes: 1000},
		{Prefix: "b", Limit: 100, MaxBytes: 15, Values: true},
		{Prefix: "b", Limit: 100, MaxBytes: 0, After: "a"},
	} {
		var got []string
		for more := true; more; {
			page, err := s.List(o)
			require.NoError(t, err)
			require.NotEmpty(t, page.Items)
			require.EqualValues(t, len(keys), page.Revision)
			for _, x := range page.Items {
				got = append(got, x.Key)
			}
			o.After, more = got[len(got)-1], page.More
		}
		require.Equal(t, keys[1:6], got)
	}
}

// Claim: the addresses of members come with configuration entries, and stay.
func TestAddressesAreRemembered(t *testing.T) {
	o := store.Options{FS: vfs.NewMem()}
	s := open(t, o)
	a := s.Apply()
	conf := pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}}
	require.NoError(t, a.Configuration(pb.Entry{Index: 1, Term: 1}, conf, map[uint64]string{1: "x:1", 2: "x:2"}))
	require.NoError(t, a.Commit())
	a = s.Apply()
	require.NoError(t, a.Configuration(pb.Entry{Index: 2, Term: 1}, conf, map[uint64]string{1: ""}))
	require.NoError(t, a.Commit())
	require.NoError(t, s.Close())
	s = open(t, o)
	defer s.Close()
	peers, err := s.Peers()
	require.NoError(t, err)
	require.Equal(t, map[uint64]string{2: "x:2"}, peers)
	require.Equal(t, conf, s.Position().ConfState)
}

// Claim: a member does not start on another one's data.
func TestStoreOfAnotherMemberIsRefused(t *testing.T) {
	o := store.Options{FS: vfs.NewMem(), MemberID: 1, Cluster: "a", Dir: "data"}
	require.NoError(t, open(t, o).Close())
	o.MemberID = 2
	_, err := store.Open(o)
	require.ErrorContains(t, err, "belongs to")
}
