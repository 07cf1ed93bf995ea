package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// crash returns what the disk may hold after a power cut at this moment.
func crash(fs *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	percent := []int{0, 50, 100}[rng.IntN(3)]
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
}

// Claim: at whatever moment the power fails, the log and the vote are at least as new as the last synced
// write, and the state is what the entries up to the applied index make of it.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	fs := vfs.NewCrashableMem()
	s := open(t, store.Options{FS: fs})
	var log []pb.Entry
	synced := uint64(0)
	for i := uint64(1); i <= 60; i++ {
		e := putEntry(i, 1, fmt.Sprintf("key-%d", rng.IntN(5)), fmt.Sprint(i))
		log = append(log, e)
		sync := rng.IntN(3) > 0
		save(t, s, raft.Ready{HardState: pb.HardState{Term: i, Commit: i}, Entries: []pb.Entry{e}, MustSync: sync})
		if sync {
			synced = i
		}
		apply(t, s, e)
		if rng.IntN(4) == 0 {
			checkAfterCrash(t, crash(fs, rng), log, synced)
		}
	}
	require.NoError(t, s.Close())
}

func checkAfterCrash(t *testing.T, fs *vfs.MemFS, log []pb.Entry, synced uint64) {
	t.Helper()
	s := open(t, store.Options{FS: fs})
	defer s.Close()
	last, err := s.LastIndex()
	require.NoError(t, err)
	hard, _, err := s.InitialState()
	require.NoError(t, err)
	require.GreaterOrEqual(t, last, synced)
	require.GreaterOrEqual(t, hard.Term, synced)
	require.Equal(t, hard.Commit, last, "entries and hard state are one write")
	applied := s.Position().Applied
	require.LessOrEqual(t, applied, hard.Commit)

	model := open(t, store.Options{})
	defer model.Close()
	if applied > 0 {
		apply(t, model, log[:applied]...)
	}
	require.Equal(t, content(t, model), content(t, s))
	if applied < last {
		apply(t, s, log[applied:last]...) // what a restart replays
		apply(t, model, log[applied:last]...)
	}
	require.Equal(t, content(t, model), content(t, s))
}

// transfer streams a snapshot of from into staging, calling between after each record.
func transfer(t *testing.T, from *store.Store, staging *store.Staging, between func()) pb.Snapshot {
	t.Helper()
	snap, err := from.Snapshot()
	require.NoError(t, err)
	out := from.Capture()
	require.NoError(t, out.Each(func(key, value []byte) error {
		between()
		return staging.Put(key, value)
	}))
	require.NoError(t, out.Close())
	return snap
}

// Claim: a crash at any moment of receiving and installing a snapshot leaves the old state or the new
// one, each with the log and the applied index that belong to it.
func TestCrashDuringInstallLeavesOldOrNew(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	source := open(t, store.Options{})
	defer source.Close()
	appendAndApply(t, source, 1, 40)
	newContent := content(t, source)
	meta, hard := source.Applied(), pb.HardState{Term: 1, Commit: 40}

	fs := vfs.NewCrashableMem()
	s := open(t, store.Options{FS: fs})
	appendAndApply(t, s, 1, 10)
	oldContent := content(t, s)
	check := func(installed bool) {
		for range 3 {
			again := open(t, store.Options{FS: crash(fs, rng)})
			position := again.Position()
			switch {
			case position.Applied == 40:
				require.Equal(t, newContent, content(t, again))
				if position.LastLog < 40 { // as host does after a crash before the reset
					require.NoError(t, again.Save(host.Write{Snapshot: &meta, HardState: hard, Sync: true}))
				}
				require.EqualValues(t, 41, again.Position().FirstLog)
			default:
				require.False(t, installed, "the installed snapshot is gone")
				require.EqualValues(t, 10, position.LastLog)
				require.LessOrEqual(t, position.Applied, uint64(10))
				if position.Applied == 10 {
					require.Equal(t, oldContent, content(t, again))
				}
			}
			require.NoError(t, again.Close())
		}
	}
	staging, err := s.NewStaging()
	require.NoError(t, err)
	snap := transfer(t, source, staging, func() {
		require.NoError(t, staging.Flush())
		check(false)
	})
	check(false)
	require.NoError(t, s.Install(snap.Metadata, staging))
	check(true)
	require.NoError(t, s.Save(host.Write{Snapshot: &meta, HardState: hard, Sync: true}))
	check(true)
	require.NoError(t, staging.Discard(), "which does nothing after the installation")
	require.Equal(t, newContent, content(t, s))
	appendAndApply(t, s, 41, 45)
	require.EqualValues(t, 45, s.Position().Revision, "the revision goes on from the snapshot's")
	require.NoError(t, s.Close())
}

