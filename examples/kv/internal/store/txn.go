package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
)

// Txn is compared, and changes several keys, as a whole: if all of Compares hold it carries out Then,
// else it carries out Else. All its changes share one revision.
type Txn struct {
	Compares []Compare
	Then     []TxnOp
	Else     []TxnOp
}

// Target is what of a key a comparison looks at.
type Target byte

// The targets of a comparison. A key that does not exist has revision 0, no value and lease 0.
const (
	TargetRevision Target = iota + 1
	TargetValue
	TargetLease
)

// Order is how the key's target must stand to the wanted one.
type Order byte

// The orders of a comparison.
const (
	OrderEqual Order = iota + 1
	OrderNotEqual
	OrderLess
	OrderGreater
)

// Compare is one condition of a transaction.
type Compare struct {
	Key    string
	Target Target
	Order  Order
	// Number is the wanted revision or lease, Value the wanted value.
	Number uint64
	Value  []byte
}

// TxnOpGet is the operation of a transaction that reads a key.
const TxnOpGet = OpLeaseExpire + 1

// TxnOp is one operation of a transaction: OpPut, OpDelete or TxnOpGet.
type TxnOp struct {
	Op    Op
	Key   string
	Value []byte
	Lease uint64
}

// OpAnswer is what one operation of a transaction did.
type OpAnswer struct {
	Op  Op
	Key string
	// Item is what a get found, with revision 0 if there is nothing.
	Item Item
	// Changed reports whether a put or a deletion took effect.
	Changed bool
}

func (t *Txn) append(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(t.Compares)))
	for _, c := range t.Compares {
		out = append(out, byte(c.Target), byte(c.Order))
		out = binary.AppendUvarint(out, c.Number)
		out = appendBytes(appendBytes(out, c.Key), c.Value)
	}
	for _, ops := range [][]TxnOp{t.Then, t.Else} {
		out = binary.AppendUvarint(out, uint64(len(ops)))
		for _, op := range ops {
			out = append(out, byte(op.Op))
			out = binary.AppendUvarint(out, op.Lease)
			out = appendBytes(appendBytes(out, op.Key), op.Value)
		}
	}
	return out
}

func (r *reader) txn() *Txn {
	t := &Txn{}
	for range r.count() {
		c := Compare{Target: Target(r.byte()), Order: Order(r.byte()), Number: r.number()}
		c.Key, c.Value = string(r.bytes()), r.bytes()
		r.bad = r.bad || c.Target < TargetRevision || c.Target > TargetLease ||
			c.Order < OrderEqual || c.Order > OrderGreater
		t.Compares = append(t.Compares, c)
	}
	t.Then, t.Else = r.txnOps(), r.txnOps()
	r.bad = r.bad || len(r.rest) > 0
	return t
}

func (r *reader) txnOps() []TxnOp {
	var out []TxnOp
	for range r.count() {
		op := TxnOp{Op: Op(r.byte()), Lease: r.number()}
		op.Key, op.Value = string(r.bytes()), r.bytes()
		r.bad = r.bad || op.Op != OpPut && op.Op != OpDelete && op.Op != TxnOpGet
		out = append(out, op)
	}
	return out
}

// txn carries out a transaction.
func (a *Applier) txn(c Command) (Result, error) {
	result := Result{ID: c.ID, Revision: a.revision, Succeeded: true}
	ops := c.Txn.Then
	for _, x := range c.Txn.Compares {
		holds, err := a.holds(x)
		if err != nil {
			return result, err
		}
		if !holds {
			result.Succeeded, ops = false, c.Txn.Else
			break
		}
	}
	for _, op := range ops {
		// Before anything is written: a transaction is refused as a whole.
		if op.Op == OpPut && result.Refusal == "" {
			result.Refusal = a.s.leases.mayAttach(op.Lease, op.Key)
		}
	}
	if result.Refusal != "" {
		result.Succeeded = false
		return result, nil
	}
	return a.txnOps(result, ops)
}

// txnOps carries out the operations, in their order. The revision moves with the first change.
func (a *Applier) txnOps(result Result, ops []TxnOp) (Result, error) {
	var changes []Change
	for _, op := range ops {
		answer := OpAnswer{Op: op.Op, Key: op.Key, Changed: op.Op == OpPut}
		if op.Op != OpPut {
			item, err := a.current(op.Key, op.Op == TxnOpGet)
			if err != nil {
				return result, err
			}
			answer.Changed = op.Op == OpDelete && item.Revision != 0
			if op.Op == TxnOpGet {
				answer.Item = item
			}
		}
		result.Answers = append(result.Answers, answer)
		if !answer.Changed {
			continue
		}
		change := Change{Revision: result.Revision + 1, Op: op.Op, Key: op.Key, Value: op.Value, Lease: op.Lease}
		if err := a.change(change); err != nil {
			return result, err
		}
		changes = append(changes, change)
	}
	if len(changes) == 0 {
		return result, nil
	}
	result.Changed = true
	a.revision++
	result.Revision = a.revision
	return result, a.record(changes)
}

// holds reports whether a comparison holds.
func (a *Applier) holds(c Compare) (bool, error) {
	item, err := a.current(c.Key, c.Target == TargetValue)
	if err != nil {
		return false, err
	}
	order := 0
	switch c.Target {
	case TargetRevision:
		order = cmp.Compare(item.Revision, c.Number)
	case TargetLease:
		order = cmp.Compare(a.s.leases.of(c.Key), c.Number)
	case TargetValue:
		if item.Revision == 0 {
			return c.Order == OrderNotEqual, nil // what does not exist is neither equal, less nor greater
		}
		order = bytes.Compare(item.Value, c.Value)
	}
	switch c.Order {
	case OrderEqual:
		return order == 0, nil
	case OrderNotEqual:
		return order != 0, nil
	case OrderLess:
		return order < 0, nil
	}
	return order > 0, nil
}
