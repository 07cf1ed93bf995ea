package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

// machine applies commands to a store as a member does: through its log.
type machine struct {
	t     *testing.T
	s     *store.Store
	index uint64
	term  uint64
}

func newMachine(t *testing.T, o store.Options) *machine {
	t.Helper()
	m := &machine{t: t, s: open(t, o), term: 1}
	m.index = m.s.Position().Applied
	return m
}

func (m *machine) do(c store.Command) store.Result {
	m.t.Helper()
	m.index++
	e := pb.Entry{Index: m.index, Term: m.term, Data: c.Encode()}
	save(m.t, m.s, raft.Ready{
		HardState: pb.HardState{Term: m.term, Commit: m.index}, Entries: []pb.Entry{e}, MustSync: true,
	})
	return apply(m.t, m.s, e)[0]
}

func (m *machine) put(key, value string, lease uint64) store.Result {
	m.t.Helper()
	return m.do(store.Command{Op: store.OpPut, Key: key, Value: []byte(value), Lease: lease})
}

func (m *machine) get(key string) string {
	m.t.Helper()
	item, _, err := m.s.Get(key)
	require.NoError(m.t, err)
	return string(item.Value)
}

// records returns the whole state as text.
func records(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	state, _, err := s.Export()
	require.NoError(t, err)
	out := map[string]string{}
	require.NoError(t, state.Each(func(key, value []byte) error {
		out[string(key)] = string(value)
		return nil
	}))
	require.NoError(t, state.Close())
	return out
}

// Claim: a transaction carries out one of its lists, as one revision, and sees its own changes.
func TestTransactionIsOneChange(t *testing.T) {
	m := newMachine(t, store.Options{})
	defer m.s.Close()
	m.put("a", "1", 0)
	txn := &store.Txn{
		Compares: []store.Compare{
			{Key: "a", Target: store.TargetValue, Order: store.OrderEqual, Value: []byte("1")},
			{Key: "a", Target: store.TargetRevision, Order: store.OrderLess, Number: 2},
			{Key: "none", Target: store.TargetValue, Order: store.OrderNotEqual},
		},
		Then: []store.TxnOp{
			{Op: store.OpPut, Key: "b", Value: []byte("2")}, {Op: store.OpDelete, Key: "a"},
			{Op: store.OpDelete, Key: "none"}, {Op: store.TxnOpGet, Key: "b"}, {Op: store.TxnOpGet, Key: "a"},
		},
		Else: []store.TxnOp{{Op: store.TxnOpGet, Key: "b"}},
	}
	r := m.do(store.Command{Op: store.OpTxn, Txn: txn})
	require.True(t, r.Succeeded)
	require.EqualValues(t, 2, r.Revision)
	require.Equal(t, []bool{true, true, false, false, false},
		[]bool{r.Answers[0].Changed, r.Answers[1].Changed, r.Answers[2].Changed, r.Answers[3].Changed, r.Answers[4].Changed})
	require.Equal(t, "2", string(r.Answers[3].Item.Value))
	require.Zero(t, r.Answers[4].Item.Revision)
	require.Equal(t, []string{"", "2"}, []string{m.get("a"), m.get("b")})

	r = m.do(store.Command{Op: store.OpTxn, Txn: txn})
	require.False(t, r.Succeeded)
	require.False(t, r.Changed)
	require.EqualValues(t, 2, r.Revision)
	require.Equal(t, "2", string(r.Answers[0].Item.Value))
	changes, last, err := m.s.Changes(store.ChangesOptions{From: 2, MaxBytes: 1 << 20})
	require.NoError(t, err)
	require.EqualValues(t, 2, last)
	require.Equal(t, []store.Change{
		{Revision: 2, Op: store.OpPut, Key: "b", Value: []byte("2")}, {Revision: 2, Op: store.OpDelete, Key: "a", Value: []byte{}},
	}, changes)
}

// Claim: a transaction that names a lease that does not exist changes nothing at all.
func TestTransactionIsRefusedAsAWhole(t *testing.T) {
	m := newMachine(t, store.Options{})
	defer m.s.Close()
	r := m.do(store.Command{Op: store.OpTxn, Txn: &store.Txn{Then: []store.TxnOp{
		{Op: store.OpPut, Key: "a"}, {Op: store.OpPut, Key: "b", Lease: 5},
	}}})
	require.Equal(t, store.RefusedNoLease, r.Refusal)
	require.False(t, r.Changed)
	require.Zero(t, r.Revision)
}

