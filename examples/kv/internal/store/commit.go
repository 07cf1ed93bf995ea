package store

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// unsynced counts how many records stand at the end of Pebble's log without a sync behind them.
type unsynced struct{ written, synced atomic.Int64 }

// commit writes a batch, with a sync if that is wanted, or if so many records would not be synced that a power
// cut could leave what looks like a damaged log; see checkLogs.
func (s *Store) commit(b *pebble.Batch, sync bool) error {
	n := s.unsynced.written.Add(1)
	if !sync && n-s.unsynced.synced.Load() < tornRecords/2 {
		return b.Commit(pebble.NoSync)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	for {
		old := s.unsynced.synced.Load()
		if n <= old || s.unsynced.synced.CompareAndSwap(old, n) {
			return nil
		}
	}
}
