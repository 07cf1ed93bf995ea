package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() {
	families["node"] = func(b *bench) { nodeProposers(b) }
}

// server is a Node with the loop of a typical host: one goroutine for Readys and ticks, one that takes
// what comes from the network.
type server struct {
	member
	node      node
	box       mailbox
	peers     []*server
	done      chan struct{}
	running   sync.WaitGroup
	count     atomic.Uint64 // entries applied
	compacted uint64        // index of the last entry that was dropped
	onApply   func(data []byte)
	leads     chan struct{} // closed when there is a leader
	leadOne   sync.Once
}

// mailbox is an unbounded queue of messages.
type mailbox struct {
	mu       sync.Mutex
	messages []*message
	filled   chan struct{}
}

func (b *mailbox) put(m *message) {
	b.mu.Lock()
	b.messages = append(b.messages, m)
	b.mu.Unlock()
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

// take returns what has come, and takes back the slice that it returned before.
func (b *mailbox) take(used []*message) []*message {
	clear(used)
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.messages
	b.messages = used[:0]
	return got
}

func newMailbox() mailbox { return mailbox{filled: make(chan struct{}, 1)} }

func startServers(n int, onApply func(data []byte), tune ...tuning) []*server {
	servers := make([]*server, n)
	for i := range servers {
		servers[i] = &server{box: newMailbox(), peers: servers, done: make(chan struct{}), leads: make(chan struct{})}
	}
	servers[0].onApply = onApply
	for i, s := range servers {
		s.storage, s.applied, s.keep = newStorage(), 1, true
		measure.Must(s.storage.ApplySnapshot(newSnapshot(1, 1, voters(n))))
		c := newConfig(uint64(i+1), s.storage, tune...)
		s.node = restartNode(c)
		work := s.ready
		if c.AsyncStorageWrites {
			work = s.startThreads()
		}
		s.running.Add(2)
		go s.serve(&s.box, s.step)
		go s.loop(work)
	}
	measure.Must(servers[0].node.Campaign(context.Background()))
	<-servers[0].leads
	return servers
}

// serve works off what comes into a mailbox.
func (s *server) serve(box *mailbox, work func(m *message)) {
	defer s.running.Done()
	var batch []*message
	for {
		select {
		case <-box.filled:
			batch = box.take(batch)
			for i := range batch {
				work(batch[i])
			}
		case <-s.done:
			return
		}
	}
}

// step hands a message to the Node, which refuses it only when it was stopped.
func (s *server) step(m *message) {
	if err := s.node.Step(context.Background(), *m); err != nil {
		select {
		case <-s.done:
		default:
			panic(err)
		}
	}
}

func (s *server) loop(work func(rd ready)) {
	defer s.running.Done()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.node.Tick()
		case rd := <-s.node.Ready():
			if rd.SoftState != nil && rd.SoftState.Lead == 1 {
				s.leadOne.Do(func() { close(s.leads) })
			}
			work(rd)
		case <-s.done:
			return
		}
	}
}

func (s *server) ready(rd ready) {
	s.save(&rd)
	for i := range rd.Messages {
		s.send(&rd.Messages[i])
	}
	s.finish(&rd)
	s.node.Advance()
}

func (s *server) finish(rd *ready) {
	s.apply(rd)
	if s.onApply != nil {
		for i := range rd.CommittedEntries {
			if e := &rd.CommittedEntries[i]; normalEntry(e) {
				s.onApply(entryData(e))
			}
		}
	}
	s.count.Store(s.digest.Count)
	s.compact()
}

// send puts a message into the mailbox of whom it is for, which may be this server.
func (s *server) send(m *message) { s.peers[msgTo(m)-1].box.put(m) }

// compact drops entries now and then, but none that a slow member has not applied.
func (s *server) compact() {
	if s.digest.Count < s.compacted+2*compactEvery {
		return
	}
	low := s.digest.Count - compactEvery
	for _, peer := range s.peers {
		low = min(low, peer.count.Load())
	}
	if low > s.compacted {
		measure.Must(s.storage.Compact(low)) // is below the index of entry number low
		s.compacted = low
	}
}

// stop waits until all members have applied n entries, and stops them.
func stop(servers []*server, n int) {
	deadline := time.Now().Add(30 * time.Second)
	for _, s := range servers {
		for s.count.Load() < uint64(n) {
			measure.Check(time.Now().Before(deadline), "a member has applied %d of %d", s.count.Load(), n)
			time.Sleep(time.Millisecond)
		}
	}
	for _, s := range servers {
		close(s.done)
		s.node.Stop()
		s.running.Wait()
	}
	for _, s := range servers {
		measure.Check(s.digest == servers[0].digest, "members differ")
		measure.Check(s.digest.Count == uint64(n), "applied %d of %d", s.digest.Count, n)
	}
}

// nodeProposers runs proposers against the leader of three Nodes.
func nodeProposers(b *bench, tune ...tuning) {
	count := measure.Number(b.Param)
	each := max(1, b.N/count)
	b.N = count * each
	warmEach := max(1, each/10)
	warm := measure.NewProposers(count, warmEach)
	measured := measure.NewProposers(count, each)
	now := warm
	servers := startServers(3, func(data []byte) { now.Applied(data) }, tune...)
	propose := func(data []byte) error { return servers[0].node.Propose(context.Background(), data) }
	warm.Run(propose)
	now = measured
	b.Start()
	measured.Run(propose)
	b.Stop()
	stop(servers, b.N+count*warmEach)
	measured.Latencies(b)
}
