package plant

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A small module to put faults into.
func module(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":     "module example.test/m\n\ngo 1.21\n",
		"a.go":       "package m\n\nimport \"example.test/m/sub\"\n\nvar A = sub.One + 1\n",
		"b.go":       "package m\n\nvar B = A\n",
		"sub/sub.go": "package sub\n\nconst One = 1\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return root
}

// Several edits of a file come one after the other, and each file has a place of its own in the overlay.
func TestOverlay(t *testing.T) {
	root, dir := module(t), t.TempDir()
	overlay, err := Overlay(root, dir, Edit{"a.go", "+ 1", "+ 2"}, Edit{"b.go", "= A", "= A + 1"}, Edit{"a.go", "+ 2", "+ 3"})
	require.NoError(t, err)
	data, err := os.ReadFile(overlay)
	require.NoError(t, err)
	var read struct{ Replace map[string]string }
	require.NoError(t, json.Unmarshal(data, &read))
	require.Len(t, read.Replace, 2)
	a, err := os.ReadFile(read.Replace[filepath.Join(root, "a.go")])
	require.NoError(t, err)
	require.Contains(t, string(a), "sub.One + 3")
	b, err := os.ReadFile(read.Replace[filepath.Join(root, "b.go")])
	require.NoError(t, err)
	require.Contains(t, string(b), "B = A + 1")
}

// An edit whose place has changed is refused, and so is one without a file.
func TestEditWithoutAPlaceIsRefused(t *testing.T) {
	root := module(t)
	_, err := Overlay(root, t.TempDir(), Edit{"a.go", "this text is nowhere", ""})
	require.ErrorContains(t, err, "no longer applies")
	_, err = Overlay(root, t.TempDir(), Edit{"a.go", "A", "B"}, Edit{"a.go", "A", "B"})
	require.ErrorContains(t, err, "no longer applies")
	_, err = Overlay(root, t.TempDir(), Edit{File: "nowhere.go"})
	require.Error(t, err)
}

// What would not compile is told before anything is built.
func TestCheck(t *testing.T) {
	root := module(t)
	builds, err := NewChecker(root)
	require.NoError(t, err)
	require.NoError(t, builds.Check(Edit{"a.go", "+ 1", "+ 2"}))
	require.NoError(t, builds.Check(Edit{"a.go", "sub.One", "2"}, Edit{"a.go", "import \"example.test/m/sub\"\n", ""}))
	require.ErrorContains(t, builds.Check(Edit{"a.go", "+ 1", "+ \"x\""}), "a.go:5")
	require.ErrorContains(t, builds.Check(Edit{"a.go", "sub.One", "1"}), "imported and not used")
	require.ErrorContains(t, builds.Check(Edit{"b.go", "B = A", "B ="}), "b.go:3")
	require.Error(t, builds.Check(Edit{"a.go", "nowhere", ""}))
	_, err = NewChecker(t.TempDir())
	require.Error(t, err)
}
