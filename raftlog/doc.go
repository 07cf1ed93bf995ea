// Package raftlog makes a zap or log/slog logger the Logger of a member:
//
//	cfg.Logger = raftlog.Zap(logger)
//	cfg.Logger = raftlog.Slog(slog.Default())
//
// Both are a [raft.FieldLogger]: what a member logs arrives as typed fields (term, index, member and
// so on), with the place in the code where it was logged, and a level that is off costs no
// allocation. Only programs that import this package link zap.
package raftlog
