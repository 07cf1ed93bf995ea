package host_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Claim: the guide's code is the example's, which is compiled and run.
func TestGuideShowsCodeThatCompiles(t *testing.T) {
	guide, err := os.ReadFile("../docs/host.md")
	require.NoError(t, err)
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	parts := strings.Split(string(guide), "```go\n")[1:]
	require.Len(t, parts, 2)
	for _, part := range parts {
		code, _, found := strings.Cut(part, "```")
		require.True(t, found)
		require.Contains(t, string(example), code)
	}
}
