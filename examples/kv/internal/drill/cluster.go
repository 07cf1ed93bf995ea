package drill

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quorate.example/raft/examples/kv/internal/local"
)

const (
	startLimit   = 30 * time.Second
	recoverLimit = time.Minute
)

// serveFlags make a member busy in a short time: snapshots are frequent, and so are members that need
// one because the log does not reach back far enough.
var serveFlags = []string{
	"-tick", "50ms", "-snapshot-entries", "1000", "-keep-entries", "300", "-keep-bytes", "1048576",
}

// slot is a place for a member: addresses, a directory, proxies. A member that lost its data is replaced
// by a new one, with an ID of its own, in the same slot.
type slot struct {
	index   int
	dir     string // of its file system, or just a directory
	mounted bool
	log     string
	proxies *proxies

	mu     sync.Mutex
	member *local.Member
	// endings counts the reasons for which the process may end at present.
	endings atomic.Int32
}

// now returns the member that has this slot at present.
func (s *slot) now() *local.Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.member
}

func (s *slot) String() string { return s.now().String() }

// cluster is all slots.
type cluster struct {
	options Options
	name    string
	net     network
	api     *api
	slots   []*slot
	nextID  uint64
	// unexpected receives the end of a process that nobody ended.
	unexpected func(error)
}

func newCluster(o Options, net network, unexpected func(error)) *cluster {
	return &cluster{
		options: o, name: "drill-" + rand.Text(), net: net, api: newAPI(4), nextID: 1, unexpected: unexpected,
	}
}

// makeSlots makes the places of all members.
func (c *cluster) makeSlots() error {
	for i := range c.options.Members {
		s := &slot{
			index: i,
			dir:   filepath.Join(c.options.Dir, fmt.Sprintf("slot-%d", i+1)),
			log:   filepath.Join(c.options.Dir, fmt.Sprintf("slot-%d.log", i+1)),
		}
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return err
		}
		c.slots = append(c.slots, s)
		c.renew(s)
	}
	return nil
}

