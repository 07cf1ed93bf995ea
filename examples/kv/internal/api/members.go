package api

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"

	"quorate.example/raft/examples/kv/internal/member"
)

func (s *server) members(w http.ResponseWriter, r *request) error {
	if err := s.barrier(r); err != nil {
		return err
	}
	members, err := s.cfg.Member.Members(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"members": members})
}

func (s *server) addMember(w http.ResponseWriter, r *request) error {
	var body struct {
		ID      uint64 `json:"id"`
		Address string `json:"address"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	if err := checkID(body.ID); err != nil {
		return err
	}
	if err := checkAddress(body.Address); err != nil {
		return err
	}
	if err := s.cfg.Member.AddLearner(r.Context(), body.ID, body.Address); err != nil {
		return err
	}
	return writeJSON(w, member.Info{ID: body.ID, Address: body.Address, Role: member.RoleLearner})
}

func (s *server) promote(w http.ResponseWriter, r *request) error {
	id, err := r.memberID()
	if err != nil {
		return err
	}
	if err := s.cfg.Member.Promote(r.Context(), id); err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"id": id, "role": member.RoleVoter})
}

func (s *server) removeMember(w http.ResponseWriter, r *request) error {
	id, err := r.memberID()
	if err != nil {
		return err
	}
	if err := s.cfg.Member.Remove(r.Context(), id); err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"id": id, "removed": true})
}

func (s *server) transfer(w http.ResponseWriter, r *request) error {
	var body struct {
		ID uint64 `json:"id"`
	}
	if err := r.decode(&body); err != nil {
		return err
	}
	if err := checkID(body.ID); err != nil {
		return err
	}
	if err := s.cfg.Member.Transfer(r.Context(), body.ID); err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"leader": body.ID})
}

// memberID checks the ID in the path.
func (r *request) memberID() (uint64, error) {
	id, err := strconv.ParseUint(r.arg, 10, 64)
	if err != nil {
		return 0, badField("id", "want a member's ID")
	}
	return id, checkID(id)
}

// checkID keeps out the numbers that have a meaning of their own in the library.
func checkID(id uint64) error {
	if id == 0 || id >= math.MaxUint64-1 {
		return badField("id", "want a number from 1 to 2^64-3")
	}
	return nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		var n uint64
		n, err = strconv.ParseUint(port, 10, 16)
		if n == 0 || host == "" {
			err = errors.New("incomplete")
		}
	}
	if err != nil {
		return badField("address", "want host:port")
	}
	return nil
}

// decode reads the body as one JSON object with known fields.
func (r *request) decode(into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return bodyError(err)
	}
	if err := decoder.Decode(new(json.RawMessage)); !errors.Is(err, io.EOF) {
		return badField("body", "more than one JSON value")
	}
	return nil
}

// bodyError is a 413 or a 400, and names the field where it can.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) && typ.Field != "" {
		return badField(typ.Field, "want %s", typ.Type)
	}
	if errors.Is(err, io.EOF) {
		return badField("body", "the body is empty")
	}
	return badField("body", "%v", err)
}
