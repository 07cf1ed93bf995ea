package backup_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/backup"
)

func records(put func(key, value []byte) error) error {
	for i := range 300 {
		if err := put(fmt.Append(nil, "key-", i), bytes.Repeat([]byte{byte(i)}, i)); err != nil {
			return err
		}
	}
	return nil
}

// Claim: what was written is read again.
func TestCopyIsReadAsItWasWritten(t *testing.T) {
	var file bytes.Buffer
	header := backup.Header{Cluster: "x", Index: 9, Term: 2, Revision: 7}
	require.NoError(t, backup.Write(&file, header, records))
	size := file.Len()
	var want, have []string
	require.NoError(t, records(func(key, value []byte) error {
		want = append(want, string(key)+"="+string(value))
		return nil
	}))
	summary, err := backup.Read(&file, func(key, value []byte) error {
		have = append(have, string(key)+"="+string(value))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, want, have)
	require.Equal(t, header, summary.Header)
	require.EqualValues(t, 300, summary.Records)
	require.EqualValues(t, size, summary.Bytes)
}

// Claim: a changed byte, a missing end and something after it are all noticed.
func TestDamagedCopyIsRefused(t *testing.T) {
	var file bytes.Buffer
	require.NoError(t, backup.Write(&file, backup.Header{Cluster: "x"}, records))
	whole := file.Bytes()
	refuse := func(data []byte, what string) {
		_, err := backup.Read(bytes.NewReader(data), nil)
		require.ErrorIs(t, err, backup.ErrDamaged, what)
	}
	for i := 0; i < len(whole); i += 37 {
		changed := bytes.Clone(whole)
		changed[i] ^= 0x10
		refuse(changed, fmt.Sprint("byte ", i))
		refuse(whole[:i], fmt.Sprint("cut at ", i))
	}
	refuse(append(bytes.Clone(whole), 'x'), "longer")
}
