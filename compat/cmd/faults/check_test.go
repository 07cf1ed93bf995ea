package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each fault still applies to the core, in exactly one place.
func TestEveryFaultApplies(t *testing.T) {
	for _, f := range faults {
		src, err := os.ReadFile(filepath.Join("../../..", f.file))
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(src), f.find), "%s: %s", f.file, f.name)
	}
}
