package bench

import (
	"context"
	"sync"

	"quorate.example/raft/examples/kv/internal/stream"
)

// shared are connections that the clients share.
type shared struct {
	each int // to a member

	mu    sync.RWMutex
	conns map[string][]*stream.Client // by address
}

func newShared(each int) *shared { return &shared{each: each, conns: map[string][]*stream.Client{}} }

// at returns the connection of a worker to an address, a new one if there is none that works.
func (s *shared) at(ctx context.Context, address string, worker int) (*stream.Client, error) {
	i := worker % s.each
	s.mu.RLock()
	conns := s.conns[address]
	s.mu.RUnlock()
	if i < len(conns) && conns[i] != nil && conns[i].Err() == nil {
		return conns[i], nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	conns = s.conns[address]
	if i < len(conns) && conns[i] != nil && conns[i].Err() == nil {
		return conns[i], nil // another worker was faster
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := stream.Dial(ctx, address, nil, requestTimeout)
	if err != nil {
		return nil, err
	}
	fresh := make([]*stream.Client, s.each) // the old slice is read without the lock
	copy(fresh, conns)
	fresh[i] = c
	s.conns[address] = fresh
	return c, nil
}

func (s *shared) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conns := range s.conns {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}
}
