package member

import (
	"context"
	"fmt"
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Run is the member's event loop: it returns when ctx ends (nil), when the member was removed from the
// cluster (ErrRemoved), or when its store fails.
//
// One goroutine owns the RawNode. Everything else reaches it through channels. Each turn takes
// whatever input there is, hands over the proposals and reads that gathered, and then carries out what
// Raft wants done. A turn may wait for the disk, never for the network.
func (m *Member) Run(ctx context.Context, transport Transport) error {
	m.transport = transport
	ticker := time.NewTicker(m.cfg.Tick)
	defer ticker.Stop()
	defer close(m.stopped)
	if err := m.refreshPeers(); err != nil {
		return err
	}
	for {
		if err := m.processReady(); err != nil {
			return err
		}
		proposals := m.proposals
		if len(m.pending.waiting) >= maxWaiting {
			proposals = nil // callers wait until a leader takes what is here
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := m.tick(); err != nil {
				return err
			}
		case msg := <-m.inbox:
			m.step(msg)
		case p := <-proposals:
			m.pending.add(p)
		case r := <-m.reads:
			m.rounds.add(r)
		case id := <-m.lost:
			m.node.ReportUnreachable(id)
		case call := <-m.calls:
			call()
		case a := <-m.arrivals:
			if err := m.takeSnapshot(a); err != nil {
				return err
			}
		}
		m.drain()
		m.handOverProposals()
		m.rounds.issue(m.node, m.leader)
	}
}

// drain takes more input without waiting, so that one Ready, and one write to the disk, serves much
// of it. This goroutine is the only one that receives, so the lengths cannot shrink.
func (m *Member) drain() {
	for range min(len(m.inbox), maxDrain) {
		m.step(<-m.inbox)
	}
	for range min(len(m.proposals), maxWaiting-len(m.pending.waiting)) {
		m.pending.add(<-m.proposals)
	}
	for range len(m.reads) {
		m.rounds.add(<-m.reads)
	}
}

func (m *Member) tick() error {
	m.node.Tick()
	m.pending.sweep()
	m.rounds.tick()
	m.tickWatchers()
	m.publish()
	return m.removal.tick(m.cfg.ElectionTicks)
}

// step feeds a peer's message to Raft. An error concerns the message and not this member: peers may
// be confused, or removed without knowing it yet.
func (m *Member) step(msg pb.Message) {
	switch msg.Type {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		m.removal.heardLeader()
	}
	if err := m.node.Step(msg); err != nil {
		m.metrics.StepErrors.Inc()
		m.log.Debug("message refused", "type", msg.Type.String(), "from", msg.From, "error", err)
	}
}

// takeSnapshot lets Raft decide about a snapshot, and installs it if it was taken.
func (m *Member) takeSnapshot(a arrival) error {
	m.arriving = a.content
	m.step(a.message)
	err := m.processReady()
	m.arriving = nil
	if err == nil {
		err = a.content.Discard()
	}
	a.done <- err
	return err
}

// processReady carries out what Raft wants done until there is nothing left.
func (m *Member) processReady() error {
	for m.failure == nil && m.node.HasReady() {
		rd := m.node.Ready()
		if err := m.handleReady(rd); err != nil {
			return err
		}
		m.node.Advance(rd)
		m.rounds.release(m.store.Position().Applied)
	}
	if m.failure != nil {
		return m.failure
	}
	taken, err := m.store.Compact()
	if taken {
		m.metrics.Snapshots.WithLabelValues("taken").Inc()
	}
	return err
}

// handleReady is the contract with the library: write what must be durable, then send, then apply.
// The messages promise what was written (a vote, an acknowledgement), so they must not leave before.
func (m *Member) handleReady(rd raft.Ready) error {
	if rd.SoftState != nil {
		m.leaderChanged(*rd.SoftState)
	}
	begin := time.Now()
	if err := m.store.Save(rd, m.arriving); err != nil {
		return err
	}
	if rd.MustSync {
		m.metrics.SaveSeconds.Observe(time.Since(begin).Seconds())
	}
	m.appended += uint64(len(rd.Entries))
	m.metrics.EntriesAppended.Add(float64(len(rd.Entries)))
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := m.snapshotInstalled(rd.Snapshot); err != nil {
			return err
		}
	}
	m.send(rd.Messages)
	for _, state := range rd.ReadStates {
		m.rounds.confirm(state)
		m.metrics.Reads.Inc()
	}
	return m.apply(rd.CommittedEntries)
}

// send passes messages to the transport; a snapshot goes with the content that belongs to it.
func (m *Member) send(messages []pb.Message) {
	rest := messages[:0:0]
	for _, msg := range messages {
		if msg.Type != pb.MsgSnap {
			rest = append(rest, msg)
			continue
		}
		content, err := m.store.Claim(*msg.Snapshot)
		if err != nil {
			m.log.Error("snapshot not sent", "to", msg.To, "error", err)
			m.node.ReportSnapshot(msg.To, raft.SnapshotFailure)
			continue
		}
		m.log.Info("sending snapshot", "to", msg.To, "index", msg.Snapshot.Metadata.Index)
		m.transport.SendSnapshot(msg, content)
	}
	m.transport.Send(rest)
	m.store.ReleaseUnclaimed()
}

// apply carries out committed entries on the state, all in one batch, and then answers those who
// proposed them here.
func (m *Member) apply(entries []pb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	applier := m.store.Apply()
	var outcomes []outcome
	changed := false
	for _, e := range entries {
		var o outcome
		var err error
		switch e.Type {
		case pb.EntryNormal:
			o.result, err = applier.Entry(e)
		case pb.EntryConfChange, pb.EntryConfChangeV2:
			changed = true
			o, err = m.applyChange(applier, e)
		default:
			err = fmt.Errorf("entry %d has type %d, which this version does not know", e.Index, e.Type)
		}
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	if err := applier.Commit(); err != nil {
		return err
	}
	m.carriedOut += uint64(len(entries))
	m.metrics.EntriesApplied.Add(float64(len(entries)))
	for _, o := range outcomes {
		m.pending.finish(o)
	}
	m.pending.outdated(entries[len(entries)-1].Term)
	if changed {
		return m.refreshPeers()
	}
	return nil
}

// snapshotInstalled follows a snapshot that replaced the state. Whatever was proposed here may be part
// of it, so nobody can be told how it ended.
func (m *Member) snapshotInstalled(snap pb.Snapshot) error {
	m.installed++
	m.metrics.Snapshots.WithLabelValues("installed").Inc()
	m.log.Info("snapshot installed", "index", snap.Metadata.Index, "term", snap.Metadata.Term)
	m.pending.forgetHanded()
	return m.refreshPeers()
}

// leaderChanged notes who leads from now on; reads on their way to the old leader are asked again.
func (m *Member) leaderChanged(state raft.SoftState) {
	if state.Lead == m.leader {
		return
	}
	m.log.Info("leader changed", "from", m.leader, "to", state.Lead)
	m.leader = state.Lead
	m.rounds.again()
	m.notifyWatchers()
}

// refreshPeers gives the transport the addresses that the state remembers.
func (m *Member) refreshPeers() error {
	peers, err := m.store.Peers()
	if err != nil {
		return err
	}
	m.transport.SetPeers(peers)
	return nil
}
