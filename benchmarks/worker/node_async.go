//go:build !floor

package main

import "quorate.example/raft/benchmarks/internal/measure"

func init() {
	families["node-async"] = func(b *bench) {
		nodeProposers(b, func(c *config) { c.AsyncStorageWrites = true })
	}
}

// startThreads starts the log writer and the state machine of a server with asynchronous storage, and
// returns what is to be done with a Ready.
func (s *server) startThreads() func(rd ready) {
	log, machine := newMailbox(), newMailbox()
	s.running.Add(2)
	go s.serve(&log, s.write)
	go s.serve(&machine, func(m *message) {
		s.finish(&ready{CommittedEntries: entriesOf(m)})
		s.respond(m)
	})
	return func(rd ready) {
		for i := range rd.Messages {
			switch m := &rd.Messages[i]; msgTo(m) {
			case appendThread:
				log.put(m)
			case applyThread:
				machine.put(m)
			default:
				s.send(m)
			}
		}
	}
}

// write does what a MsgStorageAppend says.
func (s *server) write(m *message) {
	if hs, ok := hardStateIn(m); ok {
		measure.Must(s.storage.SetHardState(hs))
	}
	measure.Must(s.storage.Append(entriesOf(m)))
	s.respond(m)
}

func (s *server) respond(m *message) {
	responses := responsesOf(m)
	for i := range responses {
		s.send(&responses[i])
	}
}
