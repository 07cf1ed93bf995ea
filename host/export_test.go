package host

import (
	"time"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
)

// Core is what Engine drives.
type Core = core

// Engine is the engine round a member that somebody else made, for rafttest's simulated world: the world owns
// log, state machine and network, and the tasks tell what they are to do.
type Engine struct{ e *engine }

// NewEngine returns the engine of node, whose log is cfg.Log.
func NewEngine(cfg Config, node Core, meta pb.SnapshotMetadata) (*Engine, error) {
	cfg.fillDefaults()
	e := bareEngine(cfg, func() time.Time { return time.Time{} })
	e.node = node
	e.log = &logView{LogStore: cfg.Log, e: e, start: meta}
	e.snapshots.retryAt = 1 << 60 // the world saves states itself
	return &Engine{e}, e.adopt(meta)
}

// Work carries out what node wants.
func (x *Engine) Work() ([]pb.Message, []*Task) {
	// The world gives node its inputs directly.
	x.e.proposals.uncounted = true
	x.e.work()
	return x.e.output()
}

// Finish ends a task.
func (x *Engine) Finish(t *Task) { x.e.finish(t) }

// Failure returns what stopped the engine.
func (x *Engine) Failure() error { return x.e.failure }

// ReadStates has reads told to the world as well.
func (t *Task) Write() *Write         { return t.write }
func (t *Task) Content() []pb.Entry   { return t.content }
func (t *Task) Install() *pb.Snapshot { return t.install }

// StartWithClock is Start with another clock.
func StartWithClock(cfg Config, now func() time.Time, ticks <-chan time.Time) (*Replica, error) {
	return startWith(cfg, clock{now: now, tick: func(time.Duration) (<-chan time.Time, func()) {
		return ticks, func() {}
	}})
}

var _ Core = (*raft.RawNode)(nil)
