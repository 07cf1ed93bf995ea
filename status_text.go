package raft

import (
	"fmt"
	"slices"
	"strings"

	"quorate.example/raft/tracker"
)

// MarshalJSON returns s as JSON, with members in hexadecimal and in ascending order. Of each member it
// has match, next and state; the configuration is left out.
func (s Status) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

// String returns s as JSON; see MarshalJSON. The text is that of go.etcd.io/raft v3.6.0, but for the
// order of members, which is random there.
func (s Status) String() string {
	ids := make([]uint64, 0, len(s.Progress))
	for id := range s.Progress {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	members := make([]string, len(ids))
	for i, id := range ids {
		members[i] = progressJSON(id, s.Progress[id])
	}
	return fmt.Sprintf(`{"id":"%x","term":%d,"vote":"%x","commit":%d,"lead":"%x","raftState":%q,`+
		`"applied":%d,"progress":{%s},"leadtransferee":"%x"}`,
		s.ID, s.Term, s.Vote, s.Commit, s.Lead, s.RaftState,
		s.Applied, strings.Join(members, ","), s.LeadTransferee)
}

func progressJSON(id uint64, pr tracker.Progress) string {
	return fmt.Sprintf(`"%x":{"match":%d,"next":%d,"state":%q}`, id, pr.Match, pr.Next, pr.State)
}