// Claim: keys go with their lease, unless they were written or deleted without it in between.
func TestKeysEndWithTheirLease(t *testing.T) {
	m := newMachine(t, store.Options{})
	defer func() { m.s.Close() }()
	grant := func() uint64 {
		return m.do(store.Command{Op: store.OpLeaseGrant, TTL: time.Second}).Lease.ID
	}
	one, two := grant(), grant()
	require.NotEqual(t, one, two)
	for _, key := range []string{"stays", "moves", "goes-1", "goes-2", "deleted"} {
		m.put(key, "x", one)
	}
	m.put("stays", "y", 0)
	m.put("moves", "y", two)
	m.do(store.Command{Op: store.OpDelete, Key: "deleted"})
	lease, ok := m.s.LeaseOf(one)
	require.True(t, ok)
	require.Equal(t, []string{"goes-1", "goes-2"}, lease.Keys)
	before := records(t, m.s)
	r := m.do(store.Command{Op: store.OpLeaseRevoke, Lease: one})
	require.True(t, r.Changed)
	require.EqualValues(t, 9, r.Revision)
	require.Equal(t, []string{"y", "y", "", ""}, []string{m.get("stays"), m.get("moves"), m.get("goes-1"), m.get("goes-2")})
	changes, _, err := m.s.Changes(store.ChangesOptions{From: 9, MaxBytes: 1 << 20})
	require.NoError(t, err)
	require.Len(t, changes, 2)
	require.True(t, changes[0].Expired)
	require.Equal(t, store.RefusedNoLease, m.do(store.Command{Op: store.OpLeaseRevoke, Lease: one}).Refusal)
	require.Equal(t, store.RefusedNoLease, m.put("a", "x", one).Refusal)
	require.NotEqual(t, before, records(t, m.s))
}

// Claim: a lease expires only if nobody renewed it and only by the leader whose term it is.
func TestExpiryHasToFit(t *testing.T) {
	m := newMachine(t, store.Options{})
	defer m.s.Close()
	lease := m.do(store.Command{Op: store.OpLeaseGrant, TTL: time.Second}).Lease
	m.put("key", "x", lease.ID)
	expire := store.Command{Op: store.OpLeaseExpire, Lease: lease.ID, Generation: lease.Generation, Term: 1}
	lease = m.do(store.Command{Op: store.OpLeaseKeepAlive, Lease: lease.ID}).Lease
	require.False(t, m.do(expire).Changed, "it was renewed")
	expire.Generation = lease.Generation
	m.term = 2
	require.False(t, m.do(expire).Changed, "another leader looks after it")
	require.Equal(t, "x", m.get("key"))
	expire.Term = 2
	require.True(t, m.do(expire).Changed)
	require.Empty(t, m.get("key"))
}

// fillEverything makes a state with all that there is.
func fillEverything(m *machine) {
	for i := range 60 {
		m.put(fmt.Sprint("key-", i%7), fmt.Sprint("value-", i), 0)
	}
	lease := m.do(store.Command{Op: store.OpLeaseGrant, TTL: time.Minute}).Lease.ID
	m.put("leased", "x", lease)
	m.do(store.Command{Op: store.OpLeaseKeepAlive, Lease: lease})
	m.do(store.Command{Op: store.OpTxn, Txn: &store.Txn{Then: []store.TxnOp{
		{Op: store.OpPut, Key: "t", Value: []byte("1"), Lease: lease}, {Op: store.OpDelete, Key: "key-1"},
	}}})
	m.do(store.Command{Op: store.OpDelete, Key: "key-2"})
}

// Claim: the state, with its leases and its history, is the same whether entries were applied one by one
// or many at a time, with a compacted log or not, before and after a restart, and in a snapshot's receiver.
func TestStateIsTheSameOnAllMembers(t *testing.T) {
	history := store.Options{HistoryChanges: 30, HistoryBytes: 600}
	plain := newMachine(t, history)
	defer plain.s.Close()
	fillEverything(plain)
	want := records(t, plain.s)

	compacting := history
	compacting.FS = vfs.NewMem()
	other := newMachine(t, compacting)
	fillEverything(other)
	require.NoError(t, other.s.Compact(other.index-3))
	require.Equal(t, want, records(t, other.s))
	require.NoError(t, other.s.Close())
	other = newMachine(t, compacting)
	require.Equal(t, want, records(t, other.s))

	entries, err := plain.s.Entries(1, plain.index+1, 1<<30)
	require.NoError(t, err)
	together := open(t, history)
	defer together.Close()
	apply(t, together, entries...) // without a log, too
	require.Equal(t, want, records(t, together))

	receiver := open(t, history)
	defer receiver.Close()
	staging, err := receiver.NewStaging()
	require.NoError(t, err)
	for key, value := range want {
		require.NoError(t, staging.Put([]byte(key), []byte(value)))
	}
	meta := pb.SnapshotMetadata{Index: plain.index, Term: 1, ConfState: pb.ConfState{Voters: []uint64{1}}}
	require.NoError(t, receiver.Install(meta, staging))
	require.NoError(t, receiver.Save(host.Write{
		Snapshot: &meta, HardState: pb.HardState{Term: 1, Commit: plain.index}, Sync: true,
	}))
	require.Equal(t, want, records(t, receiver))

	// And they go on alike.
	late := &machine{t: t, s: receiver, index: plain.index, term: 1}
	for _, m := range []*machine{plain, other, late} {
		require.True(t, m.do(store.Command{Op: store.OpLeaseRevoke, Lease: 1}).Changed)
		for i := range 700 {
			m.put("more", fmt.Sprint(i), 0)
		}
	}
	want = records(t, plain.s)
	require.Equal(t, want, records(t, other.s))
	require.Equal(t, want, records(t, receiver))
	require.NoError(t, other.s.Close())
}

