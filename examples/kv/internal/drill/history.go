package drill

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// A key's history stays short, so that checking it takes no time, however long the drill is: after so
// many operations, or so many whose outcome nobody knows, clients turn to a new key.
const (
	liveKeys      = 8
	opsOfKey      = 150
	unknownsOfKey = 4
)

// verb is what a client asks of a key.
type verb int

const (
	verbGet verb = iota
	verbPut
	verbCAS
)

// input is a request. Every put and every compare-and-swap writes a value of its own.
type input struct {
	Verb   verb   `json:"verb"`
	Value  string `json:"value,omitempty"`
	Expect uint64 `json:"expect,omitempty"` // the revision that a compare-and-swap wants
}

// output is the answer. Revision is what the write made, what the read found, or what was in the way
// of a compare-and-swap; 0 means that the key did not exist.
type output struct {
	Unknown  bool   `json:"unknown,omitempty"`
	Conflict bool   `json:"conflict,omitempty"`
	Value    string `json:"value,omitempty"`
	Revision uint64 `json:"revision,omitempty"`
}

// keyHistory is everything that was asked of one key.
type keyHistory struct {
	name string

	mu       sync.Mutex
	ops      []porcupine.Operation
	pending  int
	begun    int
	unknowns int
	retired  bool
	revision uint64 // the newest that some client saw, for compare-and-swap
}

// history is what all clients did.
type history struct {
	begin   time.Time
	retired func(*keyHistory) // called when a key is used no more

	mu   sync.Mutex
	live []*keyHistory
	all  []*keyHistory
}

func newHistory(retired func(*keyHistory)) *history {
	h := &history{begin: time.Now(), retired: retired}
	for range liveKeys {
		h.live = append(h.live, h.newKey())
	}
	return h
}

// newKey makes the next key. The caller holds the lock, or nobody else knows h yet.
func (h *history) newKey() *keyHistory {
	k := &keyHistory{name: fmt.Sprintf("drill/key-%06d", len(h.all))}
	h.all = append(h.all, k)
	return k
}

func (h *history) now() int64 { return time.Since(h.begin).Nanoseconds() }

// pending is a request on its way.
type pending struct {
	h      *history
	key    *keyHistory
	client int
	in     input
	call   int64
}

// call notes that a client is about to send a request about some live key.
func (h *history) call(client int, in input, random *rand.Rand) *pending {
	h.mu.Lock()
	defer h.mu.Unlock()
	slot := random.IntN(len(h.live))
	k := h.live[slot]
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending++
	k.begun++
	if in.Verb == verbCAS {
		in.Expect = k.revision
	}
	if k.begun >= opsOfKey || k.unknowns >= unknownsOfKey {
		k.retired = true
		h.live[slot] = h.newKey()
	}
	return &pending{h: h, key: k, client: client, in: in, call: h.now()}
}

// drop forgets a request that changed nothing for certain.
func (p *pending) drop() { p.end(nil) }

// answer notes an answer, or that nobody knows the outcome.
func (p *pending) answer(out output) { p.end(&out) }

func (p *pending) end(out *output) {
	k := p.key
	k.mu.Lock()
	defer func() {
		over := k.retired && k.pending == 0
		k.mu.Unlock()
		if over {
			p.h.retired(k)
		}
	}()
	k.pending--
	if out == nil {
		return
	}
	op := porcupine.Operation{
		ClientId: p.client, Input: p.in, Output: *out, Call: p.call, Return: p.h.now(),
	}
	if out.Unknown {
		op.Return = math.MaxInt64 // it may still happen, at any time
		k.unknowns++
	}
	k.ops = append(k.ops, op)
	k.revision = max(k.revision, out.Revision)
}

// snapshot returns the operations that have ended.
func (k *keyHistory) snapshot() []porcupine.Operation {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]porcupine.Operation(nil), k.ops...)
}

// keys returns all keys that were ever used.
func (h *history) keys() []*keyHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*keyHistory(nil), h.all...)
}

// finalRead adds what a member had of a key after everything was over.
func (k *keyHistory) finalRead(client int, call, ret int64, out output) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ops = append(k.ops, porcupine.Operation{
		ClientId: client, Input: input{Verb: verbGet}, Output: out, Call: call, Return: ret,
	})
}
