package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleRound is the same work with nothing replicated and no network: goroutines that each write a
// batch of one value to Pebble and wait until it is on the disk. Pebble syncs once for all that wait. With
// several copies each batch goes to as many instances, and is waited for on all.
func pebbleRound(ctx context.Context, load Load, parent string, copies int) (sample Sample, err error) {
	dbs := make([]*pebble.DB, copies)
	for i := range dbs {
		dir, e := os.MkdirTemp(parent, "kv-bench-pebble-")
		if e != nil {
			return Sample{}, e
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		dbs[i], e = pebble.Open(dir, &pebble.Options{
			FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 20, Logger: quiet{},
		})
		if e != nil {
			return Sample{}, e
		}
		defer func() { err = errors.Join(err, dbs[i].Close()) }()
	}
	from := time.Now().Add(load.Warmup)
	until := from.Add(load.For)
	data := value(load.Size)
	samples := make([]Sample, load.Clients)
	failures := make([]error, load.Clients)
	var running sync.WaitGroup
	for i := range load.Clients {
		running.Go(func() {
			samples[i] = newSample()
			failures[i] = writeBatches(ctx, dbs, i, load.Keys, data, &samples[i], from, until)
		})
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		return Sample{}, err
	}
	return merge(samples, load.For), ctx.Err()
}

func writeBatches(
	ctx context.Context, dbs []*pebble.DB, i, keys int, data []byte, sample *Sample, from, until time.Time,
) error {
	random := rand.New(rand.NewPCG(uint64(i), 0x5eed))
	for ctx.Err() == nil {
		begin := time.Now()
		if !begin.Before(until) {
			return nil
		}
		if err := writeBatch(dbs, fmt.Appendf(nil, "bench-%d", random.IntN(keys)), data); err != nil {
			return err
		}
		if !begin.Before(from) {
			sample.record(time.Since(begin), false, "")
		}
	}
	return ctx.Err()
}

// writeBatch writes a value to all instances, and returns when it is on the disk of each.
func writeBatch(dbs []*pebble.DB, key, data []byte) error {
	batches := make([]*pebble.Batch, len(dbs))
	for i, db := range dbs {
		batches[i] = db.NewBatch()
		if err := batches[i].Set(key, data, nil); err != nil {
			return err
		}
		if err := db.ApplyNoSyncWait(batches[i], pebble.Sync); err != nil {
			return err
		}
	}
	var err error
	for _, b := range batches {
		err = errors.Join(err, b.SyncWait(), b.Close())
	}
	return err
}

// quiet drops what Pebble says about opening and compacting; a fatal error ends the benchmark.
type quiet struct{}

// Infof implements pebble.Logger.
func (quiet) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (quiet) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger.
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
