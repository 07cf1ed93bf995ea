//go:build v37

package main

import "google.golang.org/protobuf/proto"

func msgTo(m *message) uint64          { return (*m).GetTo() }
func entryData(e *entry) []byte        { return (*e).GetData() }
func entryIndex(e *entry) uint64       { return (*e).GetIndex() }
func normalEntry(e *entry) bool        { return (*e).GetType() == 0 && len((*e).GetData()) > 0 }
func snapshotIndex(s *snapshot) uint64 { return (*s).GetMetadata().GetIndex() }
func newHardState(term, commit uint64) hardState {
	return &hardStateOf{Term: &term, Commit: &commit}
}

func newEntry(term, index uint64, data []byte) entry {
	return &entryOf{Term: &term, Index: &index, Data: data}
}

func newSnapshot(index, term uint64, voters []uint64) snapshot {
	return &snapshotOf{Metadata: &snapshotMetadata{
		Index: &index, Term: &term, ConfState: &confState{Voters: voters}}}
}

// ack is an acknowledgement of the log up to index.
func ack(from, to, term, index uint64) message {
	kind := msgAppResp
	return &messageOf{Type: &kind, From: &from, To: &to, Term: &term, Index: &index}
}

func vote(from, to, term uint64) message {
	kind := msgVoteResp
	return &messageOf{Type: &kind, From: &from, To: &to, Term: &term}
}

func proposal(from uint64, entries []entry) message {
	kind := msgProp
	return &messageOf{Type: &kind, From: &from, To: &from, Entries: entries}
}

// heartbeat is what a leader sends to a member that it knows to have the log up to commit.
func heartbeat(from, to, term, commit uint64) message {
	kind := msgHeartbeat
	return &messageOf{Type: &kind, From: &from, To: &to, Term: &term, Commit: &commit}
}

// appendOf is an append of entries after the one of term and index.
func appendOf(from, to, term, index uint64, entries []entry) message {
	kind := msgApp
	return &messageOf{Type: &kind, From: &from, To: &to, Term: &term, LogTerm: &term, Index: &index,
		Entries: entries, Commit: &index}
}

func marshal(m *message) []byte {
	raw, err := proto.Marshal(*m)
	if err != nil {
		panic(err)
	}
	return raw
}

func unmarshal(raw []byte) message {
	m := &messageOf{}
	if err := proto.Unmarshal(raw, m); err != nil {
		panic(err)
	}
	return m
}

func sizeOf(m *message) int        { return proto.Size(*m) }
func entriesOf(m *message) []entry { return (*m).GetEntries() }

func responsesOf(m *message) []message { return (*m).GetResponses() }

// hardStateIn returns what a MsgStorageAppend wants saved, if it does.
func hardStateIn(m *message) (hardState, bool) {
	term, vote, commit := (*m).GetTerm(), (*m).GetVote(), (*m).GetCommit()
	return &hardStateOf{Term: &term, Vote: &vote, Commit: &commit}, term|vote|commit != 0
}
