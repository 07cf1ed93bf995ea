package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"quorate.example/raft"
	"quorate.example/raft/host"
	"quorate.example/raft/host/hosttest"
	pb "quorate.example/raft/raftpb"
)

// settings is a state machine in memory: a map of names to values.
type settings struct {
	mu     sync.Mutex
	values map[string]string
}

// Applied says that nothing survives the process; the host restores the newest snapshot.
func (s *settings) Applied() (pb.SnapshotMetadata, error) { return pb.SnapshotMetadata{}, nil }

// Apply sets a value and answers with the one before.
func (s *settings) Apply(entries []host.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range entries {
		e := &entries[i]
		if len(e.Data) == 0 {
			continue // a leader's own entry, or a configuration change
		}
		var set [2]string
		if err := json.Unmarshal(e.Data, &set); err != nil {
			e.Result = err // the same on all members
			continue
		}
		e.Result = s.values[set[0]]
		s.values[set[0]] = set[1]
	}
	return nil
}

// Snapshot captures a copy, which is written while further entries are applied.
func (s *settings) Snapshot() (host.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := json.Marshal(s.values)
	return captured(data), err
}

// Restore replaces the values.
func (s *settings) Restore(_ pb.SnapshotMetadata, content io.Reader) error {
	values := map[string]string{}
	if err := json.NewDecoder(content).Decode(&values); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = values
	return nil
}

type captured []byte

func (c captured) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c)
	return int64(n), err
}

func (c captured) Release() {}

// A group of one, with its log in memory.
func Example() {
	ctx := context.Background()
	net := hosttest.NewNetwork()
	defer net.Close()
	state := &settings{values: map[string]string{}}
	r, err := host.Start(host.Config{
		ID: 1, StateMachine: state, Log: hosttest.NewLog(), Snapshots: &hosttest.Snapshots{},
		Transport: net.Transport(1), Bootstrap: []raft.Peer{{ID: 1}}, TickInterval: 10 * time.Millisecond,
		Logger: raft.DiscardLogger(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Stop()
	if _, err := r.AwaitLeader(ctx); err != nil {
		fmt.Println(err)
		return
	}
	for _, value := range []string{"dark", "light"} {
		data, _ := json.Marshal([2]string{"theme", value})
		result, err := r.Propose(ctx, data)
		fmt.Printf("was %q, error %v\n", result.Value, err)
	}
	if err := r.Read(ctx); err == nil {
		fmt.Println("now", state.values["theme"])
	}
	// Output:
	// was "", error <nil>
	// was "dark", error <nil>
	// now light
}
