package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"
)

// digest is what a member, or the disk, holds: the SHA-256 over all keys in order, each with the
// SHA-256 of its value.
type digest struct {
	id    uint64
	keys  int
	bytes int64
	sum   string
}

type digester struct {
	digest
	hash hash.Hash
}

func newDigester(id uint64) *digester {
	return &digester{digest: digest{id: id}, hash: sha256.New()}
}

func (d *digester) add(key string, size int, sum [sha256.Size]byte) {
	fmt.Fprintf(d.hash, "%d:%s", len(key), key)
	d.hash.Write(sum[:])
	d.keys++
	d.bytes += int64(size)
	d.sum = hex.EncodeToString(d.hash.Sum(nil))
}

// verify reads everything back from every member, all members at a time, and compares it with the disk.
func (s *story) verify(ctx context.Context) error {
	wanted, err := s.expected()
	if err != nil {
		return err
	}
	s.digests = make([]digest, len(s.cluster.members))
	errs := make([]error, len(s.cluster.members))
	var running sync.WaitGroup
	for i, m := range s.cluster.members {
		running.Go(func() { s.digests[i], errs[i] = s.verifyMember(ctx, m.id, wanted) })
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	for _, d := range s.digests[1:] {
		if d.sum != s.digests[0].sum {
			return fmt.Errorf("members %d and %d differ", s.digests[0].id, d.id)
		}
	}
	return nil
}

// expected reads the disk again. A file that somebody changed since it was written is compared with
// what was read then.
func (s *story) expected() (map[string]*part, error) {
	wanted := make(map[string]*part, len(s.files.parts))
	changed := 0
	for _, p := range s.files.parts {
		data, err := p.read()
		if err != nil || sha256.Sum256(data) != p.sum {
			changed++
		}
		wanted[p.key] = p
	}
	if changed > 0 {
		fmt.Fprintf(s.Out, "%d keys changed on disk meanwhile, they are compared with what was written\n", changed)
	}
	return wanted, nil
}

// verifyMember lists all keys of one member, page by page. Each page is a linearizable read, which
// the member answers from its own state.
func (s *story) verifyMember(ctx context.Context, id uint64, wanted map[string]*part) (digest, error) {
	d := newDigester(id)
	wrong := ""
	err := s.client.list(ctx, id, func(key string, value []byte) error {
		sum := sha256.Sum256(value)
		d.add(key, len(value), sum)
		switch p := wanted[key]; {
		case p == nil:
			wrong = fmt.Sprintf("has %q, which was never written", key)
		case p.sum != sum:
			wrong = fmt.Sprintf("has %d other bytes at %q", len(value), key)
		}
		return nil
	})
	switch {
	case err != nil:
		return d.digest, fmt.Errorf("reading from member %d: %w", id, err)
	case wrong != "":
		return d.digest, fmt.Errorf("member %d %s", id, wrong)
	case d.keys != len(wanted):
		return d.digest, fmt.Errorf("member %d has %d of %d keys: acknowledged writes are missing",
			id, d.keys, len(wanted))
	}
	return d.digest, nil
}
