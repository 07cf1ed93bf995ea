package api

import (
	"net/http"

	"quorate.example/raft/examples/kv/internal/stream"
)

// on returns what a route does on one method.
func on(serve handler, params ...string) method { return method{serve: serve, params: params} }

// endless is on for answers that go on until the client leaves.
func endless(serve handler, params ...string) method {
	return method{serve: serve, params: params, endless: true}
}

// table lists all routes. Of two that fit the first one counts.
func (s *server) table() []route {
	const get, put, post, del = http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete
	return []route{
		{path: "/kv", methods: map[string]method{get: on(s.list, "prefix", "after", "limit", "values", "stale")}},
		{path: "/kv/", methods: map[string]method{
			get: on(s.get, "stale", "raw"),
			put: on(s.put, "revision", "lease"),
			del: on(s.delete, "revision"),
		}},
		{path: "/txn", methods: map[string]method{post: on(s.txn)}},
		{path: "/watch", methods: map[string]method{get: endless(s.watch, "key", "prefix", "revision")}},
		{path: stream.Path, methods: map[string]method{get: endless(s.upgrade)}},
		{path: "/leases", methods: map[string]method{get: on(s.leases, "stale"), post: on(s.grantLease)}},
		{path: "/leases/", suffix: "/keepalive", methods: map[string]method{post: on(s.keepLease)}},
		{path: "/leases/", methods: map[string]method{get: on(s.lease, "stale"), del: on(s.revokeLease)}},
		{path: "/locks", methods: map[string]method{get: on(s.locks, "stale")}},
		{path: "/locks/", methods: map[string]method{post: on(s.lock, "lease"), del: on(s.unlock, "lease")}},
		{path: "/snapshot", methods: map[string]method{get: endless(s.snapshot)}},
		{path: "/members", methods: map[string]method{get: on(s.members, "stale"), post: on(s.addMember)}},
		{path: "/members/", suffix: "/promote", methods: map[string]method{post: on(s.promote)}},
		{path: "/members/", methods: map[string]method{del: on(s.removeMember)}},
		{path: "/leader", methods: map[string]method{post: on(s.transfer)}},
		{path: "/status", methods: map[string]method{get: on(s.status)}},
		{path: "/healthz", methods: map[string]method{get: on(s.health, "ready")}},
		{path: "/metrics", methods: map[string]method{get: on(s.metrics)}},
	}
}
