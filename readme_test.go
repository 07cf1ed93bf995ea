package raft_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// README shows the program of examples/embed, word for word.
func TestReadmeShowsAProgramThatCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("examples/embed/main.go")
	require.NoError(t, err)
	_, body, found := strings.Cut(string(program), "\npackage main")
	require.True(t, found)
	require.Contains(t, string(readme), "```go\npackage main"+body+"```")
}

// README names each file of the package, or doc.go does.
func TestEachFileHasItsPlaceInTheMap(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		name := f.Name()
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			require.True(t, strings.Contains(string(readme), name) || strings.Contains(string(doc), name), name)
		}
	}
}
