//go:build amd64 || arm64

package raftpb

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// A new field would change these, and with them the memory of every host that keeps entries.
func TestProtoMemorySizes(t *testing.T) {
	require.Equal(t, uintptr(48), unsafe.Sizeof(Entry{}), "Entry")
	require.Equal(t, uintptr(160), unsafe.Sizeof(Message{}), "Message")
	require.Equal(t, uintptr(144), unsafe.Sizeof(Snapshot{}), "Snapshot")
	require.Equal(t, uintptr(24), unsafe.Sizeof(HardState{}), "HardState")
	require.Equal(t, uintptr(104), unsafe.Sizeof(ConfState{}), "ConfState")
	require.Equal(t, uintptr(48), unsafe.Sizeof(ConfChange{}), "ConfChange")
}
