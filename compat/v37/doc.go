// Package v37 tests this library against go.etcd.io/raft v3.7.0, whose messages have pointer fields. It
// is a module of its own because v3.6.0 and v3.7.0 share a module path.
package v37
