package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"quorate.example/raft/examples/kv/internal/store"
)

// Txn is a transaction in JSON: if all comparisons hold, Then is carried out, else Else.
type Txn struct {
	Compare []TxnCompare `json:"compare,omitempty"`
	Then    []TxnOp      `json:"then,omitempty"`
	Else    []TxnOp      `json:"else,omitempty"`
}

// TxnCompare compares one of Revision, Value and Lease of a key. A key that does not exist has revision
// 0, lease 0 and no value.
type TxnCompare struct {
	Key string `json:"key"`
	// Is is =, !=, < or >; empty means =.
	Is       string  `json:"is,omitempty"`
	Revision *uint64 `json:"revision,omitempty"`
	Value    *string `json:"value,omitempty"`
	Encoding string  `json:"encoding,omitempty"`
	Lease    *uint64 `json:"lease,omitempty"`
}

// TxnOp is one operation: put, delete or get.
type TxnOp struct {
	Op       string `json:"op"`
	Key      string `json:"key"`
	Value    string `json:"value,omitempty"`
	Encoding string `json:"encoding,omitempty"`
	Lease    uint64 `json:"lease,omitempty"`
}

// TxnAnswer is what became of a transaction.
type TxnAnswer struct {
	// Succeeded reports whether the comparisons held, so that Then was carried out.
	Succeeded bool          `json:"succeeded"`
	Revision  uint64        `json:"revision"`
	Answers   []TxnOpAnswer `json:"answers"`
}

// TxnOpAnswer is what one operation did: the item of a get (null if there is none), or whether a
// deletion found its key.
type TxnOpAnswer struct {
	Op      string `json:"op"`
	Key     string `json:"key"`
	Item    *Item  `json:"item,omitempty"`
	Deleted *bool  `json:"deleted,omitempty"`
}

const maxTxnOps = 128

var (
	opNames = map[string]store.Op{"put": store.OpPut, "delete": store.OpDelete, "get": store.TxnOpGet}
	opTexts = map[store.Op]string{store.OpPut: "put", store.OpDelete: "delete", store.TxnOpGet: "get"}
	orders  = map[string]store.Order{
		"": store.OrderEqual, "=": store.OrderEqual, "!=": store.OrderNotEqual,
		"<": store.OrderLess, ">": store.OrderGreater,
	}
)

func (s *server) txn(w http.ResponseWriter, r *request) error {
	var body Txn
	if err := r.decode(&body); err != nil {
		return err
	}
	txn, err := body.check()
	if err != nil {
		return err
	}
	result, err := s.propose(r.Context(), store.Command{Op: store.OpTxn, Txn: txn})
	if err != nil {
		return err
	}
	answer := TxnAnswer{Succeeded: result.Succeeded, Revision: result.Revision, Answers: []TxnOpAnswer{}}
	for _, x := range result.Answers {
		answer.Answers = append(answer.Answers, encodeAnswer(x))
	}
	return writeJSON(w, answer)
}

func encodeAnswer(x store.OpAnswer) TxnOpAnswer {
	out := TxnOpAnswer{Op: opTexts[x.Op], Key: x.Key}
	switch {
	case x.Op == store.OpDelete:
		out.Deleted = &x.Changed
	case x.Op == store.TxnOpGet && x.Item.Revision != 0:
		item := encodeItem(x.Item)
		out.Item = &item
	}
	return out
}

// check turns the transaction into the store's, and names the field that does not fit.
func (t Txn) check() (*store.Txn, error) {
	if len(t.Then)+len(t.Else) == 0 {
		return nil, badField("then", "want at least one operation in then or else")
	}
	out := &store.Txn{}
	if len(t.Compare) > maxTxnOps {
		return nil, badField("compare", "want at most %d", maxTxnOps)
	}
	for i, c := range t.Compare {
		x, err := c.check(fmt.Sprintf("compare[%d]", i))
		if err != nil {
			return nil, err
		}
		out.Compares = append(out.Compares, x)
	}
	var err error
	if out.Then, err = checkOps("then", t.Then); err != nil {
		return nil, err
	}
	out.Else, err = checkOps("else", t.Else)
	return out, err
}

func (c TxnCompare) check(field string) (out store.Compare, err error) {
	if err := checkKey(field+".key", c.Key); err != nil {
		return out, err
	}
	out.Key = c.Key
	order, ok := orders[c.Is]
	if !ok {
		return out, badField(field+".is", "want =, !=, < or >")
	}
	out.Order = order
	given := 0
	if c.Revision != nil {
		given++
		out.Target, out.Number = store.TargetRevision, *c.Revision
	}
	if c.Lease != nil {
		given++
		out.Target, out.Number = store.TargetLease, *c.Lease
	}
	if c.Value != nil {
		given++
		out.Target = store.TargetValue
		if out.Value, err = decodeValue(field, *c.Value, c.Encoding); err != nil {
			return out, err
		}
	}
	if given != 1 {
		return out, badField(field, "want one of revision, value and lease")
	}
	return out, nil
}

func checkOps(list string, ops []TxnOp) ([]store.TxnOp, error) {
	if len(ops) > maxTxnOps {
		return nil, badField(list, "want at most %d", maxTxnOps)
	}
	var out []store.TxnOp
	written := map[string]bool{}
	for i, x := range ops {
		field := fmt.Sprintf("%s[%d]", list, i)
		op, ok := opNames[x.Op]
		if !ok {
			return nil, badField(field+".op", "want put, delete or get")
		}
		if err := checkKey(field+".key", x.Key); err != nil {
			return nil, err
		}
		if op != store.TxnOpGet && written[x.Key] {
			return nil, badField(field+".key", "the key is written twice")
		}
		written[x.Key] = written[x.Key] || op != store.TxnOpGet
		if op != store.OpPut && (x.Value != "" || x.Encoding != "" || x.Lease != 0) {
			return nil, badField(field, "value, encoding and lease belong to put")
		}
		value, err := decodeValue(field, x.Value, x.Encoding)
		if err != nil {
			return nil, err
		}
		out = append(out, store.TxnOp{Op: op, Key: x.Key, Value: value, Lease: x.Lease})
	}
	return out, nil
}

func decodeValue(field, value, encoding string) ([]byte, error) {
	switch encoding {
	case "":
		return []byte(value), nil
	case "base64":
		data, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, badField(field+".value", "it is not base64")
		}
		return data, nil
	}
	return nil, badField(field+".encoding", "want base64 or nothing")
}

func checkKey(field, key string) error {
	switch {
	case key == "":
		return badField(field, "the key is empty")
	case len(key) > maxKeyBytes:
		return badField(field, "the key is longer than %d bytes", maxKeyBytes)
	case !utf8.ValidString(key) || strings.ContainsRune(key, utf8.RuneError):
		return badField(field, "the key is not UTF-8")
	}
	return nil
}

// propose carries out a command; what the state machine refuses is an error.
func (s *server) propose(ctx context.Context, c store.Command) (store.Result, error) {
	result, err := s.cfg.Member.Propose(ctx, c)
	if err != nil {
		return result, err
	}
	return result, refusal(result)
}

func refusal(result store.Result) error {
	switch result.Refusal {
	case "":
		return nil
	case store.RefusedNoLease:
		return &apiError{code: http.StatusNotFound, message: string(result.Refusal), field: "lease"}
	}
	return &apiError{code: http.StatusConflict, message: string(result.Refusal), field: "lease"}
}
