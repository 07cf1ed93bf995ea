package raft_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	pb "quorate.example/raft/raftpb"
	"quorate.example/raft/tracker"
)

// hookStorage calls a hook of the test in Entries, and fails with what the hook returns.
type hookStorage struct {
	*raft.MemoryStorage
	hook atomic.Pointer[func() error]
}

func (s *hookStorage) Entries(lo, hi, maxSize uint64) ([]pb.Entry, error) {
	if hook := s.hook.Load(); hook != nil {
		if err := (*hook)(); err != nil {
			return nil, err
		}
	}
	return s.MemoryStorage.Entries(lo, hi, maxSize)
}

// gate makes Entries tell when it is called, and wait until it is opened.
type gate struct{ entered, opened chan struct{} }

func (s *hookStorage) close() gate {
	g := gate{entered: make(chan struct{}), opened: make(chan struct{})}
	var told atomic.Bool
	hook := func() error {
		if told.CompareAndSwap(false, true) {
			close(g.entered)
		}
		<-g.opened
		return nil
	}
	s.hook.Store(&hook)
	return g
}

func (s *hookStorage) open(g gate) {
	s.hook.Store(nil)
	close(g.opened)
}

// nodeHost is the host of one Node, whose other members answer all that they are asked.
type nodeHost struct {
	raft.Node
	t     *testing.T
	store *hookStorage
	async bool
	mute  bool // the others do not answer
}

// bothModes runs f with synchronous and with asynchronous storage writes.
func bothModes(t *testing.T, f func(t *testing.T, opts ...option)) {
	t.Run("sync", func(t *testing.T) { f(t) })
	t.Run("async", func(t *testing.T) { f(t, async) })
}

// newNodeHost returns the Node of member 1 of n voters.
func newNodeHost(t *testing.T, n int, opts ...option) *nodeHost {
	t.Helper()
	var conf pb.ConfState
	for id := uint64(1); id <= uint64(n); id++ {
		conf.Voters = append(conf.Voters, id)
	}
	store := &hookStorage{MemoryStorage: raft.NewMemoryStorage()}
	require.NoError(t, store.ApplySnapshot(pb.Snapshot{
		Metadata: pb.SnapshotMetadata{Index: 1, Term: 1, ConfState: conf}}))
	require.NoError(t, store.SetHardState(pb.HardState{Term: 1, Commit: 1}))
	c := testConfig(1, store, opts...)
	h := &nodeHost{Node: raft.RestartNode(c), t: t, store: store, async: c.AsyncStorageWrites}
	t.Cleanup(h.Stop)
	return h
}

// newLeaderHost returns the Node of a leader, with all members up to date.
func newLeaderHost(t *testing.T, n int, opts ...option) *nodeHost {
	t.Helper()
	h := newNodeHost(t, n, opts...)
	require.NoError(t, h.Campaign(context.Background()))
	h.until(func(st raft.Status) bool {
		for _, pr := range st.Progress {
			if pr.State != tracker.StateReplicate || pr.Match < 2 {
				return false
			}
		}
		return st.RaftState == raft.StateLeader && st.Applied == 2
	})
	return h
}

// until does what the Node wants done until done reports true.
func (h *nodeHost) until(done func(raft.Status) bool) {
	h.t.Helper()
	for !done(h.Status()) {
		h.handle(h.next())
	}
}

// next returns the next Ready, which is never an empty one.
func (h *nodeHost) next() raft.Ready {
	h.t.Helper()
	select {
	case rd := <-h.Ready():
		require.False(h.t, rd.SoftState == nil && raft.IsEmptyHardState(rd.HardState) &&
			raft.IsEmptySnap(rd.Snapshot) &&
			len(rd.Entries)+len(rd.CommittedEntries)+len(rd.Messages)+len(rd.ReadStates) == 0, "empty Ready")
		return rd
	case <-time.After(30 * time.Second):
		h.t.Fatal("no Ready comes")
		return raft.Ready{}
	}
}

// handle does all that rd wants done.
func (h *nodeHost) handle(rd raft.Ready) {
	h.t.Helper()
	if !h.async {
		h.save(rd.HardState, rd.Entries)
	}
	for _, m := range rd.Messages {
		switch m.To {
		case raft.LocalAppendThread:
			h.save(pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}, m.Entries)
			h.respond(m.Responses)
		case raft.LocalApplyThread:
			h.respond(m.Responses)
		default:
			h.answer(m)
		}
	}
	if !h.async {
		h.Advance()
	}
}

func (h *nodeHost) save(hard pb.HardState, ents []pb.Entry) {
	h.t.Helper()
	require.NoError(h.t, h.store.Append(ents))
	if !raft.IsEmptyHardState(hard) {
		require.NoError(h.t, h.store.SetHardState(hard))
	}
}

func (h *nodeHost) respond(responses []pb.Message) {
	for _, m := range responses {
		if m.To == 1 {
			h.step(m)
		} else {
			h.answer(m)
		}
	}
}

// answer is what the other members say to m.
func (h *nodeHost) answer(m pb.Message) {
	if h.mute {
		return
	}
	answer := pb.Message{From: m.To, To: m.From, Term: m.Term}
	switch m.Type {
	case pb.MsgVote:
		answer.Type = pb.MsgVoteResp
	case pb.MsgApp:
		answer.Type, answer.Index = pb.MsgAppResp, m.Index+uint64(len(m.Entries))
	case pb.MsgHeartbeat:
		answer.Type, answer.Context = pb.MsgHeartbeatResp, m.Context
	default:
		return
	}
	h.step(answer)
}

func (h *nodeHost) step(m pb.Message) {
	if err := h.Step(context.Background(), m); !errors.Is(err, raft.ErrHalted) {
		require.NoError(h.t, err)
	}
}

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// data returns what the entries hold, the empty ones left out.
func data(ents []pb.Entry) []string {
	var out []string
	for _, e := range ents {
		if len(e.Data) > 0 {
			out = append(out, string(e.Data))
		}
	}
	return out
}
