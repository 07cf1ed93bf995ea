package demo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// partBytes is the largest value that is written; larger files become several keys. It is the
// default limit of a member for a request's body.
const partBytes = 1 << 20

// part is one key: a file, or a piece of it.
type part struct {
	key    string
	file   string // path on disk
	offset int64
	size   int
	sum    [sha256.Size]byte // of what was written, filled in by the writer
	last   bool              // of its file
}

// manifest is everything there is to write, in the order of the directory.
type manifest struct {
	parts []*part
	count int
	bytes int64
	notes []string
}

// scan lists the regular files under dir. Symbolic links are not followed.
func scan(dir string, skip []string) (*manifest, error) {
	m := &manifest{}
	links := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case slices.Contains(skip, rel) || slices.Contains(skip, path):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular():
			return m.add(path, filepath.ToSlash(rel), d)
		case !d.IsDir():
			links++
		}
		return nil
	})
	if links > 0 {
		m.notes = append(m.notes, fmt.Sprintf("left out: %d links and other things that are no files", links))
	}
	return m, errors.Join(err, m.checkKeys())
}

// add cuts a file into parts. No other file can have the name of a part: it would lie in a
// directory that has the name of this file.
func (m *manifest) add(path, rel string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	m.count++
	m.bytes += info.Size()
	key := escape(rel)
	for i, offset := 0, int64(0); ; i++ {
		p := &part{key: key, file: path, offset: offset, size: int(min(partBytes, info.Size()-offset))}
		if i > 0 {
			p.key = fmt.Sprintf("%s/#%d", key, i)
		}
		m.parts = append(m.parts, p)
		if offset += int64(p.size); offset >= info.Size() {
			p.last = true
			return nil
		}
	}
}

// escape makes a key of a path whose bytes need not be text.
func escape(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	var out strings.Builder
	for len(path) > 0 {
		r, size := utf8.DecodeRuneInString(path)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&out, "%%%02X", path[0])
		} else {
			out.WriteString(path[:size])
		}
		path = path[size:]
	}
	return out.String()
}

func (m *manifest) checkKeys() error {
	seen := map[string]string{}
	for _, p := range m.parts {
		if other, ok := seen[p.key]; ok {
			return fmt.Errorf("%s and %s come out as the same key %q", other, p.file, p.key)
		}
		seen[p.key] = p.file
	}
	return nil
}

// read returns the part's bytes as they are on disk now.
func (p *part) read() ([]byte, error) {
	f, err := os.Open(p.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, p.size)
	if _, err := f.ReadAt(data, p.offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

func megabytes(n int64) string {
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
