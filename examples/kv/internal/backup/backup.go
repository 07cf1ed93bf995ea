// Package backup is the file that kv snapshot save writes: a state of the store, with checksums.
//
// A line of text says what follows. Then come blocks, each with its length and its CRC-32C in front,
// of a JSON header (the first one) and of records, and after an empty block the number of records and
// the SHA-256 of all that came before.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// Header says where a copy comes from.
type Header struct {
	Cluster  string `json:"cluster"`
	Index    uint64 `json:"index"`
	Term     uint64 `json:"term"`
	Revision uint64 `json:"revision"`
}

// Summary is what is known of a copy that was read or written whole.
type Summary struct {
	Header
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"`
	// SHA256 is that of all blocks.
	SHA256 string `json:"sha256"`
}

const (
	magic      = "quorate-kv snapshot 1\n"
	blockBytes = 256 << 10
	maxBlock   = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged says that a copy is not what was written.
var ErrDamaged = errors.New("the snapshot file is damaged")

// Write writes a copy of the records that each calls its argument with.
func Write(to io.Writer, h Header, each func(put func(key, value []byte) error) error) error {
	w := &writer{to: to, digest: sha256.New()}
	if _, err := io.WriteString(to, magic); err != nil {
		return err
	}
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := w.block(head); err != nil {
		return err
	}
	if err := each(w.record); err != nil {
		return err
	}
	if len(w.pending) > 0 {
		if err := w.block(w.pending); err != nil {
			return err
		}
	}
	if err := w.block(nil); err != nil {
		return err
	}
	_, err = to.Write(w.digest.Sum(binary.BigEndian.AppendUint64(nil, w.records)))
	return err
}

type writer struct {
	to      io.Writer
	digest  hash.Hash
	records uint64
	pending []byte
}

func (w *writer) record(key, value []byte) error {
	w.pending = binary.AppendUvarint(w.pending, uint64(len(key)))
	w.pending = append(w.pending, key...)
	w.pending = binary.AppendUvarint(w.pending, uint64(len(value)))
	w.pending = append(w.pending, value...)
	w.records++
	if len(w.pending) < blockBytes {
		return nil
	}
	err := w.block(w.pending)
	w.pending = w.pending[:0]
	return err
}

func (w *writer) block(body []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(body, castagnoli))
	for _, part := range [][]byte{head, body} {
		w.digest.Write(part)
		if _, err := w.to.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Read reads and checks a copy, and calls put with each record; nil is for looking only. Records reach
// put before the end has been checked, so they must not be used if there is an error.
func Read(from io.Reader, put func(key, value []byte) error) (Summary, error) {
	r := &reader{from: bufio.NewReaderSize(from, blockBytes), digest: sha256.New()}
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r.from, head); err != nil || string(head) != magic {
		return Summary{}, fmt.Errorf("%w: it does not begin with %q", ErrDamaged, magic)
	}
	var s Summary
	body, err := r.block()
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s.Header); err != nil {
		return s, fmt.Errorf("%w: header: %w", ErrDamaged, err)
	}
	for {
		if body, err = r.block(); err != nil || len(body) == 0 {
			break
		}
		if err = r.eachRecord(body, put); err != nil {
			break
		}
	}
	if err == nil {
		err = r.end()
	}
	s.Records, s.Bytes = r.records, r.bytes+int64(len(magic))
	s.SHA256 = fmt.Sprintf("%x", r.digest.Sum(nil))
	return s, err
}

type reader struct {
	from    *bufio.Reader
	digest  hash.Hash
	records uint64
	bytes   int64
}

func (r *reader) full(out []byte) error {
	n, err := io.ReadFull(r.from, out)
	r.bytes += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", ErrDamaged)
	}
	return err
}

func (r *reader) block() ([]byte, error) {
	var head [8]byte
	if err := r.full(head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxBlock {
		return nil, fmt.Errorf("%w: a block of %d bytes", ErrDamaged, size)
	}
	body := make([]byte, size)
	if err := r.full(body); err != nil {
		return nil, err
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, fmt.Errorf("%w: checksum of a block", ErrDamaged)
	}
	r.digest.Write(head[:])
	r.digest.Write(body)
	return body, nil
}

func (r *reader) eachRecord(body []byte, put func(key, value []byte) error) error {
	for len(body) > 0 {
		var parts [2][]byte
		for i := range parts {
			size, n := binary.Uvarint(body)
			if n <= 0 || size > uint64(len(body)-n) {
				return fmt.Errorf("%w: lengths", ErrDamaged)
			}
			parts[i], body = body[n:n+int(size)], body[n+int(size):]
		}
		r.records++
		if put == nil {
			continue
		}
		if err := put(parts[0], parts[1]); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) end() error {
	digest := r.digest.Sum(nil)
	want := append(binary.BigEndian.AppendUint64(nil, r.records), digest...)
	have := make([]byte, len(want))
	if err := r.full(have); err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%w: checksum of the whole", ErrDamaged)
	}
	if _, err := r.from.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrDamaged)
	}
	return nil
}
