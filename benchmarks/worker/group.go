package main

import (
	"math"

	"quorate.example/raft/benchmarks/internal/measure"
)

// member is one replica and its host, as plain as can be.
type member struct {
	node    *rawNode
	storage *memoryStorage
	inbox   []*message
	spare   []*message // the inbox before, to be filled again
	applied uint64
	keep    bool // never compact
	single  bool // a Ready after each message, as where the network is slower than the disk
	digest  measure.Digest
}

// group is some members of one Raft group in one goroutine. Member i+1 is members[i].
type group struct {
	members  []member
	cut      uint64 // the member that nothing reaches; 0 is nobody
	messages int
	reads    int
}

func voters(n int) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = uint64(i + 1)
	}
	return ids
}

// tuning changes what a member is started with.
type tuning func(c *config)

func newConfig(id uint64, storage *memoryStorage, tune ...tuning) *config {
	c := &config{
		ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: storage, MaxSizePerMsg: 1 << 20,
		MaxCommittedSizePerReady: math.MaxUint64, MaxInflightMsgs: 256,
		PreVote: true, CheckQuorum: true, Logger: quiet(),
	}
	for _, t := range tune {
		t(c)
	}
	return c
}

// start starts the members of a new group whose configuration came with a snapshot.
func (g *group) start(ids []uint64, tune ...tuning) {
	for i := range g.members {
		m := &g.members[i]
		if m.storage == nil {
			m.storage = newStorage()
			measure.Must(m.storage.ApplySnapshot(newSnapshot(1, 1, ids)))
		}
		node, err := newRawNode(newConfig(ids[i], m.storage, tune...))
		measure.Must(err)
		m.node = node
		m.applied = max(m.applied, 1)
	}
}

// newGroup returns a group of n that member 1 leads.
func newGroup(n int) *group {
	g := &group{members: make([]member, n)}
	g.start(voters(n))
	g.elect()
	return g
}

func (g *group) elect() {
	measure.Must(g.members[0].node.Campaign())
	g.pump()
	measure.Check(leads(g.members[0].node), "no leader")
	g.messages = 0
}

// pump works until nobody has anything to do: all that is in an inbox is stepped, then there is one
// Ready, as in a host whose disk takes longer than its network.
func (g *group) pump() {
	for busy := true; busy; {
		busy = false
		for i := range g.members {
			if m := &g.members[i]; g.receive(m) || m.node.HasReady() {
				busy = true
				g.handle(m)
			}
		}
	}
}

func (g *group) receive(m *member) bool {
	if len(m.inbox) == 0 {
		return false
	}
	batch := m.inbox
	m.inbox = m.spare[:0]
	for i := range batch {
		measure.Must(m.node.Step(*batch[i]))
		if m.single {
			g.handle(m)
		}
	}
	clear(batch)
	m.spare = batch
	return true
}

func (g *group) handle(m *member) {
	if !m.node.HasReady() {
		return
	}
	rd := m.node.Ready()
	m.save(&rd)
	g.send(&rd)
	m.apply(&rd)
	g.reads += len(rd.ReadStates)
	m.node.Advance(rd)
}

func (m *member) save(rd *ready) {
	if !isEmptySnapshot(rd.Snapshot) {
		measure.Must(m.storage.ApplySnapshot(rd.Snapshot))
		m.applied = snapshotIndex(&rd.Snapshot)
	}
	if !isEmptyHardState(rd.HardState) {
		measure.Must(m.storage.SetHardState(rd.HardState))
	}
	measure.Must(m.storage.Append(rd.Entries))
}

func (g *group) send(rd *ready) {
	g.messages += len(rd.Messages)
	for i := range rd.Messages {
		if to := msgTo(&rd.Messages[i]); to != g.cut {
			m := &g.members[to-1]
			m.inbox = append(m.inbox, &rd.Messages[i])
		}
	}
}

// The log is compacted now and then, as every host does.
const (
	compactEvery = 8192
	compactKeep  = 2048
)

func (m *member) apply(rd *ready) {
	for i := range rd.CommittedEntries {
		e := &rd.CommittedEntries[i]
		m.applied++
		if entryIndex(e) != m.applied {
			panic("benchmark: an entry was left out or applied twice")
		}
		if normalEntry(e) {
			m.digest.Add(entryData(e))
		}
		if m.applied%compactEvery == 0 && !m.keep {
			measure.Must(m.storage.Compact(m.applied - compactKeep))
		}
	}
}

// verify panics unless every member has applied exactly what was proposed, in order.
func (g *group) verify(p *measure.Payloads, n int) {
	want := p.Want(n)
	for i := range g.members {
		got := g.members[i].digest
		measure.Check(got == want, "member %d applied %+v, want %+v", i+1, got, want)
	}
	p.Check()
}
