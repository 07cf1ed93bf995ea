package rafttest

import (
	"errors"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Write is one batch for a member's disk. A crash in the middle leaves a part of
// it in the order of the fields, except that a batch with a snapshot is all or
// nothing.
type Write struct {
	Snapshot  *pb.Snapshot // from another member; replaces the log
	Entries   []pb.Entry
	HardState pb.HardState // left alone if empty
	// Sync asks that the batch, and all before it, survives a crash before the
	// write is reported as done.
	Sync bool
}

// ErrDisk is what a write that fails reports.
var ErrDisk = errors.New("rafttest: simulated disk failure")

// image is what a disk would have after a crash.
type image struct {
	hard     pb.HardState
	snap     pb.Snapshot // the state machine, of this member or installed
	log      []pb.Entry  // from base.Index+1 on
	base     pb.Entry    // index and term of what is just below the log
	lastTerm uint64      // of the last index
}

// op is a batch on its way through the disk.
type op struct {
	Write
	local     *pb.Snapshot // a state of the member's own state machine
	compactTo uint64       // what the log need no longer have once local is safe
	done      func(error)
	fail      bool
}

// disk is a member's device. It works off one batch after the other: first the
// batch is written, which the process sees, then, if asked, synced, which a crash
// does not undo.
type disk struct {
	m        *Member
	src      source
	queue    []op // the first one is being worked on
	head     int
	syncing  bool // the first one is written
	busy     bool // the next stage of the first one is scheduled
	unsynced []op // written since the last sync
	safe     image

	failNext bool // and then the process stays down for failFor
	failFor  int64
}

func (d *disk) init(m *Member) {
	d.m = m
	d.src = *newSource(m.w.sim.Seed, streamDisk, m.id, 0)
}

// bootstrap puts a first snapshot on an empty disk.
func (d *disk) bootstrap(snap pb.Snapshot) {
	d.safe.install(snap)
	d.safe.hard = pb.HardState{Term: snap.Metadata.Term, Commit: snap.Metadata.Index}
}

// issue queues a batch. done is called when it is through, unless the process
// ends before.
func (d *disk) issue(o op) {
	o.fail, d.failNext = d.failNext, false
	d.queue = append(d.queue, o)
	if !d.busy {
		d.schedule(d.m.w.profile.WriteMicros)
	}
}

// schedule makes the next stage of the first batch due.
func (d *disk) schedule(typical int64) {
	d.busy = true
	w := d.m.w
	w.queue.push(event{
		at: w.now + d.duration(typical), kind: eventDisk, who: uint16(d.m.id), life: d.m.life,
	})
}

func (d *disk) duration(typical int64) int64 {
	w := d.m.w
	if w.sim.Without&NoiseDisk != 0 {
		return typical
	}
	if !w.healed && d.src.chance(w.profile.StallChance) {
		return typical * d.src.between(5, 60)
	}
	return d.src.between(typical/2, typical*3/2)
}

// advance finishes the stage that was due: a write or a sync.
func (d *disk) advance() {
	w := d.m.w
	w.stats.DiskOps++
	o := &d.queue[d.head]
	w.count(d.m, eventDisk, uint64(len(o.Entries))<<8|o.HardState.Commit)
	if d.syncing {
		d.syncing = false
		d.synced()
		d.finish(nil)
		return
	}
	if o.fail {
		for i := d.head; i < len(d.queue); i++ {
			d.queue[i].fail = true // a log cannot have gaps
		}
		d.finish(ErrDisk)
		return
	}
	if err := d.m.store.write(&o.Write); err != nil {
		w.fail(OracleStorage, d.m, "write failed: %v", err)
		return
	}
	d.unsynced = append(d.unsynced, *o)
	if !o.Sync {
		d.finish(nil)
		return
	}
	d.syncing = true
	if !d.m.passes(pointWritten) {
		d.schedule(w.profile.SyncMicros)
	}
}

// synced makes all that was written safe, or only says so.
func (d *disk) synced() {
	w := d.m.w
	if !w.healed && d.src.chance(w.profile.LyingSyncs) {
		w.trace.note(w, d.m, "a sync lied")
		return
	}
	for i := range d.unsynced {
		d.safe.apply(&d.unsynced[i])
		d.unsynced[i] = op{}
	}
	d.unsynced = d.unsynced[:0]
}

// finish reports the first batch of the queue and takes it off.
func (d *disk) finish(err error) {
	o := d.queue[d.head]
	d.queue[d.head] = op{}
	d.head++
	if d.head == len(d.queue) {
		d.queue, d.head, d.busy = d.queue[:0], 0, false
	} else {
		d.schedule(d.m.w.profile.WriteMicros)
	}
	if err == nil && o.local != nil {
		d.m.stateSaved(&o)
	}
	if o.done != nil && !d.m.passes(pointSaved) {
		o.done(err)
	}
	d.m.work()
}

// crash ends all that is under way. What was not synced is kept up to a random
// point, which may lie within a batch. A storage that reopens itself has its own
// idea of what survives: all that it was given.
func (d *disk) crash() {
	pending := d.unsynced
	keep := len(pending)
	if _, reopens := d.m.store.inner.(Reopener); !reopens {
		if d.head < len(d.queue) && !d.syncing && !d.queue[d.head].fail {
			pending = append(pending, d.queue[d.head])
		}
		keep = int(d.src.below(uint64(len(pending) + 1)))
	}
	for i := 0; i < keep; i++ {
		d.safe.apply(&pending[i])
	}
	if keep < len(pending) && d.src.below(2) == 0 {
		d.tear(&pending[keep])
	}
	d.queue, d.head, d.syncing, d.busy = d.queue[:0], 0, false, false
	d.unsynced, d.failNext = d.unsynced[:0], false
}

// tear keeps a part of a batch: some of its entries.
func (d *disk) tear(o *op) {
	if o.Snapshot != nil || o.local != nil || len(o.Entries) == 0 {
		return
	}
	part := op{}
	part.Entries = o.Entries[:d.src.below(uint64(len(o.Entries)))]
	d.safe.apply(&part)
}

// wipe makes the disk empty.
func (d *disk) wipe() { d.safe = image{} }

func (i *image) install(snap pb.Snapshot) {
	i.snap = snap
	i.log = nil
	i.base = pb.Entry{Index: snap.Metadata.Index, Term: snap.Metadata.Term}
	i.lastTerm = snap.Metadata.Term
}

// apply makes a batch part of the image.
func (i *image) apply(o *op) {
	if o.Snapshot != nil {
		i.install(*o.Snapshot)
	}
	i.append(o.Entries)
	if !raft.IsEmptyHardState(o.HardState) {
		i.hard = o.HardState
	}
	if o.local != nil && o.local.Metadata.Index > i.snap.Metadata.Index {
		i.snap = *o.local
		i.compact(o.compactTo)
	}
}

func (i *image) append(entries []pb.Entry) {
	for len(entries) > 0 && entries[0].Index <= i.base.Index {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return
	}
	at := entries[0].Index - i.base.Index - 1
	i.log = append(i.log[:at], entries...)
	i.lastTerm = entries[len(entries)-1].Term
}

func (i *image) compact(to uint64) {
	if to <= i.base.Index {
		return
	}
	at := to - i.base.Index
	i.base = pb.Entry{Index: to, Term: i.log[at-1].Term}
	i.log = i.log[at:]
}

// known returns up to where the image says that entries are committed.
func (i *image) known() uint64 { return max(i.hard.Commit, i.snap.Metadata.Index) }

func (i *image) lastIndex() uint64 { return i.base.Index + uint64(len(i.log)) }

// has reports whether the image holds the entry of that index and term, or a
// snapshot that covers it.
func (i *image) has(index, term uint64) bool {
	switch {
	case index <= i.base.Index:
		return true
	case index > i.lastIndex():
		return false
	}
	return i.log[index-i.base.Index-1].Term == term
}
