package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// Claim: a changed byte anywhere in the newest log is noticed while records follow, although Pebble itself
// would go on without all of them; a log whose end is cut off is sound.
func TestDamagedLogIsNoticed(t *testing.T) {
	dir := t.TempDir()
	options := func() *pebble.Options {
		return &pebble.Options{FormatMajorVersion: pebble.FormatNewest, MemTableSize: 16 << 20, Logger: quietLogger{}}
	}
	db, err := pebble.Open(dir, options())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	db, err = pebble.Open(dir, options())
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("large"), make([]byte, 1<<20), pebble.NoSync))
	for i := range 300 {
		require.NoError(t, db.Set(fmt.Append(nil, "log", i), make([]byte, 300), pebble.Sync))
		require.NoError(t, db.Set(fmt.Append(nil, "state", i), make([]byte, 300), pebble.NoSync))
	}
	crashed := filepath.Join(t.TempDir(), "crashed")
	require.NoError(t, os.CopyFS(crashed, os.DirFS(dir)))
	require.NoError(t, db.Close())
	require.NoError(t, checkLogs(vfs.Default, crashed))

	logs, err := filepath.Glob(filepath.Join(crashed, "*.log"))
	require.NoError(t, err)
	path := logs[len(logs)-1]
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	silent := 0
	for at := 5; at < len(data)-pieceBlock; at += len(data) / 50 {
		broken := append([]byte(nil), data...)
		broken[at] ^= 0x10
		require.NoError(t, os.WriteFile(path, broken, 0o600))
		if err := checkLogs(vfs.Default, crashed); err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			silent++
		}
	}
	require.Greater(t, silent, 30)
	for _, size := range []int{len(data) - 7, len(data) - 20_000, len(data) / 2} {
		require.NoError(t, os.WriteFile(path, data[:size], 0o600))
		require.NoError(t, checkLogs(vfs.Default, crashed))
	}
}
