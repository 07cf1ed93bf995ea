//go:build !v37

package main

func msgTo(m *message) uint64          { return m.To }
func entryData(e *entry) []byte        { return e.Data }
func entryIndex(e *entry) uint64       { return e.Index }
func normalEntry(e *entry) bool        { return e.Type == 0 && len(e.Data) > 0 }
func snapshotIndex(s *snapshot) uint64 { return s.Metadata.Index }
func newHardState(term, commit uint64) hardState {
	return hardState{Term: term, Commit: commit}
}

func newEntry(term, index uint64, data []byte) entry {
	return entry{Term: term, Index: index, Data: data}
}

func newSnapshot(index, term uint64, voters []uint64) snapshot {
	var s snapshot
	s.Metadata.Index, s.Metadata.Term, s.Metadata.ConfState.Voters = index, term, voters
	return s
}

// ack is an acknowledgement of the log up to index.
func ack(from, to, term, index uint64) message {
	return message{Type: msgAppResp, From: from, To: to, Term: term, Index: index}
}

func vote(from, to, term uint64) message {
	return message{Type: msgVoteResp, From: from, To: to, Term: term}
}

func proposal(from uint64, entries []entry) message {
	return message{Type: msgProp, From: from, To: from, Entries: entries}
}

// heartbeat is what a leader sends to a member that it knows to have the log up to commit.
func heartbeat(from, to, term, commit uint64) message {
	return message{Type: msgHeartbeat, From: from, To: to, Term: term, Commit: commit}
}

// appendOf is an append of entries after the one of term and index.
func appendOf(from, to, term, index uint64, entries []entry) message {
	return message{Type: msgApp, From: from, To: to, Term: term, LogTerm: term, Index: index,
		Entries: entries, Commit: index}
}
