package store

import (
	"sync"
	"sync/atomic"
)

// waker tells those who wait that the state changed. Without anybody waiting it costs one load.
type waker struct {
	waiting atomic.Bool
	mu      sync.Mutex
	next    chan struct{}
}

// wake ends the wait of all who have called wait.
func (w *waker) wake() {
	if !w.waiting.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil {
		close(w.next)
		w.next = nil
	}
	w.waiting.Store(false)
}

func (w *waker) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == nil {
		w.next = make(chan struct{})
		w.waiting.Store(true)
	}
	return w.next
}

// NextChange returns a channel that is closed when the state changes. Ask for it before looking at the
// state, so that no change falls between.
func (s *Store) NextChange() <-chan struct{} { return s.changes.wait() }
