package wal_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/wal"
	"quorate.example/raft/host"
	pb "quorate.example/raft/raftpb"
)

const dir = "log"

func open(t *testing.T, fs vfs.FS) *wal.Log {
	t.Helper()
	l, err := wal.Open(wal.Options{Dir: dir, FS: fs, SegmentBytes: 8 << 10, CacheBytes: 2 << 10})
	require.NoError(t, err)
	return l
}

// content is what a log holds, as a plain value.
type content struct {
	start   wal.Position
	hard    pb.HardState
	entries []pb.Entry
}

func (c content) last() uint64 { return c.start.Index + uint64(len(c.entries)) }

func (c content) term(i uint64) uint64 {
	if i == c.start.Index {
		return c.start.Term
	}
	return c.entries[i-c.start.Index-1].Term
}

// after returns what c is after a write.
func (c content) after(w host.Write) content {
	if w.Snapshot != nil {
		c.start, c.entries = wal.Position{Index: w.Snapshot.Index, Term: w.Snapshot.Term}, nil
	}
	if len(w.Entries) > 0 {
		keep := w.Entries[0].Index - c.start.Index - 1
		c.entries = append(c.entries[:keep:keep], w.Entries...)
	}
	if w.HardState != (pb.HardState{}) {
		c.hard = w.HardState
	}
	return c
}

func (c content) compacted(to uint64) content {
	n := to - c.start.Index
	return content{start: wal.Position{Index: to, Term: c.term(to)}, hard: c.hard, entries: c.entries[n:]}
}

func contentOf(t *testing.T, l *wal.Log) content {
	t.Helper()
	c := content{start: l.Start(), hard: l.HardState()}
	for next := l.FirstIndex(); next <= l.LastIndex(); {
		entries, err := l.Entries(next, l.LastIndex()+1, 700)
		require.NoError(t, err)
		require.NotEmpty(t, entries)
		c.entries = append(c.entries, entries...)
		next += uint64(len(entries))
	}
	bytes := 0
	for i := range c.entries {
		bytes += c.entries[i].Size()
		term, err := l.Term(c.entries[i].Index)
		require.NoError(t, err)
		require.Equal(t, c.entries[i].Term, term)
	}
	require.Equal(t, bytes, l.Bytes())
	return c
}

// same reports whether two contents are equal but for the commit index, which alone is worth no write.
func (c content) same(d content) bool {
	c.hard.Commit, d.hard.Commit = 0, 0
	return fmt.Sprint(c.start, c.hard) == fmt.Sprint(d.start, d.hard) && equal(c.entries, d.entries)
}

func equal(a, b []pb.Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Index != b[i].Index || a[i].Term != b[i].Term || string(a[i].Data) != string(b[i].Data) {
			return false
		}
	}
	return true
}

// writes makes random writes that a log writer could be given.
type writes struct {
	rng  *rand.Rand
	term uint64
}

func (g *writes) next(c content) host.Write {
	w := host.Write{Sync: g.rng.IntN(3) > 0}
	g.term += uint64(g.rng.IntN(5) / 4)
	switch g.rng.IntN(12) {
	case 0:
		w.HardState = pb.HardState{Term: g.term, Vote: uint64(1 + g.rng.IntN(3)), Commit: c.hard.Commit}
		return w
	case 1:
		w.HardState = c.hard
		w.HardState.Commit = c.last()
		return w
	case 2:
		if g.rng.IntN(3) == 0 {
			w.Snapshot = &pb.SnapshotMetadata{Index: c.last() + uint64(g.rng.IntN(9)), Term: g.term}
			return w
		}
	}
	from := c.last() + 1
	if g.rng.IntN(6) == 0 {
		from = c.start.Index + 1 + g.rng.Uint64N(c.last()-c.start.Index+1)
	}
	for n := g.rng.IntN(8); n >= 0; n-- {
		size := 40 // often, so that remains of an earlier life fit
		if g.rng.IntN(2) == 0 {
			size = g.rng.IntN(200)
		}
		if g.rng.IntN(60) == 0 {
			size = 9 << 10 // more than a segment
		}
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(g.rng.Uint32())
		}
		w.Entries = append(w.Entries, pb.Entry{Index: from, Term: g.term, Data: data})
		from++
	}
	if g.rng.IntN(2) == 0 {
		w.HardState = pb.HardState{Term: g.term, Vote: 1, Commit: c.start.Index}
	}
	return w
}

