package member

import (
	"io"

	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// machine is the store as host sees it: a state machine that keeps its state on disk itself.
type machine struct{ m *Member }

var _ host.DurableStateMachine = machine{}

// Applied implements host.StateMachine.
func (x machine) Applied() (pb.SnapshotMetadata, error) { return x.m.store.Applied(), nil }

// Apply implements host.StateMachine: all entries go into one batch.
func (x machine) Apply(entries []host.Entry) error {
	a := x.m.store.Apply()
	changed := false
	for i := range entries {
		e := &entries[i]
		if e.Change != nil {
			changed = true
			if err := x.m.applyChange(a, e); err != nil {
				return err
			}
			continue
		}
		result, err := a.Entry(pb.Entry{Index: e.Index, Term: e.Term, Data: e.Data})
		if err != nil {
			return err
		}
		if result.ID.Origin == x.m.origin {
			e.Result = result
		}
	}
	if err := a.Commit(); err != nil {
		return err
	}
	if changed {
		return x.m.refreshPeers()
	}
	return nil
}

// Snapshot implements host.StateMachine.
func (x machine) Snapshot() (host.Snapshot, error) { return x.m.store.Capture(), nil }

// Restore implements host.StateMachine.
func (x machine) Restore(meta pb.SnapshotMetadata, content io.Reader) error {
	staged, err := x.Stage(meta, content)
	if err != nil {
		return err
	}
	return x.Install(meta, staged)
}

// Checkpoint implements host.DurableStateMachine.
func (x machine) Checkpoint() (uint64, error) { return x.m.store.Checkpoint() }

// Stage implements host.DurableStateMachine.
func (x machine) Stage(_ pb.SnapshotMetadata, content io.Reader) (host.Staged, error) {
	staging, err := x.m.store.Stage(content)
	if err != nil {
		return nil, err // and not a host.Staged without a staging in it
	}
	return staging, nil
}

// Install implements host.DurableStateMachine.
func (x machine) Install(meta pb.SnapshotMetadata, staged host.Staged) error {
	if err := x.m.store.Install(meta, staged.(*store.Staging)); err != nil {
		return err
	}
	return x.m.refreshPeers()
}

// applyChange notes a configuration, and the addresses that came with it.
func (m *Member) applyChange(a *store.Applier, e *host.Entry) error {
	peers := map[uint64]string{}
	for _, c := range e.Change.Changes {
		m.removal.applied(m.cfg.ID, e.Conf, c.NodeID)
		address := decodeAddress(e.Change.Context)
		switch here := has(e.Conf, c.NodeID); {
		case !here:
			peers[c.NodeID] = ""
		case address != "":
			peers[c.NodeID] = address
		}
	}
	return a.Configuration(pb.Entry{Index: e.Index, Term: e.Term}, *e.Conf, peers)
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

// addressHead is what stands before an address in the context of a change: earlier versions kept there who
// waited for it.
const addressHead = 16

func encodeAddress(address string) []byte {
	return append(make([]byte, addressHead), address...)
}

func decodeAddress(context []byte) string {
	if len(context) < addressHead {
		return ""
	}
	return string(context[addressHead:])
}