// start starts all members and returns when all of them know a leader.
func (c *cluster) start(ctx context.Context) error {
	var first []string
	for _, s := range c.slots {
		first = append(first, fmt.Sprintf("%d=%s", s.member.ID, s.member.Peer))
	}
	for _, s := range c.slots {
		s.proxies = &proxies{
			net: c.net, binary: c.options.Binary, i: s.index, n: len(c.slots),
			log:    filepath.Join(c.options.Dir, fmt.Sprintf("proxies-%d.log", s.index+1)),
			wanted: map[toxicKey]toxic{},
		}
		if err := s.proxies.start(ctx); err != nil {
			return err
		}
		if err := c.launch(s, "-bootstrap", strings.Join(first, ",")); err != nil {
			return err
		}
	}
	for _, s := range c.slots {
		if err := c.waitReady(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// renew gives a slot a member that never ran.
func (c *cluster) renew(s *slot) {
	var via []string
	for j := range c.options.Members {
		if j != s.index {
			via = append(via, c.net.peer(j)+"="+c.net.proxy(s.index, j))
		}
	}
	m := &local.Member{
		ID: c.nextID, Binary: c.options.Binary, Wrap: c.net.wrap(s.index), Cluster: c.name,
		Peer: c.net.peer(s.index), HTTP: c.net.http(s.index),
		Data: filepath.Join(s.dir, fmt.Sprintf("member-%d", c.nextID)), Log: s.log,
		Flags: append([]string{"-via", strings.Join(via, ",")}, serveFlags...),
	}
	c.nextID++
	s.mu.Lock()
	s.member = m
	s.mu.Unlock()
}

// launch starts the member of a slot, and watches over it.
func (c *cluster) launch(s *slot, extra ...string) error {
	m := s.now()
	if err := m.Start(extra...); err != nil {
		return err
	}
	process := m.Process()
	go func() {
		err := process.Err()
		if s.endings.Load() == 0 {
			c.unexpected(fmt.Errorf("%s ended on its own: %w: %s", m, err, lastLine(s.log)))
		}
	}()
	return nil
}

// expectEnd announces that the process of a slot may end, until the returned function is called.
func (s *slot) expectEnd() (over func()) {
	s.endings.Add(1)
	return func() { s.endings.Add(-1) }
}

// waitReady returns when a member answers and knows a leader.
func (c *cluster) waitReady(ctx context.Context, s *slot) error {
	ctx, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	m := s.now()
	ended := false
	err := local.Until(ctx, func() bool {
		if ended = !m.Running(); ended {
			return true
		}
		st, err := local.FetchStatus(ctx, c.api.http, m.HTTP)
		return err == nil && st.Leader != 0
	})
	if ended {
		return fmt.Errorf("%s ended: %w: %s", m, m.Err(), lastLine(s.log))
	}
	if err != nil {
		return fmt.Errorf("%s knows no leader: %w", m, err)
	}
	return nil
}

// close ends all processes.
func (c *cluster) close() {
	for _, s := range c.slots {
		s.expectEnd()
		if m := s.now(); m != nil {
			m.Kill()
		}
		if s.proxies != nil {
			s.proxies.close()
		}
	}
}

// leader returns the slot of the leader that a majority agrees on, nil if there is none.
func (c *cluster) leader(ctx context.Context) *slot {
	id := c.agreed(ctx)
	for _, s := range c.slots {
		if id != 0 && s.now().ID == id {
			return s
		}
	}
	return nil
}

// statusLimit bounds the question to one member who leads; all are asked at the same time.
const statusLimit = 200 * time.Millisecond

// agreed returns the ID of the leader that more than half of the members name for the same term.
func (c *cluster) agreed(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	statuses := make([]local.Status, len(c.slots))
	var asking sync.WaitGroup
	for i, s := range c.slots {
		asking.Go(func() {
			st, err := local.FetchStatus(ctx, c.api.http, s.now().HTTP)
			if err == nil {
				statuses[i] = st
			}
		})
	}
	asking.Wait()
	type claim struct{ leader, term uint64 }
	votes := map[claim]int{}
	for _, st := range statuses {
		x := claim{st.Leader, st.Term}
		if votes[x]++; x.leader != 0 && votes[x] > len(c.slots)/2 {
			return x.leader
		}
	}
	return 0
}

// replace puts a new member in the place of one that lost its data: the old one is removed from the
// cluster, and the new one becomes a learner, catches up, and becomes a voter.
func (c *cluster) replace(ctx context.Context, s *slot) error {
	ctx, cancel := context.WithTimeout(ctx, 2*recoverLimit)
	defer cancel()
	old := s.now()
	gone := func(x answer) bool { return x.code == http.StatusOK || x.code == http.StatusNotFound }
	if err := c.insist(ctx, s, http.MethodDelete, fmt.Sprintf("/members/%d", old.ID), nil, gone); err != nil {
		return fmt.Errorf("removing %s: %w", old, err)
	}
	if err := os.RemoveAll(old.Data); err != nil {
		return err
	}
	c.renew(s)
	m := s.now()
	if err := c.launch(s, "-join"); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"id": m.ID, "address": m.Peer})
	if err != nil {
		return err
	}
	// A conflict says that an earlier attempt whose answer was lost has succeeded.
	there := func(x answer) bool { return x.code == http.StatusOK || x.code == http.StatusConflict }
	if err := c.insist(ctx, s, http.MethodPost, "/members", body, there); err != nil {
		return fmt.Errorf("adding %s: %w", m, err)
	}
	if err := c.waitReady(ctx, s); err != nil {
		return err
	}
	promote := fmt.Sprintf("/members/%d/promote", m.ID)
	if err := c.insist(ctx, s, http.MethodPost, promote, nil, there); err != nil {
		return fmt.Errorf("promoting %s: %w", m, err)
	}
	return nil
}

// insist repeats a request at the members of other slots until its answer is accepted.
func (c *cluster) insist(
	ctx context.Context, except *slot, method, path string, body []byte, accepted func(answer) bool,
) error {
	for i := except.index + 1; ; i++ {
		s := c.slots[i%len(c.slots)]
		if s == except {
			continue
		}
		x, err := c.api.do(ctx, method, s.now().HTTP, path, nil, body)
		if err == nil && accepted(x) {
			return nil
		}
		if err == nil {
			err = x.fail()
		}
		if ended := sleep(ctx, 50*time.Millisecond); ended != nil {
			return errors.Join(err, ended)
		}
	}
}

// sleep waits, and returns an error if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// lastLine returns the last line of a log file.
func lastLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(lines[len(lines)-1])
}
