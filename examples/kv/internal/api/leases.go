package api

import (
	"net/http"
	"strconv"
	"time"

	"quorate.example/raft/examples/kv/internal/store"
)

// Lease is one lease in JSON.
type Lease struct {
	ID uint64 `json:"id"`
	// TTL is a duration such as 10s.
	TTL string `json:"ttl"`
	// Renewals counts how often it was renewed.
	Renewals uint64   `json:"renewals"`
	Keys     []string `json:"keys,omitempty"`
}

const minTTL = time.Second

func encodeLease(x store.Lease) Lease {
	return Lease{ID: x.ID, TTL: x.TTL.String(), Renewals: x.Generation - 1, Keys: x.Keys}
}

func (s *server) leases(w http.ResponseWriter, r *request) error {
	if err := s.barrier(r); err != nil {
		return err
	}
	out := []Lease{}
	for _, x := range s.cfg.Store.Leases() {
		out = append(out, encodeLease(x))
	}
	return writeJSON(w, map[string]any{"leases": out})
}

func (s *server) lease(w http.ResponseWriter, r *request) error {
	id, err := r.leaseID()
	if err != nil {
		return err
	}
	if err := s.barrier(r); err != nil {
		return err
	}
	x, ok := s.cfg.Store.LeaseOf(id)
	if !ok {
		return refusal(store.Result{Refusal: store.RefusedNoLease})
	}
	return writeJSON(w, encodeLease(x))
}

func (s *server) grantLease(w http.ResponseWriter, r *request) error {
	var body struct {
		TTL string `json:"ttl"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	ttl, err := time.ParseDuration(body.TTL)
	if err != nil || ttl < minTTL || ttl > store.MaxTTL {
		return badField("ttl", "want a duration from %v to %v, such as 10s", minTTL, store.MaxTTL)
	}
	return s.leaseCommand(w, r, store.Command{Op: store.OpLeaseGrant, TTL: ttl})
}

func (s *server) keepLease(w http.ResponseWriter, r *request) error {
	id, err := r.leaseID()
	if err != nil {
		return err
	}
	return s.leaseCommand(w, r, store.Command{Op: store.OpLeaseKeepAlive, Lease: id})
}

func (s *server) leaseCommand(w http.ResponseWriter, r *request, c store.Command) error {
	result, err := s.propose(r.Context(), c)
	if err != nil {
		return err
	}
	return writeJSON(w, encodeLease(result.Lease))
}

func (s *server) revokeLease(w http.ResponseWriter, r *request) error {
	id, err := r.leaseID()
	if err != nil {
		return err
	}
	result, err := s.propose(r.Context(), store.Command{Op: store.OpLeaseRevoke, Lease: id})
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"id": id, "revoked": true, "revision": result.Revision})
}

// leaseID checks the lease in the path.
func (r *request) leaseID() (uint64, error) {
	id, err := strconv.ParseUint(r.arg, 10, 64)
	if err != nil || id == 0 {
		return 0, badField("lease", "want a lease's ID, a number other than 0")
	}
	return id, nil
}
