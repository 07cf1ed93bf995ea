package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// MaxTTL bounds the life of a lease that is not renewed.
	MaxTTL       = 24 * time.Hour
	maxTTLMillis = uint64(MaxTTL / time.Millisecond)
	maxLeases    = 10_000
	maxLeaseKeys = 1000
)

// Lease is a promise to keep some keys for as long as it is renewed.
type Lease struct {
	ID  uint64
	TTL time.Duration
	// Generation counts the renewals.
	Generation uint64
	// Keys are the keys that live with the lease, in order.
	Keys []string
}

// leaseTable holds all leases in memory. The applier changes it and the API reads it. While there are no
// leases it costs a write one look at an empty map.
type leaseTable struct {
	mu       sync.Mutex
	newest   uint64
	leases   map[uint64]*leaseState
	attached map[string]uint64
}

type leaseState struct {
	ttl        time.Duration
	generation uint64
	keys       map[string]struct{}
}

func (x *leaseState) describe(id uint64) Lease {
	return Lease{ID: id, TTL: x.ttl, Generation: x.generation, Keys: slices.Sorted(maps.Keys(x.keys))}
}

func (x *leaseState) encode() []byte {
	return binary.BigEndian.AppendUint64(uint64Bytes(uint64(x.ttl.Milliseconds())), x.generation)
}

// of returns the lease of a key, 0 if it has none.
func (t *leaseTable) of(key string) uint64 { return t.attached[key] }

// mayAttach says why a key cannot be attached to a lease, if it cannot. Lease 0 means none.
func (t *leaseTable) mayAttach(lease uint64, key string) Refusal {
	if lease == 0 {
		return ""
	}
	x := t.leases[lease]
	if x == nil {
		return RefusedNoLease
	}
	if _, ok := x.keys[key]; !ok && len(x.keys) >= maxLeaseKeys {
		return RefusedTooManyKeys
	}
	return ""
}

// Leases returns all leases, by ID, without their keys.
func (s *Store) Leases() []Lease {
	t := &s.leases
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Lease, 0, len(t.leases))
	for id, x := range t.leases {
		out = append(out, Lease{ID: id, TTL: x.ttl, Generation: x.generation})
	}
	slices.SortFunc(out, func(a, b Lease) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// LeaseOf returns a lease with its keys, and whether it exists.
func (s *Store) LeaseOf(id uint64) (Lease, bool) {
	t := &s.leases
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.leases[id]
	if x == nil {
		return Lease{}, false
	}
	return x.describe(id), true
}

// attach moves a key to a lease, 0 for none.
func (a *Applier) attach(key string, lease uint64) error {
	t := &a.s.leases
	old := t.attached[key]
	if old == lease {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old != 0 {
		delete(t.attached, key)
		delete(t.leases[old].keys, key)
		if err := a.batch.Delete(attachedKey(a.s.generation, old, key), nil); err != nil {
			return err
		}
	}
	if lease == 0 {
		return nil
	}
	t.attached[key] = lease
	t.leases[lease].keys[key] = struct{}{}
	return a.batch.Set(attachedKey(a.s.generation, lease, key), nil, nil)
}

// lease carries out a command about a lease; term is the entry's.
func (a *Applier) lease(c Command, term uint64) (Result, error) {
	result := Result{ID: c.ID, Revision: a.revision}
	if c.Op == OpLeaseGrant {
		return a.grant(result, c.TTL)
	}
	x := a.s.leases.leases[c.Lease]
	switch {
	case x == nil:
		result.Refusal = RefusedNoLease
		return result, nil
	case c.Op == OpLeaseKeepAlive:
		return a.keepAlive(result, c.Lease, x)
	case c.Op == OpLeaseExpire && (c.Generation != x.generation || c.Term != term):
		// It was renewed, or another leader looks after it, who gives it its whole TTL.
		return result, nil
	}
	return a.endLease(result, c.Lease, x)
}

func (a *Applier) grant(result Result, ttl time.Duration) (Result, error) {
	t := &a.s.leases
	if len(t.leases) >= maxLeases {
		result.Refusal = RefusedTooManyLeases
		return result, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newest++
	x := &leaseState{ttl: ttl, generation: 1, keys: map[string]struct{}{}}
	t.leases[t.newest] = x
	result.Changed, result.Lease = true, x.describe(t.newest)
	return result, errors.Join(
		a.batch.Set(numberedKey(a.s.generation, kindLease, t.newest), x.encode(), nil),
		a.batch.Set(stateKey(a.s.generation, kindCounter, ""), uint64Bytes(t.newest), nil),
	)
}

func (a *Applier) keepAlive(result Result, id uint64, x *leaseState) (Result, error) {
	t := &a.s.leases
	t.mu.Lock()
	defer t.mu.Unlock()
	x.generation++
	result.Changed, result.Lease = true, x.describe(id)
	return result, a.batch.Set(numberedKey(a.s.generation, kindLease, id), x.encode(), nil)
}

// endLease deletes a lease and, as one change, its keys.
func (a *Applier) endLease(result Result, id uint64, x *leaseState) (Result, error) {
	result.Changed = true
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(x.keys)) {
		change := Change{Revision: a.revision + 1, Op: OpDelete, Key: key, Expired: true}
		if err := a.change(change); err != nil {
			return result, err
		}
		changes = append(changes, change)
	}
	t := &a.s.leases
	t.mu.Lock()
	delete(t.leases, id)
	t.mu.Unlock()
	if err := a.batch.Delete(numberedKey(a.s.generation, kindLease, id), nil); err != nil {
		return result, err
	}
	if len(changes) == 0 {
		return result, nil
	}
	a.revision++
	result.Revision = a.revision
	return result, a.record(changes)
}

// loadLeases reads all leases of the present generation.
func (s *Store) loadLeases() error {
	t := &s.leases
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leases, t.attached = map[uint64]*leaseState{}, map[string]uint64{}
	var err error
	if t.newest, err = s.getUint64(stateKey(s.generation, kindCounter, "")); err != nil {
		return err
	}
	err = s.eachOfKind(kindLease, func(key, value []byte) error {
		if len(key) != 8 || len(value) != 16 {
			return fmt.Errorf("store: the record of lease %x is damaged", key)
		}
		t.leases[binary.BigEndian.Uint64(key)] = &leaseState{
			ttl:        time.Duration(binary.BigEndian.Uint64(value)) * time.Millisecond,
			generation: binary.BigEndian.Uint64(value[8:]),
			keys:       map[string]struct{}{},
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.eachOfKind(kindAttached, func(key, _ []byte) error {
		if len(key) < 8 || t.leases[binary.BigEndian.Uint64(key)] == nil {
			return fmt.Errorf("store: key %q belongs to a lease that does not exist", key)
		}
		id, name := binary.BigEndian.Uint64(key), string(key[8:])
		t.leases[id].keys[name] = struct{}{}
		t.attached[name] = id
		return nil
	})
}

// eachOfKind visits the records of one kind of the present generation, without their common prefix.
func (s *Store) eachOfKind(kind byte, visit func(key, value []byte) error) error {
	prefix := stateKey(s.generation, kind, "")
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			err = visit(it.Key()[len(prefix):], value)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}
