package host

import (
	"context"
	"io"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Entry is a committed entry for the state machine.
type Entry struct {
	Index uint64
	Term  uint64
	// Data is what was proposed. It is empty for configuration changes and for entries that leaders append
	// for themselves. It belongs to the log: it must not be changed, and who keeps it keeps all that was
	// allocated with it.
	Data []byte
	// Change is the configuration change of this entry, with its Context; nil for others.
	Change *pb.ConfChangeV2
	// Conf is the configuration from this entry on, where Change is set.
	Conf *pb.ConfState
	// Result is set by Apply: what Propose returns in Result.Value.
	Result any
}

// StateMachine is what a service replicates. All methods but those that DurableStateMachine adds are
// called by one goroutine. An error stops the replica.
type StateMachine interface {
	// Applied returns where the state stands at start: the index and term of the last entry that is in it and
	// will be after a crash, and the configuration as of then, from Entry.Conf or Restore. The zero value
	// says that the state is empty.
	Applied() (pb.SnapshotMetadata, error)
	// Apply carries out entries in order, without gaps: also the empty ones and the configuration changes, so
	// that a durable state can note its position. It sets Result where somebody may wait for an answer. The
	// slice belongs to the host and is used again.
	Apply(entries []Entry) error
	// Snapshot captures the state as it is, cheaply: it stands between two calls of Apply. What it returns
	// is written while further entries are applied.
	Snapshot() (Snapshot, error)
	// Restore replaces the state by what another member, or an earlier life of this one, wrote.
	Restore(meta pb.SnapshotMetadata, content io.Reader) error
}

// Snapshot is a captured state. WriteTo is called at most once, by any goroutine, and then Release.
type Snapshot interface {
	io.WriterTo
	Release()
}

// DurableStateMachine is a StateMachine that keeps its state on disk itself, with its position, and so needs
// no SnapshotStore: its snapshots are only made for other members. Restore is not called.
type DurableStateMachine interface {
	StateMachine
	// Checkpoint returns an index up to which the state is safe from a crash, for the log to be shortened. It
	// may wait for the disk.
	Checkpoint() (uint64, error)
	// Stage receives a snapshot aside, while entries are applied to the present state. Any goroutine may call
	// it, one at a time.
	Stage(meta pb.SnapshotMetadata, content io.Reader) (Staged, error)
	// Install puts what was staged in place of the state, in one atomic and synced step. It is quick.
	Install(meta pb.SnapshotMetadata, staged Staged) error
}

// Staged is a snapshot that was received and is not in use.
type Staged interface {
	// Discard removes it. It is not called after Install.
	Discard() error
}

// LogStore is the log on disk. The methods of raft.Storage are called by the loop while Save or Compact may
// run on the log writer, which calls one of them at a time. InitialState's ConfState and Snapshot are not
// used and may be empty. An error stops the replica.
type LogStore interface {
	raft.Storage
	// Save writes w in one atomic step and, if w.Sync is set, returns when it and all before it is safe
	// from a crash. It must not keep or change w's slices, but for the Data of entries, which nobody changes.
	Save(w Write) error
	// Compact removes the entries up to index. The term of the entry at index is still asked for.
	Compact(index uint64) error
}

// Write is what LogStore.Save writes, in the order of the fields.
type Write struct {
	// Snapshot, if not nil, makes the log empty: it goes on after the snapshot's index.
	Snapshot *pb.SnapshotMetadata
	// Entries go to their indexes. What is there and above is void.
	Entries []pb.Entry
	// HardState replaces the saved one unless it is empty.
	HardState pb.HardState
	Sync      bool
}

// SnapshotStore keeps the snapshots of a state machine that does not keep its state itself. Its methods may
// be called by several goroutines at once.
type SnapshotStore interface {
	// Create begins a snapshot.
	Create(meta pb.SnapshotMetadata) (SnapshotSink, error)
	// Newest returns the one with the highest index that was committed; its Index is 0 if there is none.
	Newest() (pb.SnapshotMetadata, error)
	// Open reads the snapshot that meta describes. It is an error if a newer one has taken its place.
	Open(meta pb.SnapshotMetadata) (io.ReadCloser, error)
}

// SnapshotSink receives one snapshot. Either Commit or Abort is called, once.
type SnapshotSink interface {
	io.Writer
	// Commit makes the snapshot the newest one, unless there is a newer one, and safe from a crash. Older ones
	// may be removed.
	Commit() error
	Abort() error
}

// Transport reaches the other members. It gives what arrives to Replica.Step and Replica.ReceiveSnapshot.
type Transport interface {
	// Send passes messages on without waiting, in their order for each target. What does not fit is dropped
	// and told with Replica.ReportUnreachable. The messages belong to the transport, but what they point
	// to must not be changed. An error says that the transport is broken for good and stops the replica.
	Send(messages []pb.Message) error
	// SendSnapshot sends message, whose Snapshot has only Metadata, and the bytes that content writes. It
	// returns when the other side has all of it, or has refused it. It is called by a goroutine of its own.
	SendSnapshot(ctx context.Context, message pb.Message, content io.WriterTo) error
}
