package rafttest

import (
	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Host is what a program does round a RawNode: its loop. One Host serves one
// process of one member, and starts anew with the next.
type Host interface {
	// Work is called after everything that may have given the member something
	// to do: a tick, a message, a call, a finished write. It does what can be done
	// now, and leaves what has to wait to a callback of the Member.
	Work(m *Member)
}

// SyncHost is the loop of Ready and Advance: save, send, apply, advance, one
// Ready after the other.
type SyncHost struct {
	saving bool
}

// Work handles Readys until one has to wait for the disk.
func (h *SyncHost) Work(m *Member) {
	for !h.saving && m.HasReady() {
		rd := m.Ready()
		if len(rd.Entries) == 0 && raft.IsEmptyHardState(rd.HardState) && raft.IsEmptySnap(rd.Snapshot) {
			h.finish(m, rd)
			continue
		}
		h.saving = true
		m.Save(writeOf(&rd), func(err error) {
			h.saving = false
			if err != nil {
				m.Fail(err)
				return
			}
			h.finish(m, rd)
		})
	}
}

func (h *SyncHost) finish(m *Member, rd raft.Ready) {
	if !raft.IsEmptySnap(rd.Snapshot) {
		m.Install(rd.Snapshot)
	}
	m.Send(rd.Messages...)
	m.Answer(rd.ReadStates)
	m.Apply(rd.CommittedEntries)
	m.Advance(rd)
}

// writeOf returns what a Ready wants saved.
func writeOf(rd *raft.Ready) Write {
	b := Write{Entries: rd.Entries, HardState: rd.HardState, Sync: rd.MustSync}
	if !raft.IsEmptySnap(rd.Snapshot) {
		b.Snapshot, b.Sync = &rd.Snapshot, true
	}
	return b
}

// AsyncHost is the loop for Config.AsyncStorageWrites: saving and applying go
// on while the next Ready is handled.
type AsyncHost struct {
	jobs []func() // to be applied, the first one now
}

// Work handles all Readys.
func (h *AsyncHost) Work(m *Member) {
	for m.HasReady() {
		rd := m.Ready()
		m.Answer(rd.ReadStates)
		for _, msg := range rd.Messages {
			switch msg.To {
			case raft.LocalAppendThread:
				h.save(m, msg)
			case raft.LocalApplyThread:
				h.apply(m, msg)
			default:
				m.Send(msg)
			}
		}
	}
}

// save gives a MsgStorageAppend to the disk.
func (h *AsyncHost) save(m *Member, msg pb.Message) {
	b := Write{
		Entries:   msg.Entries,
		HardState: pb.HardState{Term: msg.Term, Vote: msg.Vote, Commit: msg.Commit},
		Snapshot:  msg.Snapshot,
		Sync:      len(msg.Responses) > 0,
	}
	m.Save(b, func(err error) {
		if err != nil {
			m.Fail(err)
			return
		}
		if b.Snapshot == nil {
			h.respond(m, msg.Responses)
			return
		}
		// What is being applied comes before the snapshot.
		h.enqueue(m, 0, func() {
			m.Install(*b.Snapshot)
			h.respond(m, msg.Responses)
		})
	})
}

// apply queues a MsgStorageApply.
func (h *AsyncHost) apply(m *Member, msg pb.Message) {
	h.enqueue(m, len(msg.Entries), func() {
		m.Apply(msg.Entries)
		h.respond(m, msg.Responses)
	})
}

func (h *AsyncHost) enqueue(m *Member, entries int, job func()) {
	h.jobs = append(h.jobs, func() {
		m.After(m.ApplyTime(entries), func() {
			job()
			h.jobs = h.jobs[1:]
			if len(h.jobs) > 0 {
				h.jobs[0]()
			}
		})
	})
	if len(h.jobs) == 1 {
		h.jobs[0]()
	}
}

// respond delivers what waited for storage: to this member, or to others.
func (h *AsyncHost) respond(m *Member, responses []pb.Message) {
	for _, msg := range responses {
		if msg.To == m.ID() {
			m.Step(msg)
		} else {
			m.Send(msg)
		}
	}
}

// Fail ends the process, as a program does that cannot write to its disk. It
// starts again later.
func (m *Member) Fail(err error) {
	m.crashFor(max(m.disk.failFor, TickMicros), "stop: "+err.Error())
}
