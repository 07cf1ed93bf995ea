package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"quorate.example/raft/examples/kv/internal/api"
	"quorate.example/raft/examples/kv/internal/client"
)

// errConflict says that a condition did not hold.
var errConflict = errors.New("the condition did not hold")

func keyCommands() []command {
	return []command{
		{
			name: "put", args: "KEY [VALUE]", short: "write a key",
			long: "Without VALUE it comes from -file or from standard input. When it is unknown whether the write was\n" +
				"made it is not repeated: exit code 6.",
			flags: func(f *flag.FlagSet, x *call) {
				f.Uint64Var(&x.o.lease, "lease", 0, "`ID` of a lease that the key lives with")
				f.StringVar(&x.o.file, "file", "", "`file` that holds the value")
			},
			run: runPut,
		},
		{
			name: "get", args: "KEY", short: "print a key's value",
			flags: func(f *flag.FlagSet, x *call) {
				f.BoolVar(&x.o.stale, "stale", false, "what the member has, without asking the leader")
			},
			run: runGet,
		},
		{
			name: "del", args: "KEY", short: "delete a key",
			flags: func(f *flag.FlagSet, x *call) {
				f.Uint64Var(&x.o.revision, "revision", 0, "only if it has this `revision`")
			},
			run: runDelete,
		},
		{
			name: "list", args: "[PREFIX]", short: "list keys",
			flags: func(f *flag.FlagSet, x *call) {
				f.BoolVar(&x.o.values, "values", false, "with their values")
				f.IntVar(&x.o.limit, "limit", 0, "at most so many `keys` (0: all)")
				f.BoolVar(&x.o.stale, "stale", false, "what the member has, without asking the leader")
			},
			run: runList,
		},
		{
			name: "watch", args: "[KEY]", short: "print changes as they happen",
			long: "Without KEY and -prefix: of all keys. It goes on at another member when one goes away.",
			flags: func(f *flag.FlagSet, x *call) {
				f.StringVar(&x.o.prefix, "prefix", "", "changes of all keys with this `prefix`")
				f.Uint64Var(&x.o.revision, "revision", 0, "begin with this `revision` (0: what comes from now on)")
				f.IntVar(&x.o.count, "n", 0, "end after so many `changes`")
			},
			run: runWatch,
		},
		{
			name: "cas", args: "KEY REVISION VALUE", short: "write a key if it still has this revision",
			long: "Revision 0 means that the key must not exist. VALUE - is standard input. Exit code 4: it has another.",
			flags: func(f *flag.FlagSet, x *call) {
				f.Uint64Var(&x.o.lease, "lease", 0, "`ID` of a lease that the key lives with")
			},
			run: runCompareAndSwap,
		},
		{
			name: "txn", args: "[FILE]", short: "compare, and change several keys, as a whole",
			long: "The transaction is JSON, from FILE or from standard input:\n\n" +
				`  {"compare": [{"key": "a", "revision": 3}, {"key": "b", "is": "!=", "value": "x"}],` + "\n" +
				`   "then": [{"op": "put", "key": "a", "value": "1"}, {"op": "delete", "key": "b"}],` + "\n" +
				`   "else": [{"op": "get", "key": "a"}]}` + "\n\n" +
				"\"is\" may be =, !=, < and >; a comparison has one of revision, value and lease. A key that does not\n" +
				"exist has revision 0. The exit code is 0 whichever list was carried out.",
			run: runTxn,
		},
	}
}

// written is the answer to a write.
type written struct {
	Key      string `json:"key"`
	Revision uint64 `json:"revision"`
	Deleted  *bool  `json:"deleted,omitempty"`
}

func runPut(ctx context.Context, x *call) error {
	words, err := x.words(1, 2)
	if err != nil {
		return err
	}
	value, err := x.value(words[1:])
	if err != nil {
		return err
	}
	return x.put(ctx, words[0], value, url.Values{})
}

// value returns the value in the arguments, in -file or on standard input.
func (x *call) value(words []string) ([]byte, error) {
	switch {
	case len(words) == 1 && words[0] != "-" && x.o.file != "":
		return nil, usage("want either VALUE or -file")
	case len(words) == 1 && words[0] != "-":
		return []byte(words[0]), nil
	case x.o.file != "":
		return os.ReadFile(x.o.file)
	}
	return io.ReadAll(x.In)
}

func (x *call) put(ctx context.Context, key string, value []byte, query url.Values) error {
	if x.o.lease != 0 {
		query.Set("lease", number(x.o.lease))
	}
	var out written
	err := x.client.Do(ctx, client.Call{
		Method: http.MethodPut, Path: "/kv/" + key, Query: query, Body: value,
	}, &out)
	if err != nil {
		return err
	}
	return x.line(out, "revision %d", out.Revision)
}

func runCompareAndSwap(ctx context.Context, x *call) error {
	words, err := x.words(3, 3)
	if err != nil {
		return err
	}
	if _, err := strconv.ParseUint(words[1], 10, 64); err != nil {
		return usage("REVISION: %q is no whole number", words[1])
	}
	value, err := x.value(words[2:])
	if err != nil {
		return err
	}
	return x.put(ctx, words[0], value, url.Values{"revision": {words[1]}})
}

