package wal_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/wal"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

func segments(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List(dir)
	require.NoError(t, err)
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".seg") })
}

func fill(t *testing.T, l *wal.Log, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		require.NoError(t, l.Save(host.Write{Entries: []pb.Entry{{Index: i, Term: 1, Data: make([]byte, 300)}}, Sync: true}))
	}
}

// Claim: segments are used again, so a log that is compacted now and then has few files, all of one length.
func TestSegmentsAreUsedAgain(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs)
	most := 0
	for i := uint64(0); i < 50; i++ {
		fill(t, l, 20*i+1, 20*i+20)
		require.NoError(t, l.Compact(20*i+15))
		names, err := fs.List(dir)
		require.NoError(t, err)
		most = max(most, len(names))
	}
	require.NoError(t, l.Close())
	require.LessOrEqual(t, most, 5)
	names, err := fs.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		require.NoError(t, err)
		require.EqualValues(t, 8<<10, info.Size(), name)
	}
	l = open(t, fs)
	require.Equal(t, wal.Position{Index: 995, Term: 1}, l.Start())
	require.EqualValues(t, 1000, l.LastIndex())
	require.NoError(t, l.Close())
}

// Claim: opening and closing a log makes no files.
func TestLivesWithoutWritesCostNothing(t *testing.T) {
	fs := vfs.NewMem()
	for range 5 {
		require.NoError(t, open(t, fs).Close())
	}
	require.Len(t, segments(t, fs), 1)
}

// Claim: a view has its entries as long as it is open, whatever the log has done since.
func TestViewKeepsItsEntries(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs)
	fill(t, l, 1, 100)
	v := l.View()
	require.NoError(t, l.Save(host.Write{Entries: []pb.Entry{{Index: 95, Term: 2}, {Index: 96, Term: 2}}}))
	require.NoError(t, l.Compact(90))
	kept := len(segments(t, fs))
	require.NoError(t, l.Save(host.Write{Snapshot: &pb.SnapshotMetadata{Index: 200, Term: 2}}))
	fill(t, l, 201, 300)
	for i := uint64(1); i <= 100; i++ {
		e, err := v.Entry(i)
		require.NoError(t, err)
		require.Equal(t, pb.Entry{Index: i, Term: 1, Data: make([]byte, 300)}, e)
	}
	_, err := v.Entry(0)
	require.ErrorIs(t, err, raft.ErrCompacted)
	_, err = v.Entry(101)
	require.ErrorIs(t, err, raft.ErrUnavailable)
	require.GreaterOrEqual(t, len(segments(t, fs)), kept)
	v.Close()
	require.NoError(t, l.Compact(299))
	require.LessOrEqual(t, len(segments(t, fs)), 2)
	require.NoError(t, l.Close())
}

// Claim: after a failed write nothing is written any more: what is on the disk is not known.
func TestFailureIsForGood(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWriteAt, errorfs.OpFileSyncData} {
		broken := errors.New("broken")
		fails := false
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if fails && op.Kind == kind {
				return broken
			}
			return nil
		}))
		l := open(t, fs)
		fill(t, l, 1, 3)
		fails = true
		w := host.Write{Entries: []pb.Entry{{Index: 4, Term: 1}}, Sync: true}
		require.ErrorIs(t, l.Save(w), broken)
		fails = false
		require.ErrorIs(t, l.Save(w), broken)
		require.ErrorIs(t, l.Compact(2), broken)
		require.ErrorIs(t, l.Flush(), broken)
		require.NoError(t, l.Close())
		l = open(t, fs)
		require.GreaterOrEqual(t, l.LastIndex(), uint64(3))
		require.NoError(t, l.Close())
	}
}

// Claim: what does not fit the log is refused, and changes nothing.
func TestGapsAreRefused(t *testing.T) {
	l := open(t, vfs.NewMem())
	fill(t, l, 1, 3)
	require.ErrorContains(t, l.Save(host.Write{Entries: []pb.Entry{{Index: 5, Term: 1}}}), "gap")
	require.ErrorIs(t, l.Compact(4), raft.ErrUnavailable)
	require.NoError(t, l.Compact(2))
	require.ErrorIs(t, l.Compact(1), raft.ErrCompacted)
	_, err := l.Entries(2, 4, 100)
	require.ErrorIs(t, err, raft.ErrCompacted)
	_, err = l.Term(1)
	require.ErrorIs(t, err, raft.ErrCompacted)
	_, err = l.Term(4)
	require.ErrorIs(t, err, raft.ErrUnavailable)
	fill(t, l, 4, 5)
	require.EqualValues(t, 5, l.LastIndex())
	require.NoError(t, l.Close())
}

// Claim: a commit index that comes alone is not written, until it is asked for or the log is closed.
func TestCommitIndexAloneIsWrittenLater(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := open(t, fs)
	fill(t, l, 1, 3)
	before, err := wal.Records(wal.Options{Dir: dir, FS: fs})
	require.NoError(t, err)
	require.NoError(t, l.Save(host.Write{HardState: pb.HardState{Term: 0, Vote: 0, Commit: 3}, Sync: true}))
	after, err := wal.Records(wal.Options{Dir: dir, FS: fs})
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.EqualValues(t, 3, l.HardState().Commit)
	require.NoError(t, l.Flush())
	crashed := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	require.EqualValues(t, 3, crashed.HardState().Commit)
	require.NoError(t, crashed.Close())
	require.NoError(t, l.Close())
}
