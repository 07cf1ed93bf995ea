package api

import (
	"net/http"
	"strconv"
	"strings"

	"quorate.example/raft/examples/kv/internal/member"
	"quorate.example/raft/examples/kv/internal/store"
)

// LockPrefix is in front of the name in the key of a lock. The key belongs to the holder's lease and
// vanishes with it; its value is the lease's ID.
const LockPrefix = "lock/"

// Lock is a lock that is held.
type Lock struct {
	Name  string `json:"name"`
	Lease uint64 `json:"lease"`
	// Revision grows with every holder: pass it on to what the lock protects, which can then refuse
	// one who held the lock earlier.
	Revision uint64 `json:"revision"`
}

// lockKey checks the name in the path and the lease in the query.
func (r *request) lockKey() (key string, lease uint64, err error) {
	if _, err := r.key(); err != nil {
		return "", 0, badField("name", "want 1 to %d bytes of UTF-8", maxKeyBytes-len(LockPrefix))
	}
	lease, _, err = r.number("lease")
	if err == nil && lease == 0 {
		err = badField("lease", "want the ID of a lease, which the lock lives with")
	}
	if key = LockPrefix + r.arg; err == nil && len(key) > maxKeyBytes {
		err = badField("name", "want at most %d bytes", maxKeyBytes-len(LockPrefix))
	}
	return key, lease, err
}

// lock waits until it has the lock or the request's deadline comes. Who holds it already gets it again.
func (s *server) lock(w http.ResponseWriter, r *request) error {
	key, lease, err := r.lockKey()
	if err != nil {
		return err
	}
	value := []byte(strconv.FormatUint(lease, 10))
	acquire := store.Command{Op: store.OpTxn, Txn: &store.Txn{
		Compares: []store.Compare{{Key: key, Target: store.TargetRevision, Order: store.OrderEqual}},
		Then:     []store.TxnOp{{Op: store.OpPut, Key: key, Value: value, Lease: lease}},
		Else:     []store.TxnOp{{Op: store.TxnOpGet, Key: key}},
	}}
	for {
		result, err := s.propose(r.Context(), acquire)
		if err != nil {
			return err
		}
		if result.Succeeded {
			return writeJSON(w, Lock{Name: r.arg, Lease: lease, Revision: result.Revision})
		}
		holder := result.Answers[0].Item
		if string(holder.Value) == string(value) {
			return writeJSON(w, Lock{Name: r.arg, Lease: lease, Revision: holder.Revision})
		}
		if _, ok := s.cfg.Store.LeaseOf(lease); !ok {
			return refusal(store.Result{Refusal: store.RefusedNoLease})
		}
		if err := s.untilDeleted(r, key, result.Revision); err != nil {
			return err
		}
	}
}

// untilDeleted waits for a deletion of the key after the revision.
func (s *server) untilDeleted(r *request, key string, after uint64) error {
	for {
		next := s.cfg.Store.NextChange()
		changes, last, err := s.cfg.Store.Changes(store.ChangesOptions{From: after + 1, Key: key, MaxBytes: maxPage})
		if err != nil {
			return nil // too many changes to tell: look at the lock itself
		}
		for _, c := range changes {
			if c.Op == store.OpDelete {
				return nil
			}
		}
		after = max(after, last)
		select {
		case <-next:
		case <-s.cfg.Stopping:
			return member.ErrStopped
		case <-r.Context().Done():
			return &apiError{
				code: http.StatusConflict, message: "somebody else holds the lock", field: "name", revision: &after,
			}
		}
	}
}

// unlock gives the lock back if the lease holds it.
func (s *server) unlock(w http.ResponseWriter, r *request) error {
	key, lease, err := r.lockKey()
	if err != nil {
		return err
	}
	result, err := s.propose(r.Context(), store.Command{Op: store.OpTxn, Txn: &store.Txn{
		Compares: []store.Compare{{Key: key, Target: store.TargetLease, Order: store.OrderEqual, Number: lease}},
		Then:     []store.TxnOp{{Op: store.OpDelete, Key: key}},
	}})
	if err != nil {
		return err
	}
	if !result.Succeeded {
		return &apiError{code: http.StatusConflict, message: "the lease does not hold this lock", field: "lease"}
	}
	return writeJSON(w, map[string]any{"name": r.arg, "released": true, "revision": result.Revision})
}

func (s *server) locks(w http.ResponseWriter, r *request) error {
	if err := s.barrier(r); err != nil {
		return err
	}
	page, err := s.cfg.Store.List(store.ListOptions{
		Prefix: LockPrefix, Limit: maxLimit, MaxBytes: maxPage, Values: true,
	})
	if err != nil {
		return err
	}
	out := []Lock{}
	for _, x := range page.Items {
		lease, err := strconv.ParseUint(string(x.Value), 10, 64)
		if err == nil {
			out = append(out, Lock{Name: strings.TrimPrefix(x.Key, LockPrefix), Lease: lease, Revision: x.Revision})
		}
	}
	return writeJSON(w, map[string]any{"locks": out})
}
