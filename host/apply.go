package host

import (
	"fmt"

	pb "quorate.example/raft/raftpb"
)

// applies is what waits for the state machine, in order.
type applies struct {
	queue   []*applyStep
	entries []Entry // of the call that runs
	applied uint64
	term    uint64 // of the entry at applied
	bytes   uint64 // of all that was applied in this life
}

// applyStep is a part of a MsgStorageApply: a configuration change comes first in its step, since package
// raft takes it into force when what is before it is applied. Or it is a snapshot to install.
type applyStep struct {
	entries   []pb.Entry
	change    *pb.ConfChangeV2
	install   *saveGroup
	responses []pb.Message
}

// queueApply takes a MsgStorageApply.
func (e *engine) queueApply(m *pb.Message) {
	entries := m.Entries
	for len(entries) > 0 {
		step := &applyStep{}
		if entries[0].Type != pb.EntryNormal {
			cc, err := decodeChange(&entries[0])
			if err != nil {
				e.fail(fmt.Errorf("host: entry %d: %w", entries[0].Index, err))
				return
			}
			step.change = &cc
		}
		n := 1
		for n < len(entries) && entries[n].Type == pb.EntryNormal {
			n++
		}
		step.entries, entries = entries[:n], entries[n:]
		if len(entries) == 0 {
			step.responses = m.Responses
		}
		e.applies.queue = append(e.applies.queue, step)
	}
}

func decodeChange(entry *pb.Entry) (cc pb.ConfChangeV2, err error) {
	switch entry.Type {
	case pb.EntryConfChange:
		var old pb.ConfChange
		err = old.Unmarshal(entry.Data)
		cc = old.AsV2()
		cc.Context = old.Context
	case pb.EntryConfChangeV2:
		err = cc.Unmarshal(entry.Data)
	default:
		err = fmt.Errorf("type %d is unknown to this version", entry.Type)
	}
	return cc, err
}

// startApply gives the applier its next task, and reports whether there was one.
func (e *engine) startApply() bool {
	a := &e.applies
	switch {
	case e.busy[LaneApply]:
		return false
	case e.startCapture():
		return true
	case len(a.queue) == 0:
		return false
	case a.queue[0].install != nil:
		e.startInstall(e.nextStep().install)
		return true
	}
	e.startEntries()
	return true
}

func (e *engine) nextStep() *applyStep {
	a := &e.applies
	step := a.queue[0]
	a.queue[0] = nil
	a.queue = a.queue[1:]
	return step
}

// startEntries applies what is there up to the next change.
func (e *engine) startEntries() {
	a := &e.applies
	var raw [][]pb.Entry
	var responses []pb.Message
	a.entries = a.entries[:0]
	t := &Task{Lane: LaneApply, Name: "apply"}
	for first := true; len(a.queue) > 0; first = false {
		next := a.queue[0]
		if next.install != nil || next.change != nil && !first {
			break
		}
		e.nextStep()
		if next.change != nil {
			e.enterConfiguration(next)
		} else {
			a.entries = appendEntries(a.entries, next.entries)
		}
		raw = append(raw, next.entries)
		responses = append(responses, next.responses...)
	}
	for _, part := range raw {
		t.Entries += len(part)
		t.content = append(t.content, part...)
		for i := range part {
			t.Bytes += len(part[i].Data)
		}
	}
	t.run = e.applyEntries
	t.done = func(err error) {
		if err != nil {
			e.fail(err)
			return
		}
		e.appliedEntries(raw, t.Bytes)
		e.respond(responses)
		e.afterApply()
	}
	e.start(t)
}

// enterConfiguration puts the change at the beginning of step into force.
func (e *engine) enterConfiguration(step *applyStep) {
	e.health.skipped = nil
	conf := *e.node.ApplyConfChange(step.change)
	a := &e.applies
	entry := &step.entries[0]
	a.entries = append(a.entries, Entry{Index: entry.Index, Term: entry.Term, Change: step.change, Conf: &conf})
	a.entries = appendEntries(a.entries, step.entries[1:])
	was := member(&e.conf, e.cfg.ID)
	e.conf, e.confIndex = conf, entry.Index
	e.configured(entry, conf, was)
}

// appendEntries appends entries as the state machine sees them.
func appendEntries(to []Entry, entries []pb.Entry) []Entry {
	for i := range entries {
		entry := &entries[i]
		_, data := cutFrame(entry.Data)
		to = append(to, Entry{Index: entry.Index, Term: entry.Term, Data: data})
	}
	return to
}

// applyEntries runs on the applier.
func (e *engine) applyEntries() error {
	begin := e.now()
	if err := e.cfg.StateMachine.Apply(e.applies.entries); err != nil {
		return fmt.Errorf("host: StateMachine.Apply: %w", err)
	}
	e.counters.applyTime.observeTime(e.now().Sub(begin))
	return nil
}

// appliedEntries tells those who wait for what was applied.
func (e *engine) appliedEntries(raw [][]pb.Entry, bytes int) {
	a := &e.applies
	i := 0
	for _, part := range raw {
		for k := range part {
			e.resolve(&part[k], a.entries[i].Result)
			a.entries[i] = Entry{}
			i++
		}
	}
	lastPart := raw[len(raw)-1]
	entry := &lastPart[len(lastPart)-1]
	a.applied, a.term = entry.Index, entry.Term
	a.bytes += uint64(bytes)
	if cap(a.entries) > 1<<16 {
		a.entries = nil
	}
	e.counters.entriesApplied.Add(uint64(i))
	e.counters.bytesApplied.Add(uint64(bytes))
}

// afterApply lets those go on who waited for the applied index.
func (e *engine) afterApply() {
	e.releaseReads()
	e.settleChanges()
}

// resolve answers whoever waits for an entry here, and those whose entries can no longer come.
func (e *engine) resolve(entry *pb.Entry, result any) {
	e.proposals.resolve(e, entry, result)
	e.forwarded.resolve(e, entry, result)
	e.changes.resolve(e, entry)
}