// Claim: whenever the power fails, the log is what it was after some write since the last one that was synced, or
// after that; never anything else. The next lives go on from there, and nothing of what was lost comes back.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	for round := range 60 {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 1))
		g := &writes{rng: rng, term: 1}
		fs := vfs.NewCrashableMem()
		var now content
		for life := range 6 {
			l := open(t, fs)
			found := contentOf(t, l)
			require.True(t, now.same(found), "seed %d, round %d, life %d", seed, round, life)
			now = found
			possible := []content{now}
			for range rng.IntN(60) {
				if now.last() > now.start.Index && rng.IntN(10) == 0 {
					to := now.start.Index + 1 + rng.Uint64N(now.last()-now.start.Index)
					require.NoError(t, l.Compact(to))
					now = now.compacted(to)
					possible = []content{now}
					continue
				}
				w := g.next(now)
				require.NoError(t, l.Save(w))
				now = now.after(w)
				if w.Sync || w.Snapshot != nil { // which is always synced
					possible = nil
				}
				possible = append(possible, now)
			}
			require.True(t, now.same(contentOf(t, l)), "seed %d, round %d, life %d", seed, round, life)
			if rng.IntN(4) == 0 {
				require.NoError(t, l.Close())
				possible = []content{now}
			}
			percent := []int{0, 30, 70, 100}[rng.IntN(4)]
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
			again := open(t, crashed)
			found = contentOf(t, again)
			ok := false
			for _, c := range possible {
				ok = ok || c.same(found)
			}
			require.True(t, ok, "seed %d, round %d, life %d: found (%d, %d]", seed, round, life, found.start.Index, found.last())
			require.NoError(t, again.Close())
			fs, now = crashed, found
		}
	}
}

// Claim: a changed byte anywhere in what was on the disk before the last write is noticed; the log is not opened
// as if what follows had never been.
func TestDamageIsNoticed(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs)
	for i := uint64(1); i <= 100; i++ {
		require.NoError(t, l.Save(host.Write{
			HardState: pb.HardState{Term: i, Vote: 1}, Sync: true,
			Entries: []pb.Entry{{Index: i, Term: i, Data: make([]byte, 150)}},
		}))
	}
	require.NoError(t, l.Close())
	records, err := wal.Records(wal.Options{Dir: dir, FS: fs})
	require.NoError(t, err)
	require.Len(t, records, 100)
	paths := map[string]bool{}
	for i, r := range records {
		paths[r.Path] = true
		for offset := r.Offset; offset < r.Offset+int64(r.Length); offset += 13 {
			flip(t, fs, r.Path, offset)
			_, err := wal.Open(wal.Options{Dir: dir, FS: fs, SegmentBytes: 8 << 10})
			if i < len(records)-1 {
				require.ErrorIs(t, err, wal.ErrDamaged, "record %d, byte %d of %s", i, offset, r.Path)
			} else {
				require.NoError(t, err) // it may be a write that a crash cut off
			}
			flip(t, fs, r.Path, offset)
		}
	}
	require.Greater(t, len(paths), 2)
}

func flip(t *testing.T, fs vfs.FS, path string, offset int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], offset)
	require.NoError(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], offset)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// Claim: whatever the files hold, a log opens as it once was, or not at all.
func TestGarbageIsRefused(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	g := &writes{rng: rng, term: 1}
	fs := vfs.NewCrashableMem()
	l := open(t, fs)
	var now content
	past := []content{now}
	for range 80 {
		w := g.next(now)
		w.Sync = true
		if w.Snapshot != nil {
			continue // it would leave little to spoil
		}
		require.NoError(t, l.Save(w))
		now = now.after(w)
		past = append(past, now)
	}
	require.NoError(t, l.Close())
	refused := 0
	for range 400 {
		spoiled := fs.CrashClone(vfs.CrashCloneCfg{})
		names := segments(t, spoiled)
		path := spoiled.PathJoin(dir, names[rng.IntN(len(names))])
		f, err := spoiled.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		garbage := make([]byte, 1+rng.IntN(64))
		for i := range garbage {
			garbage[i] = byte(rng.Uint32())
		}
		_, err = f.WriteAt(garbage, rng.Int64N(8<<10))
		require.NoError(t, errors.Join(err, f.Close()))
		l, err := wal.Open(wal.Options{Dir: dir, FS: spoiled, SegmentBytes: 8 << 10})
		if err != nil {
			require.ErrorIs(t, err, wal.ErrDamaged)
			refused++
			continue
		}
		found := contentOf(t, l)
		require.True(t, slices.ContainsFunc(past, found.same), "found (%d, %d]", found.start.Index, found.last())
		require.NoError(t, l.Close())
	}
	require.Greater(t, refused, 50)
}

