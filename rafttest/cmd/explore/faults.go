package main

import "quorate.example/raft/rafttest/internal/plant"

// fault is a mistake that an exploration of one world must find.
type fault struct {
	name    string
	edit    plant.Edit
	world   string
	oracles []string // any of which may find it
	long    bool     // it takes the larger size of the world
}

var faults = []fault{
	// Elections.
	{"a second vote in a term", plant.Edit{File: "election.go",
		Old: "case r.vote == None && r.lead == None:", New: "case r.lead == None:"},
		"elections", []string{"hard state", "election safety"}, false},
	{"a vote for a shorter log", plant.Edit{File: "election.go",
		Old: "!r.mayVoteFor(m) || !r.log.upToDate(entryID{term: m.LogTerm, index: m.Index})", New: "!r.mayVoteFor(m)"},
		"elections", []string{"leader completeness", "commit"}, false},
	{"the vote is forgotten at a restart", plant.Edit{File: "raft.go",
		Old: "r.term, r.vote, r.log.committed = hard.Term, hard.Vote, hard.Commit",
		New: "r.term, r.log.committed = hard.Term, hard.Commit"},
		"crashes", []string{"hard state"}, false},
	{"a candidate counts half of the votes as a quorum", plant.Edit{File: "quorum/quorum.go",
		Old: "quorum := voters/2 + 1", New: "quorum := (voters + 1) / 2"},
		"entries", []string{"election safety"}, false},
	{"a quorum off by one commits", plant.Edit{File: "replication.go",
		Old: "case l.ahead <= voters/2:\n		return false\n	case r.peers.CommittedAbove(p.Match):",
		New: "case l.ahead < voters/2:\n		return false\n	case true:"},
		"entries", []string{"commit"}, false},
	{"half of a joint configuration commits", plant.Edit{File: "replication.go",
		Old: "return r.peers.CommittedAbove(next) && r.commitOwn(r.peers.Committed())",
		New: "in, _ := r.peers.Voters()\n		return l.ahead > in/2 && r.commitOwn(p.Match)"},
		"joint", []string{"commit"}, false},
	{"an entry of an earlier term commits by counting", plant.Edit{File: "replication.go",
		Old: "i <= r.log.committed || !r.log.matches(entryID{term: r.term, index: i})", New: "i <= r.log.committed"},
		"entries", []string{"commit"}, false},
	{"the entry before an append is not compared", plant.Edit{File: "replication.go",
		Old: "if !r.log.matches(prev) {", New: "if prev.index > r.log.last() {"},
		"elections", []string{"log matching", "state machine safety", "leader completeness", "panic", "commit"}, true},
	{"a late append truncates the log", plant.Edit{File: "replication.go",
		Old: "m.Entries[r.log.known(m.Entries):]; len(fresh) > 0", New: "m.Entries; len(fresh) > 0"},
		"duplicates", []string{"panic", "durability", "commit", "state machine safety", "log matching"}, false},
	{"a heartbeat tells the commit index to all alike", plant.Edit{File: "replication.go",
		Old: "commit := min(p.Match, r.log.committed)", New: "commit := r.log.committed"},
		"heartbeats", []string{"state machine safety", "commit", "panic", "liveness"}, false},
	{"a conflict hint is not heeded", plant.Edit{File: "replication.go",
		Old: "if !p.MaybeDecrTo(m.Index, next) {", New: "if next > 0 {"},
		"entries", []string{"liveness"}, false},

	// Durability.
	{"a vote leaves before it is on disk", plant.Edit{File: "outbox.go",
		Old: "if k&waitsOnDisk != 0 {", New: "if k&waitsOnDisk != 0 && (m.To == r.id || m.Type != pb.MsgVoteResp) {"},
		"async", []string{"durability"}, false},
	{"entries are applied before they are on disk", plant.Edit{File: "apply.go",
		Old: "return min(l.committed, l.tail.base)", New: "return l.committed"},
		"async-of-three", []string{"durability"}, false},
	{"the host sends before it saves", plant.Edit{File: "rafttest/explore_process.go",
		Old: "	for p.HasReady() {\n		rd := p.Ready()\n		if len(rd.Entries)",
		New: "	for p.HasReady() {\n		rd := p.Ready()\n		p.Send(rd.Messages...)\n		if len(rd.Entries)"},
		"elections", []string{"durability"}, false},
	{"the host forgets to install a snapshot", plant.Edit{File: "rafttest/explore_process.go",
		Old: "			p.Install(rd.Snapshot)\n", New: ""},
		"snapshots", []string{"state machine safety", "configuration"}, false},

	// Membership and reads.
	{"a second configuration change while one is pending", plant.Edit{File: "membership.go",
		Old: "case confIndex > r.log.apply.applied:", New: "case false:"},
		"learner", []string{"configuration"}, false},
	{"a new leader does not know of a pending change", plant.Edit{File: "raft.go",
		Old: "confIndex: r.log.last(),", New: "confIndex: 0,"},
		"learner", []string{"configuration"}, false},
	{"a read is answered without a round", plant.Edit{File: "read.go",
		Old: "	case r.takeRead(w):\n		r.heartbeatAll()", New: "	default:\n		r.answerRead(w, r.log.committed)"},
		"reads", []string{"read index"}, false},
	{"a read before the first commit of the term", plant.Edit{File: "read.go",
		Old: "case !r.committedInTerm():", New: "case false:"},
		"reads", []string{"read index"}, false},
}