// Claim: the history tells of its changes from any revision it still has, and says of others where it
// begins.
func TestHistoryIsBounded(t *testing.T) {
	m := newMachine(t, store.Options{HistoryChanges: 5})
	defer m.s.Close()
	for i := 1; i <= 20; i++ {
		m.put(fmt.Sprint("key-", i), fmt.Sprint(i), 0)
	}
	require.NoError(t, m.s.Compact(m.index-1))
	_, _, err := m.s.Changes(store.ChangesOptions{From: 15})
	var compacted *store.CompactedError
	require.ErrorAs(t, err, &compacted)
	require.EqualValues(t, 16, compacted.Oldest)
	changes, last, err := m.s.Changes(store.ChangesOptions{From: 16, Prefix: "key-", MaxBytes: 1 << 20})
	require.NoError(t, err)
	require.EqualValues(t, 20, last)
	require.Len(t, changes, 5)
	require.Equal(t, "16", string(changes[0].Value))
	changes, last, err = m.s.Changes(store.ChangesOptions{From: 16, Key: "key-18", MaxBytes: 1})
	require.NoError(t, err)
	require.EqualValues(t, 18, last)
	require.Len(t, changes, 1)
	changes, last, err = m.s.Changes(store.ChangesOptions{From: 21})
	require.NoError(t, err)
	require.EqualValues(t, 20, last)
	require.Empty(t, changes)

	next := m.s.NextChange()
	m.put("key-21", "x", 0)
	require.True(t, closed(next))
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Claim: data from before there was a history opens, with a history that begins now.
func TestOldDataOpens(t *testing.T) {
	o := store.Options{FS: vfs.NewMem()}
	m := newMachine(t, o)
	m.put("a", "1", 0)
	m.put("b", "2", 0)
	require.NoError(t, m.s.Close())
	db, err := pebble.Open("data", &pebble.Options{FS: o.FS, FormatMajorVersion: pebble.FormatNewest})
	require.NoError(t, err)
	state := "s\x00\x00\x00\x00\x00\x00\x00\x00"
	require.NoError(t, db.Set([]byte(state+"r"), []byte{0, 0, 0, 0, 0, 0, 0, 2}, pebble.Sync))
	require.NoError(t, db.DeleteRange([]byte(state+"h"), []byte(state+"i"), pebble.Sync))
	require.NoError(t, db.Close())

	m = newMachine(t, o)
	defer m.s.Close()
	require.Equal(t, "1", m.get("a"))
	_, _, err = m.s.Changes(store.ChangesOptions{From: 2})
	var compacted *store.CompactedError
	require.ErrorAs(t, err, &compacted)
	require.EqualValues(t, 3, compacted.Oldest)
	require.EqualValues(t, 3, m.put("c", "3", 0).Revision)
	changes, _, err := m.s.Changes(store.ChangesOptions{From: 3, MaxBytes: 1 << 20})
	require.NoError(t, err)
	require.Len(t, changes, 1)
}

// Claim: what Encode wrote is what DecodeCommand reads, and cut or changed bytes are errors, not panics.
func TestCommandsSurviveTheLog(t *testing.T) {
	expect := uint64(7)
	for _, c := range []store.Command{
		{Op: store.OpPut, Key: "a", Value: []byte("b")},
		{Op: store.OpPut, Key: "a", Value: []byte("b"), Lease: 300, Expect: &expect},
		{Op: store.OpLeaseGrant, TTL: 90 * time.Second, Value: []byte{}},
		{Op: store.OpLeaseExpire, Lease: 1, Generation: 2, Term: 3, Value: []byte{}},
		{Op: store.OpTxn, Txn: &store.Txn{
			Compares: []store.Compare{{Key: "k", Target: store.TargetLease, Order: store.OrderGreater, Number: 1, Value: []byte("v")}},
			Then:     []store.TxnOp{{Op: store.OpPut, Key: "x", Value: []byte("y"), Lease: 9}},
			Else:     []store.TxnOp{{Op: store.TxnOpGet, Key: "x", Value: []byte{}}},
		}},
	} {
		c.ID = store.RequestID{Origin: 1, Seq: 2}
		data := c.Encode()
		back, err := store.DecodeCommand(data)
		require.NoError(t, err)
		require.Equal(t, c, back)
		if c.Op == store.OpTxn {
			for i := range data {
				_, err := store.DecodeCommand(data[:i])
				require.Error(t, err, "cut at %d", i)
			}
		}
	}
}
