package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sim(t *testing.T, line string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(context.Background(), strings.Fields(line), &out)
	return out.String(), err
}

// Many seeds end with sums and the median run.
func TestManySeedsAreSummedUp(t *testing.T) {
	out, err := sim(t, "-seeds 20 -profile all -members 0 -quiet")
	require.NoError(t, err, out)
	require.Contains(t, out, "20 seeds, ")
	require.Contains(t, out, "events/s")
	require.Contains(t, out, "median run: ")
}

// One seed says what happened, the same each time, and draws its timeline.
func TestOneSeedIsRepeatable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.html")
	first, err := sim(t, "-seed 7 -profile chaos -timeline "+path)
	require.NoError(t, err)
	again, err := sim(t, "-seed 7 -profile chaos")
	require.NoError(t, err)
	require.Contains(t, first, again)
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "seed 7, profile chaos")
}

// A limit of time ends a run without error.
func TestTimeLimitEndsARun(t *testing.T) {
	out, err := sim(t, "-for 200ms -profile calm -quiet")
	require.NoError(t, err)
	require.Contains(t, out, "seeds, ")
}

// Wrong arguments say what is allowed.
func TestWrongArgumentsAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		"-profile storm": "there are calm",
		"-members 12":    "allowed: 0 to 9",
		"-keep 1,x":      "range such as 3-9",
		"-without rain":  `"rain"`,
		"extra":          `"extra"`,
		"-seed 1 -timeline " + filepath.Join(t.TempDir(), "missing", "x.html"): "no such file",
	} {
		_, err := sim(t, line)
		require.ErrorContains(t, err, want, line)
	}
}
