package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/wal"
	pb "quorate.example/raft/raftpb"
)

// Claim: a changed byte anywhere in what Pebble has not put into its tables yet is harmless or noticed: the store
// refuses to open, or the log has what is lost of the state. A log that is gone is noticed, too.
func TestDamagedStateIsNoticedOrMadeGood(t *testing.T) {
	dir, crashed := t.TempDir(), filepath.Join(t.TempDir(), "crashed")
	s := open(t, store.Options{Dir: dir, FS: vfs.Default, HistoryChanges: 1000})
	var log []pb.Entry
	for i := uint64(1); i <= 300; i++ {
		e := putEntry(i, 1, fmt.Sprintf("key-%d", i%9), fmt.Sprintf("%0200d", i))
		log = append(log, e)
		save(t, s, raft.Ready{HardState: pb.HardState{Term: 1, Commit: i}, Entries: []pb.Entry{e}, MustSync: true})
		apply(t, s, e)
		if i == 150 {
			require.NoError(t, s.Compact(120))
		}
	}
	want := content(t, s)
	require.NoError(t, os.CopyFS(crashed, os.DirFS(dir)))
	require.NoError(t, s.Close())
	files, err := filepath.Glob(filepath.Join(crashed, "*.log"))
	require.NoError(t, err)
	path := files[len(files)-1]
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	refused, good := 0, 0
	for at := 3; at < len(data); at += len(data) / 60 {
		again := filepath.Join(t.TempDir(), "again")
		require.NoError(t, os.CopyFS(again, os.DirFS(crashed)))
		broken := append([]byte(nil), data...)
		broken[at] ^= 0x10
		require.NoError(t, os.WriteFile(filepath.Join(again, filepath.Base(path)), broken, 0o600))
		s, err := store.Open(store.Options{Dir: again, HistoryChanges: 1000, LogSegmentBytes: 16 << 10})
		if err != nil {
			refused++
			continue
		}
		good++
		if applied := s.Position().Applied; applied < 300 {
			apply(t, s, log[applied:]...)
		}
		require.Equal(t, want, content(t, s), "byte %d of %d", at, len(data))
		_, _, err = s.Changes(store.ChangesOptions{From: 1, MaxBytes: 1 << 20})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	require.Greater(t, refused, 5)
	require.Greater(t, good, 5)

	require.NoError(t, os.RemoveAll(filepath.Join(crashed, store.LogDirectory)))
	_, err = store.Open(store.Options{Dir: crashed})
	require.ErrorIs(t, err, wal.ErrDamaged)
}
