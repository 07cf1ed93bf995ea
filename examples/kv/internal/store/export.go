package store

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// ErrTooManyExports says that as many copies of the state as are allowed are being read already.
var ErrTooManyExports = errors.New("store: too many copies are being read at the moment")

// exports counts the copies for people that are being read.
type exports struct{ n atomic.Int32 }

// Export returns the state of this moment, for a copy outside the cluster, with where it stands. The
// caller closes it. Any goroutine may call it.
func (s *Store) Export() (*Outgoing, pb.SnapshotMetadata, error) {
	if s.exports.n.Add(1) > maxExports {
		s.exports.n.Add(-1)
		return nil, pb.SnapshotMetadata{}, ErrTooManyExports
	}
	o := s.Capture()
	o.count = &s.exports.n
	var meta pb.SnapshotMetadata
	value, closer, err := o.snap.Get(keyApplied)
	if errors.Is(err, pebble.ErrNotFound) {
		return o, meta, nil
	}
	if err == nil {
		err = errors.Join(meta.Unmarshal(value), closer.Close())
	}
	if err != nil {
		return nil, meta, errors.Join(err, o.Close())
	}
	return o, meta, nil
}

// Cluster returns the name of the cluster that the store belongs to.
func (s *Store) Cluster() string { return s.opts.Cluster }

// Restore fills a new store with a state that Export gave out, as the beginning of a new cluster of
// the given members. The same state, restored on each of them, is where their common log begins. The
// records come from each, which calls its argument with all of them.
func Restore(opts Options, members map[uint64]string, each func(put func(key, value []byte) error) error) error {
	s, err := Open(opts)
	if err != nil {
		return err
	}
	if !s.Empty() || s.Applied().Index != 0 {
		return errors.Join(fmt.Errorf("store: %s holds data already", opts.Dir), s.Close())
	}
	return errors.Join(s.restore(members, each), s.Close())
}

func (s *Store) restore(members map[uint64]string, each func(put func(key, value []byte) error) error) error {
	staging, err := s.NewStaging()
	if err != nil {
		return err
	}
	err = each(func(key, value []byte) error {
		if len(key) == 0 || key[0] == kindPeer {
			return nil // the new cluster has members of its own
		}
		return staging.Put(key, value)
	})
	meta := pb.SnapshotMetadata{Index: 1, Term: 1}
	for id, address := range members {
		meta.ConfState.Voters = append(meta.ConfState.Voters, id)
		key := peerKey(0, id)[len(generationPrefix(0)):]
		err = errors.Join(err, staging.Put(key, []byte(address)))
	}
	if err != nil {
		return errors.Join(err, staging.Discard())
	}
	slices.Sort(meta.ConfState.Voters)
	if err := s.Install(meta, staging); err != nil {
		return errors.Join(err, staging.Discard())
	}
	return s.Save(host.Write{Snapshot: &meta, HardState: pb.HardState{Term: 1, Commit: 1}, Sync: true})
}

// Revision returns the store revision of the state.
func (o *Outgoing) Revision() (uint64, error) {
	h, err := newHistoryReader(o.snap, o.log, o.generation)
	return h.revision, err
}