// Claim: a segment that is gone is noticed, and so is a log that is.
func TestMissingSegmentIsNoticed(t *testing.T) {
	build := func() (*vfs.MemFS, []string) {
		fs := vfs.NewMem()
		l := open(t, fs)
		for i := uint64(1); i <= 100; i++ {
			require.NoError(t, l.Save(host.Write{Entries: []pb.Entry{{Index: i, Term: 1, Data: make([]byte, 300)}}, Sync: true}))
		}
		require.NoError(t, l.Close())
		return fs, segments(t, fs)
	}
	_, names := build()
	require.Greater(t, len(names), 3)
	for _, gone := range names[:len(names)-1] {
		fs, _ := build()
		require.NoError(t, fs.Remove(fs.PathJoin(dir, gone)))
		_, err := wal.Open(wal.Options{Dir: dir, FS: fs, SegmentBytes: 8 << 10})
		require.ErrorIs(t, err, wal.ErrDamaged, gone)
	}
	_, err := wal.Open(wal.Options{Dir: dir, FS: vfs.NewMem(), MustExist: true})
	require.ErrorIs(t, err, wal.ErrDamaged)
}

// Claim: entries can be read from the disk in pieces of any size, at least one at a time.
func TestEntriesAreBounded(t *testing.T) {
	l := open(t, vfs.NewMem())
	defer l.Close()
	for i := uint64(1); i <= 50; i++ {
		require.NoError(t, l.Save(host.Write{Entries: []pb.Entry{{Index: i, Term: 1, Data: make([]byte, 200)}}}))
	}
	for _, lo := range []uint64{1, 49} { // on the disk, and in memory
		one, err := l.Entries(lo, 51, 0)
		require.NoError(t, err)
		require.Len(t, one, 1)
		two, err := l.Entries(lo, 51, uint64(2*one[0].Size()))
		require.NoError(t, err)
		require.Len(t, two, 2)
		require.Equal(t, lo+1, two[1].Index)
	}
	all, err := l.Entries(1, 51, math.MaxUint64)
	require.NoError(t, err)
	require.Len(t, all, 50)
}

// Claim: what a life has found is on the disk, even if the life before ended before its sync: a member that
// answered for it may be hit by a power cut next.
func TestWhatWasFoundIsDurable(t *testing.T) {
	fs := vfs.NewCrashableMem()
	killed := open(t, fs)
	fill(t, killed, 1, 3)
	require.NoError(t, killed.Save(host.Write{Entries: []pb.Entry{{Index: 4, Term: 1}}}))
	l := open(t, fs)
	require.EqualValues(t, 4, l.LastIndex())
	crashed := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	require.EqualValues(t, 4, crashed.LastIndex())
	require.NoError(t, crashed.Close())
	require.NoError(t, l.Close())
}

// Claim: what a crash left behind the end is never taken for what comes next, even if it would fit exactly.
func TestRemainsOfACrashStayDead(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs)
	fill(t, l, 1, 3)
	require.NoError(t, l.Close())
	written := func(n int) []wal.RecordAt {
		records, err := wal.Records(wal.Options{Dir: dir, FS: fs})
		require.NoError(t, err)
		require.Len(t, records, n)
		return records
	}
	put := func(l *wal.Log, index uint64, what byte) {
		data := make([]byte, 100)
		data[0] = what
		require.NoError(t, l.Save(host.Write{Entries: []pb.Entry{{Index: index, Term: 2, Data: data}}}))
	}
	// Two writes without a sync, the first of which does not reach the disk.
	l = open(t, fs)
	put(l, 4, 'a')
	put(l, 5, 'b')
	require.NoError(t, l.Close())
	torn := written(5)[3]
	flip(t, fs, torn.Path, torn.Offset+30)
	// The next life writes something of the same length there, and nothing more.
	l = open(t, fs)
	require.EqualValues(t, 3, l.LastIndex())
	put(l, 4, 'c')
	require.NoError(t, l.Close())
	require.Equal(t, torn.Length, written(4)[3].Length)
	l = open(t, fs)
	require.EqualValues(t, 4, l.LastIndex())
	require.NoError(t, l.Close())
}
