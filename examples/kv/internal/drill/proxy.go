package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	toxics "github.com/Shopify/toxiproxy/v2/client"
	"github.com/rs/zerolog"

	"quorate.example/raft/examples/kv/internal/local"
)

// ServeProxies runs the proxies of one member, which are made and steered over HTTP at an address.
// They are a process of their own so that they are in the member's network namespace: what they send
// comes from its address.
func ServeProxies(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()).Listen(host, port)
	return errors.New("the proxies' control ended")
}

// The directions of a proxy: upstream is from the member whose proxy it is to the other one.
const (
	upstream   = "upstream"
	downstream = "downstream"
)

// proxies are all that a member sends through, by the other member.
type proxies struct {
	net    network
	binary string
	log    string
	i, n   int

	mu      sync.Mutex
	process *local.Process
	to      map[int]*toxics.Proxy
	wanted  map[toxicKey]toxic
}

// toxicKey names a toxic on what goes to another member.
type toxicKey struct {
	to   int
	name string
}

type toxic struct {
	kind, direction string
	attributes      toxics.Attributes
}

// steerLimit bounds one request to the proxies. They can get stuck when a connection ends while a
// toxic is put on it; then they are started anew.
const steerLimit = 3 * time.Second

// start starts the process, makes the proxies and puts the toxics on them that are wanted.
func (p *proxies) start(ctx context.Context) error {
	line := append(append([]string{}, p.net.wrap(p.i)...), p.binary, "drill", "proxy", "-listen", p.net.control(p.i))
	var err error
	if p.process, err = local.StartProcess(p.log, line...); err != nil {
		return err
	}
	if err := p.waitForControl(ctx); err != nil {
		p.process.Kill()
		return fmt.Errorf("the proxies of slot %d do not start: %w", p.i+1, err)
	}
	client := toxics.NewClient(p.net.control(p.i))
	p.to = map[int]*toxics.Proxy{}
	for j := range p.n {
		if j == p.i {
			continue
		}
		if p.to[j], err = client.CreateProxy(fmt.Sprintf("to-%d", j), p.net.proxy(p.i, j), p.net.peer(j)); err != nil {
			return err
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(p.wanted), func(a, b toxicKey) int {
		return strings.Compare(a.name, b.name)
	}) {
		t := p.wanted[key]
		if _, err := p.to[key.to].AddToxic(key.name, t.kind, t.direction, 1, t.attributes); err != nil {
			return err
		}
	}
	return nil
}

func (p *proxies) waitForControl(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err := local.Until(ctx, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.net.control(p.i)+"/version", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return !p.process.Running()
		}
		return resp.Body.Close() == nil
	})
	if err == nil && !p.process.Running() {
		err = fmt.Errorf("the process ended: %v", p.process.Err())
	}
	return err
}

// add puts a toxic on what goes to, or comes back from, another member.
func (p *proxies) add(to int, name, kind, direction string, attributes toxics.Attributes) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted[toxicKey{to, name}] = toxic{kind, direction, attributes}
	return p.steer(func() error {
		_, err := p.to[to].AddToxic(name, kind, direction, 1, attributes)
		return err
	})
}

// remove takes a toxic away.
func (p *proxies) remove(to int, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wanted, toxicKey{to, name})
	return p.steer(func() error { return p.to[to].RemoveToxic(name) })
}

// steer carries out a request. If that does not work the proxies begin again with what is wanted, and
// with no connections. The caller holds the lock.
func (p *proxies) steer(request func() error) error {
	done := make(chan error, 1)
	go func() { done <- request() }()
	limit := time.NewTimer(steerLimit)
	defer limit.Stop()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
	case <-limit.C:
	}
	p.process.Kill()
	return p.start(context.Background())
}

// close ends the process.
func (p *proxies) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil {
		p.process.Kill()
	}
}
