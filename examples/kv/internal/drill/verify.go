package drill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/anishathalye/porcupine"

	"quorate.example/raft/examples/kv/internal/local"
)

// checkRetired checks a key that is used no more, beside everything else.
func (d *drill) checkRetired(k *keyHistory) {
	d.checking.Go(func() {
		d.busy <- struct{}{}
		defer func() { <-d.busy }()
		if err := d.check(k); err != nil {
			d.cancel(err)
		}
	})
}

// check checks one key, and leaves the evidence if no order explains it.
func (d *drill) check(k *keyHistory) error {
	ops := k.snapshot()
	switch checkKey(ops) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("the history of %s (%d operations) could not be checked in %v", k.name, len(ops), checkLimit)
	}
	files, err := writeEvidence(d.Dir, k.name, ops)
	return errors.Join(violation("what clients saw of %s has no order that explains it: %s", k.name, files), err)
}

// writeEvidence writes a key's history, as JSON and as a picture.
func writeEvidence(dir, key string, ops []porcupine.Operation) (string, error) {
	base := filepath.Join(dir, strings.ReplaceAll(key, "/", "-"))
	f, err := os.Create(base + ".jsonl")
	if err != nil {
		return "", err
	}
	defer f.Close()
	encoder := json.NewEncoder(f)
	for _, op := range ops {
		line := map[string]any{
			"client": op.ClientId, "call": op.Call, "input": op.Input, "output": op.Output,
		}
		if op.Return != math.MaxInt64 {
			line["return"] = op.Return
		}
		if err := encoder.Encode(line); err != nil {
			return "", err
		}
	}
	_, info := porcupine.CheckOperationsVerbose(model, ops, checkLimit)
	return base + ".jsonl, " + base + ".html", porcupine.VisualizePath(model, info, base+".html")
}

// verify looks at all members after the last fault is healed.
func (d *drill) verify(ctx context.Context) error {
	if err := d.settle(ctx); err != nil {
		return err
	}
	states := make([]state, len(d.cluster.slots))
	failures := make([]error, len(states))
	var reading sync.WaitGroup
	for i, s := range d.cluster.slots {
		reading.Go(func() { states[i], failures[i] = d.read(ctx, s) })
	}
	reading.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	d.report.Keys, d.report.Digest = len(states[0].items), states[0].digest
	for i, s := range states {
		if s.digest != states[0].digest {
			return violation("%s and %s differ: %d keys with digest %s, %d keys with digest %s",
				d.cluster.slots[0], d.cluster.slots[i],
				len(states[0].items), states[0].digest, len(s.items), s.digest)
		}
	}
	if err := missing(d.clients.ledger, states); err != nil {
		return err
	}
	return d.checkAll(states)
}

// missing returns an error if a member lacks a key that was acknowledged.
func missing(ledger []string, states []state) error {
	for i, s := range states {
		lost, example := 0, ""
		for _, key := range ledger {
			if s.items[key].Value != key {
				lost++
				example = key
			}
		}
		if lost > 0 {
			return violation("the member in slot %d lacks %d of %d acknowledged keys, such as %s",
				i+1, lost, len(ledger), example)
		}
	}
	return nil
}

// checkAll adds what each member has at the end to the history of each key, and checks it whole.
func (d *drill) checkAll(states []state) error {
	for _, k := range d.history.keys() {
		for i, s := range states {
			found := s.items[k.name]
			k.finalRead(d.Clients+i, s.call, s.ret, output{Value: found.Value, Revision: found.Revision})
		}
		if err := d.check(k); err != nil {
			return err
		}
		d.report.Operations += int64(len(k.ops))
		d.report.HistoryKeys++
	}
	return nil
}

// settle returns when all members have applied the same.
func (d *drill) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	var last []local.Status
	err := local.Until(ctx, func() bool {
		last = last[:0]
		for _, s := range d.cluster.slots {
			st, err := local.FetchStatus(ctx, d.cluster.api.http, s.now().HTTP)
			if err != nil {
				return false
			}
			last = append(last, st)
		}
		for _, st := range last {
			if st.Applied != last[0].Commit || st.Commit != last[0].Commit || st.Leader == 0 {
				return false
			}
		}
		return true
	})
	if err != nil && ctx.Err() != nil && context.Cause(ctx) == context.DeadlineExceeded {
		return violation("%v after the last fault the members have not caught up: %+v", recoverLimit, last)
	}
	return err
}

// state is everything that a member has.
type state struct {
	items     map[string]item
	digest    string
	call, ret int64
}

// read reads everything from one member.
func (d *drill) read(ctx context.Context, s *slot) (state, error) {
	out := state{items: map[string]item{}, call: d.history.now()}
	hash := sha256.New()
	var failure error
	err := d.cluster.api.list(ctx, s.now().HTTP, func(x item) {
		text, err := x.text()
		failure = errors.Join(failure, err)
		fmt.Fprintf(hash, "%d %s %d %s %d\n", len(x.Key), x.Key, len(text), text, x.Revision)
		x.Value = text
		out.items[x.Key] = x
	})
	out.ret = d.history.now()
	out.digest = hex.EncodeToString(hash.Sum(nil))
	return out, errors.Join(err, failure)
}
