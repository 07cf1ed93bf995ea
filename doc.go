/*
Package raft is the Raft consensus algorithm as a state machine: messages, ticks and proposals go in, and
out comes what is to be saved, sent and applied. It does no I/O, starts no goroutine (but for Node) and
looks at no clock. "Thesis" in comments is Diego Ongaro's "Consensus: Bridging Theory and Practice".

# The loop

A host runs one member of a group in a loop like this one; storage, send and apply are its own:

	rn, err := raft.NewRawNode(config)
	for {
		select {
		case <-ticker.C:
			rn.Tick()
		case m := <-fromPeers:
			rn.Step(m)
		case data := <-proposals:
			rn.Propose(data)
		}
		for rn.HasReady() {
			rd := rn.Ready()
			storage.Save(rd.HardState, rd.Entries, rd.Snapshot, rd.MustSync) // atomic, durable first
			send(rd.Messages)
			for _, entry := range rd.CommittedEntries {
				apply(entry) // with rn.ApplyConfChange for configuration changes
			}
			rn.Advance(rd)
		}
	}

What the host must keep to:

  - Save before send. A vote or an acknowledgement that is sent before it is durable can lose committed
    entries. HardState, Entries and Snapshot of one Ready are saved in one atomic step; it must be synced if
    MustSync is set.
  - Entries replace what is at their indexes, and everything above is void.
  - Apply in order, each entry once. Store the index of the last applied entry with the state machine, and
    give it to Config.Applied after a restart.
  - Call ApplyConfChange for each committed EntryConfChange and EntryConfChangeV2, and store the ConfState
    that it returns with the next snapshot.
  - Decode what comes from the network with raftpb.UnmarshalPeer, which refuses what no peer may send.
  - Report what happened to snapshots (ReportSnapshot) and to members that cannot be reached
    (ReportUnreachable).
  - Do not change what a Ready or a Storage method has handed over: entries are shared, not copied.

Node is the same for several goroutines, with Readys out of a channel. With Config.AsyncStorageWrites the
log writer and the state machine of the host work beside the loop; see Config.

# Reads and membership

ReadIndex gives a linearizable read without a log entry: when ReadStates brings its context back, the read
may be served as soon as everything up to its index is applied.

Membership is changed by proposing a raftpb.ConfChange or, for several changes at once, ConfChangeV2, which
goes through a joint configuration (thesis 4.3). A change is in force on a member when it is applied there.

# Where things are

	raft.go                  state, the term gate, changes of role
	rules.go                 kinds of messages; which role answers which message
	election.go              campaigns, votes, pre-votes, the lease on votes
	proposal.go              proposals in every role, the quota for what is uncommitted
	replication.go           AppendEntries and heartbeats, both ends; what commits
	read.go                  linearizable reads
	membership.go            configuration changes, bootstrap
	snapshot.go, transfer.go snapshots and leadership transfer, both ends
	log.go                   the log; every call of Storage
	log_tail.go              its end that is not durable yet
	log_terms.go             terms of the log without asking Storage
	apply.go, durable.go     what may be applied; what the host reports as written and applied
	outbox.go, ready.go      messages on their way out; what is in a Ready
	rawnode.go, node.go      the two faces
	config.go, settings.go,  what the host brings
	storage.go
	clock.go                 ticks and election timeouts
	status.go, event.go      what the host can see
	describe.go, status_text.go  text for people
	logger.go, logger_fields.go  log lines, with typed fields for loggers that take them
	errors.go, size.go       errors; sizes and small predicates
	checks.go, invariants.go what is refused before it is looked at; what must always hold
	mirror.go                the deliberate differences from go.etcd.io/raft v3.6
	doc.go                   this page
*/
package raft