func runGet(ctx context.Context, x *call) error {
	words, err := x.words(1, 1)
	if err != nil {
		return err
	}
	var item api.Item
	call := client.Call{Method: http.MethodGet, Path: "/kv/" + words[0], Query: x.staleness()}
	if err := x.client.Do(ctx, call, &item); err != nil {
		return err
	}
	return x.show(item, func() error {
		value, err := item.Bytes()
		if err != nil {
			return err
		}
		if item.Encoding == "" {
			value = append(value, '\n') // text ends with a line end, bytes are as they are
		}
		_, err = x.Out.Write(value)
		return err
	})
}

func (x *call) staleness() url.Values {
	if x.o.stale {
		return url.Values{"stale": {"true"}}
	}
	return url.Values{}
}

func runDelete(ctx context.Context, x *call) error {
	words, err := x.words(1, 1)
	if err != nil {
		return err
	}
	query := url.Values{}
	if x.o.revision != 0 {
		query.Set("revision", number(x.o.revision))
	}
	var out written
	call := client.Call{Method: http.MethodDelete, Path: "/kv/" + words[0], Query: query}
	if err := x.client.Do(ctx, call, &out); err != nil {
		return err
	}
	if out.Deleted != nil && !*out.Deleted {
		return &client.StatusError{Code: http.StatusNotFound, Message: "no such key", Field: "key"}
	}
	return x.line(out, "deleted at revision %d", out.Revision)
}

func runList(ctx context.Context, x *call) error {
	words, err := x.words(0, 1)
	if err != nil {
		return err
	}
	query := x.staleness()
	if len(words) == 1 {
		query.Set("prefix", words[0])
	}
	query.Set("limit", "1000")
	if x.o.values {
		query.Set("values", "true")
	}
	all := api.Page{Items: []api.Item{}}
	for {
		var page api.Page
		if err := x.client.Do(ctx, client.Call{Method: http.MethodGet, Path: "/kv", Query: query}, &page); err != nil {
			return err
		}
		all.Items, all.Revision, all.More = append(all.Items, page.Items...), page.Revision, page.More
		if x.o.limit > 0 && len(all.Items) >= x.o.limit {
			all.More = all.More || len(all.Items) > x.o.limit
			all.Items = all.Items[:x.o.limit]
			break
		}
		if !page.More {
			break
		}
		query.Set("after", page.Items[len(page.Items)-1].Key)
	}
	return x.show(all, func() error { return x.tableOfItems(all) })
}

func (x *call) tableOfItems(page api.Page) error {
	header := "KEY REVISION"
	if x.o.values {
		header += " VALUE"
	}
	var rows [][]string
	for _, item := range page.Items {
		row := []string{item.Key, number(item.Revision)}
		if x.o.values {
			row = append(row, printable(item))
		}
		rows = append(rows, row)
	}
	return x.table(header, rows)
}

// errEnough ends a watch.
var errEnough = errors.New("enough")

func runWatch(ctx context.Context, x *call) error {
	words, err := x.words(0, 1)
	if err != nil {
		return err
	}
	o := client.WatchOptions{Prefix: x.o.prefix, From: x.o.revision}
	if len(words) == 1 {
		if o.Key = words[0]; x.o.prefix != "" {
			return usage("want either KEY or -prefix")
		}
	}
	seen := 0
	err = x.client.Watch(ctx, o, func(e client.Event) error {
		if e.Kind == "progress" {
			return nil
		}
		if err := x.show(e, func() error { return x.changed(e) }); err != nil {
			return err
		}
		if seen++; seen == x.o.count {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, context.Canceled) {
		return nil // it was told to stop
	}
	return err
}

func (x *call) changed(e client.Event) error {
	text := ""
	switch {
	case e.Kind == "put":
		text = printable(e.Item)
	case e.Expired:
		text = "(its lease ended)"
	}
	_, err := fmt.Fprintf(x.Out, "%-8d %-7s %s  %s\n", e.Revision, e.Kind, e.Key, text)
	return err
}

func runTxn(ctx context.Context, x *call) error {
	words, err := x.words(0, 1)
	if err != nil {
		return err
	}
	if len(words) == 1 && words[0] != "-" {
		x.o.file = words[0]
	}
	body, err := x.value(nil)
	if err != nil {
		return err
	}
	var out api.TxnAnswer
	if err := x.client.Do(ctx, client.Call{Method: http.MethodPost, Path: "/txn", Body: body}, &out); err != nil {
		return err
	}
	return x.show(out, func() error {
		branch := "then"
		if !out.Succeeded {
			branch = "else"
		}
		fmt.Fprintf(x.Out, "%s carried out, revision %d\n", branch, out.Revision)
		var rows [][]string
		for _, a := range out.Answers {
			rows = append(rows, []string{a.Op, a.Key, outcome(a)})
		}
		return x.table("OPERATION KEY OUTCOME", rows)
	})
}

func outcome(a api.TxnOpAnswer) string {
	switch {
	case a.Item != nil:
		return fmt.Sprintf("revision %d: %s", a.Item.Revision, printable(*a.Item))
	case a.Op == "get", a.Deleted != nil && !*a.Deleted:
		return "no such key"
	}
	return "done"
}

// ask sends a JSON body and returns the answer.
func (x *call) ask(ctx context.Context, method, path string, query url.Values, body, out any, again bool) error {
	return x.askFor(ctx, 0, method, path, query, body, out, again)
}

func (x *call) askFor(
	ctx context.Context, wait time.Duration, method, path string, query url.Values, body, out any, again bool,
) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return x.client.Do(ctx, client.Call{
		Method: method, Path: path, Query: query, Body: data, Repeatable: again, Wait: wait,
	}, out)
}
