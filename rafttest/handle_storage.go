package rafttest

import (
	"fmt"
	"math"

	"quorate.example/raft"
	"quorate.example/raft/tracker"
)

// Compact removes the entries up to and including newFirstIndex from the log
// on the disk of the member at idx, and writes what is left.
func (env *InteractionEnv) Compact(idx int, newFirstIndex uint64) error {
	if err := env.Nodes[idx].Storage.Compact(newFirstIndex); err != nil {
		return err
	}
	return env.RaftLog(idx)
}

// onCompact: compact 1 11.
func (env *InteractionEnv) onCompact(c call) error {
	return env.Compact(c.member(0), c.number(1))
}

// RaftLog writes the log on the disk of the member at idx, an entry a line.
func (env *InteractionEnv) RaftLog(idx int) error {
	s := env.Nodes[idx].Storage
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if last < first {
		fmt.Fprintf(env.Output, "empty log, next index is %d\n", first)
		return nil
	}
	entries, err := s.Entries(first, last+1, math.MaxUint64)
	if err != nil {
		return err
	}
	env.Output.WriteString(raft.DescribeEntries(entries, nil))
	return nil
}

// Status writes what the member at idx, if it leads, knows of each member's
// log.
func (env *InteractionEnv) Status(idx int) error {
	progress := tracker.ProgressMap{}
	for id, pr := range env.Nodes[idx].Status().Progress {
		pr := pr
		progress[id] = &pr
	}
	env.Output.WriteString(progress.String())
	return nil
}

// raftState writes a line for each member: role, whether it counts itself
// among the voters, term and leader.
func (env *InteractionEnv) raftState() error {
	for i := range env.Nodes {
		st := env.Nodes[i].Status()
		kind := "(Non-Voter)"
		if isVoter(st) {
			kind = "(Voter)"
		}
		fmt.Fprintf(env.Output, "%d: %s %s Term:%d Lead:%d\n",
			st.ID, st.RaftState, kind, st.Term, st.Lead)
	}
	return nil
}