// Claim: there is one incoming snapshot at a time, and one that is not wanted leaves nothing.
func TestUnwantedSnapshotLeavesNothing(t *testing.T) {
	source := open(t, store.Options{})
	defer source.Close()
	appendAndApply(t, source, 1, 20)
	s := open(t, store.Options{})
	defer s.Close()
	appendAndApply(t, s, 1, 3)
	before := content(t, s)
	staging, err := s.NewStaging()
	require.NoError(t, err)
	_, err = s.NewStaging()
	require.ErrorIs(t, err, store.ErrStagingBusy)
	transfer(t, source, staging, func() {})
	require.NoError(t, staging.Discard())
	require.Equal(t, before, content(t, s))
	staging, err = s.NewStaging()
	require.NoError(t, err)
	require.NoError(t, staging.Discard())
}

// Claim: a snapshot on its way stays as it was when it was made.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	source := open(t, store.Options{})
	defer source.Close()
	appendAndApply(t, source, 1, 10)
	before := content(t, source)
	target := open(t, store.Options{})
	defer target.Close()
	staging, err := target.NewStaging()
	require.NoError(t, err)
	next := uint64(11)
	snap := transfer(t, source, staging, func() {
		appendAndApply(t, source, next, next)
		next++
	})
	require.EqualValues(t, 10, snap.Metadata.Index)
	require.NoError(t, target.Install(snap.Metadata, staging))
	require.Equal(t, before, content(t, target))
}

// Claim: a state goes through a stream as it is, and a stream that is cut or changed in its structure is
// refused and leaves nothing.
func TestStreamCarriesTheState(t *testing.T) {
	source := open(t, store.Options{})
	defer source.Close()
	appendAndApply(t, source, 1, 20)
	out := source.Capture()
	var stream bytes.Buffer
	_, err := out.WriteTo(&stream)
	require.NoError(t, err)
	out.Release()
	target := open(t, store.Options{})
	defer target.Close()
	whole := stream.Bytes()
	for _, broken := range [][]byte{
		nil, whole[:1], whole[:len(whole)/2], whole[:len(whole)-1], append(whole[:len(whole):len(whole)], 0),
		append(whole[:len(whole)-1:len(whole)-1], whole[len(whole)-1]+1),
		bytes.Repeat([]byte{0xff}, 100),
	} {
		_, err := target.Stage(bytes.NewReader(broken))
		require.Error(t, err)
	}
	staging, err := target.Stage(bytes.NewReader(whole))
	require.NoError(t, err)
	require.NoError(t, target.Install(source.Applied(), staging))
	require.Equal(t, content(t, source), content(t, target))
}

// Claim: the log, the applier and those who read do not get in each other's way, and a log that was
// compacted meanwhile leaves the history whole.
func TestLogAndStateWorkAtTheSameTime(t *testing.T) {
	s := open(t, store.Options{HistoryChanges: 50})
	defer s.Close()
	const n = 600
	saved, applied := make(chan pb.Entry, n), make(chan uint64, n)
	var running sync.WaitGroup
	running.Go(func() {
		for i := uint64(1); i <= n; i++ {
			e := putEntry(i, 1, fmt.Sprint("key-", i%9), fmt.Sprint(i))
			w := host.Write{Entries: []pb.Entry{e}, HardState: pb.HardState{Term: 1, Commit: i}, Sync: true}
			require.NoError(t, s.Save(w))
			saved <- e
			select {
			case to := <-applied:
				require.NoError(t, s.Compact(to))
			default:
			}
		}
		close(saved)
	})
	running.Go(func() {
		for e := range saved {
			apply(t, s, e)
			applied <- e.Index
		}
	})
	running.Go(func() {
		for s.Position().Applied < n {
			revision, err := s.Revision()
			require.NoError(t, err)
			_, _, err = s.Changes(store.ChangesOptions{From: max(revision, 30) - 25, MaxBytes: 1 << 20})
			if gone := new(store.CompactedError); !errors.As(err, &gone) {
				require.NoError(t, err)
			}
			first, err := s.FirstIndex()
			require.NoError(t, err)
			last, err := s.LastIndex()
			require.NoError(t, err)
			if _, err = s.Entries(first, last+1, 1<<20); err != nil {
				require.ErrorIs(t, err, raft.ErrCompacted)
			}
		}
	})
	running.Wait()
	changes, last, err := s.Changes(store.ChangesOptions{From: n - 49, MaxBytes: 1 << 20})
	require.NoError(t, err)
	require.EqualValues(t, n, last)
	require.Len(t, changes, 50)
}
