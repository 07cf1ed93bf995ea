package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every exported object of v3.6.0 is here and compatible.
func TestAPIIsASuperset(t *testing.T) {
	changes, err := Compare(".")
	require.NoError(t, err)
	for _, c := range changes {
		if !c.Compatible {
			t.Errorf("%s: %s", c.Package, c.Text)
		}
	}
	require.NotEmpty(t, changes, "this library has additions, so the comparison saw nothing")
}

// docs/compatibility.md lists the additions.
func TestAdditionsAreListed(t *testing.T) {
	changes, err := Compare(".")
	require.NoError(t, err)
	stale, err := Update("../../docs/compatibility.md", List(changes), true)
	require.NoError(t, err)
	require.False(t, stale, "run go run ./cmd/apilist in compat/")
}
