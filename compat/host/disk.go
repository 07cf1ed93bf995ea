package host

import (
	"errors"
	"fmt"
	"slices"

	pb "quorate.example/raft/raftpb"
)

// Errors of Disk; the adapters turn them into those of their library.
var (
	ErrCompacted       = errors.New("compacted")
	ErrUnavailable     = errors.New("unavailable")
	ErrSnapUnavailable = errors.New("snapshot unavailable")
)

// Disk is what a member keeps over a crash: the log above Base, the last snapshot and the hard state.
// What was written without a sync is lost in a crash. It also keeps the digest of the applied
// entries, which stands for the state machine.
type Disk struct {
	Hard      pb.HardState
	Snap      pb.Snapshot
	Base      uint64 // entries up to here are compacted
	BaseTerm  uint64
	Conf      pb.ConfState // what InitialState tells
	NoSnap    bool         // Snapshot is refused for now
	ents      []pb.Entry
	synced    pb.HardState
	applied   []point // one for each applied entry above the snapshot, oldest first
	snapPoint point
}

// point is the state machine after an entry.
type point struct {
	index  uint64
	digest uint64
	conf   pb.ConfState
}

// NewDisk returns the disk of a member that starts from a snapshot with this configuration at index,
// or an empty one if index is 0.
func NewDisk(index, term uint64, conf pb.ConfState) *Disk {
	d := &Disk{}
	if index > 0 {
		d.Snap.Metadata = pb.SnapshotMetadata{Index: index, Term: term, ConfState: conf}
		d.Base, d.BaseTerm, d.Conf = index, term, conf
		d.Hard = pb.HardState{Term: term, Commit: index}
		d.synced = d.Hard
		d.snapPoint = point{index: index, conf: conf}
	}
	return d
}

// First and Last bound the log as Storage tells it.
func (d *Disk) First() uint64 { return d.Base + 1 }

// Last returns the index of the last entry, or Base.
func (d *Disk) Last() uint64 { return d.Base + uint64(len(d.ents)) }

// Term returns the term of entry i.
func (d *Disk) Term(i uint64) (uint64, error) {
	switch {
	case i == d.Base:
		return d.BaseTerm, nil
	case i < d.Base:
		return 0, ErrCompacted
	case i > d.Last():
		return 0, ErrUnavailable
	}
	return d.ents[i-d.Base-1].Term, nil
}

// Entries returns the entries in [lo, hi), as many from the left as fit in maxSize, at least one.
func (d *Disk) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	if lo <= d.Base {
		return nil, ErrCompacted
	}
	if hi > d.Last()+1 || lo >= hi {
		return nil, ErrUnavailable
	}
	s := d.ents[lo-d.Base-1 : hi-d.Base-1]
	size := uint64(s[0].Size())
	n := 1
	for ; n < len(s); n++ {
		if size += uint64(s[n].Size()); size > maxSize {
			break
		}
	}
	return s[:n:n], nil
}

// Snapshot returns the last snapshot.
func (d *Disk) Snapshot() (pb.Snapshot, error) {
	if d.NoSnap {
		return pb.Snapshot{}, ErrSnapUnavailable
	}
	return d.Snap, nil
}

// write keeps one batch of a Ready or a MsgStorageAppend.
func (d *Disk) write(hard pb.HardState, ents []pb.Entry, snap *pb.Snapshot, sync bool) {
	if snap != nil && snap.Metadata.Index > 0 {
		d.install(*snap)
		sync = true
	}
	if len(ents) > 0 {
		first := ents[0].Index
		if first <= d.Base || first > d.Last()+1 {
			panic(fmt.Sprintf("host: entries from %d do not fit a log (%d, %d]", first, d.Base, d.Last()))
		}
		keep := first - d.Base - 1
		d.ents = append(d.ents[:keep:keep], ents...)
	}
	if hard != (pb.HardState{}) {
		d.Hard = hard
	}
	if sync {
		d.synced = d.Hard
	}
}

func (d *Disk) install(snap pb.Snapshot) {
	m := snap.Metadata
	d.Snap, d.Base, d.BaseTerm, d.Conf = snap, m.Index, m.Term, m.ConfState
	d.ents = nil
	d.snapPoint = point{index: m.Index, conf: m.ConfState, digest: digestOf(snap.Data)}
	d.applied = nil
}

// top is the state machine as it is.
func (d *Disk) top() point {
	if n := len(d.applied); n > 0 {
		return d.applied[n-1]
	}
	return d.snapPoint
}

// apply keeps that e was applied; conf is the configuration after it.
func (d *Disk) apply(e pb.Entry, conf pb.ConfState) {
	at := d.top()
	if e.Index <= at.index {
		return
	}
	d.applied = append(d.applied, point{index: e.Index, digest: mix(at.digest, e), conf: conf})
}

// Digest returns the index up to which entries were applied and a hash over all of them.
func (d *Disk) Digest() (index, digest uint64) { return d.top().index, d.top().digest }

// pointAt returns the latest state at or below index.
func (d *Disk) pointAt(index uint64) point {
	at := d.snapPoint
	for _, p := range d.applied {
		if p.index > index {
			break
		}
		at = p
	}
	return at
}

// CreateSnapshot makes a snapshot of what is applied, known to be committed on disk, and not above
// limit, and reports whether there was anything new.
func (d *Disk) CreateSnapshot(limit uint64) bool {
	d.synced = d.Hard
	at := d.pointAt(min(d.Hard.Commit, limit))
	term, err := d.Term(at.index)
	if at.index <= d.Snap.Metadata.Index || err != nil {
		return false
	}
	d.Snap = pb.Snapshot{
		Data:     digestBytes(at.digest),
		Metadata: pb.SnapshotMetadata{Index: at.index, Term: term, ConfState: at.conf},
	}
	return true
}

// Compact drops the log up to index, at most up to the snapshot, and the points before it.
func (d *Disk) Compact(index uint64) {
	index = min(index, d.Snap.Metadata.Index, d.Last())
	if index <= d.Base {
		return
	}
	term, _ := d.Term(index)
	d.ents = slices.Clone(d.ents[index-d.Base:])
	d.Base, d.BaseTerm = index, term
}

// crash loses what was not synced.
func (d *Disk) crash() { d.Hard = d.synced }

// rewind sets the state machine to what a restarted process finds, and returns the index up to which
// it need not apply again. If durable, the state machine kept all that it applied; else it starts
// from the snapshot.
func (d *Disk) rewind(durable bool) (applied uint64) {
	sm := d.Snap.Metadata
	at := point{index: sm.Index, conf: sm.ConfState, digest: digestOf(d.Snap.Data)}
	d.snapPoint = at
	if top := d.top(); durable && top.index > at.index && top.index <= d.Hard.Commit {
		at = top
	}
	d.applied = nil
	d.snapPoint = at
	d.Conf = at.conf
	return at.index
}

// Applied returns the index of the last applied entry and the configuration after it.
func (d *Disk) Applied() (uint64, pb.ConfState) { return d.top().index, d.top().conf }
