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
// batch of one value to Pebble and wait until it is on the disk. Pebble syncs once for all that wait.
func pebbleRound(ctx context.Context, load Load, parent string) (sample Sample, err error) {
	dir, err := os.MkdirTemp(parent, "kv-bench-pebble-")
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := pebble.Open(dir, &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 20, Logger: quiet{},
	})
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	from := time.Now().Add(load.Warmup)
	until := from.Add(load.For)
	data := value(load.Size)
	samples := make([]Sample, load.Clients)
	failures := make([]error, load.Clients)
	var running sync.WaitGroup
	for i := range load.Clients {
		running.Go(func() {
			samples[i] = newSample()
			failures[i] = writeBatches(ctx, db, i, load.Keys, data, &samples[i], from, until)
		})
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		return Sample{}, err
	}
	return merge(samples, load.For), ctx.Err()
}

func writeBatches(
	ctx context.Context, db *pebble.DB, i, keys int, data []byte, sample *Sample, from, until time.Time,
) error {
	random := rand.New(rand.NewPCG(uint64(i), 0x5eed))
	for ctx.Err() == nil {
		begin := time.Now()
		if !begin.Before(until) {
			return nil
		}
		b := db.NewBatch()
		if err := b.Set(fmt.Appendf(nil, "bench-%d", random.IntN(keys)), data, nil); err != nil {
			return err
		}
		if err := b.Commit(pebble.Sync); err != nil {
			return err
		}
		if !begin.Before(from) {
			sample.record(time.Since(begin), false, "")
		}
		if err := b.Close(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// quiet drops what Pebble says about opening and compacting; a fatal error ends the benchmark.
type quiet struct{}

// Infof implements pebble.Logger.
func (quiet) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (quiet) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger.
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
