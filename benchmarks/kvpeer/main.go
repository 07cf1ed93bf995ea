// Command kvpeer is what kv bench compares kv with: a key-value server on github.com/hashicorp/raft with its
// TCP transport and one of its two log stores, behind the same HTTP front and on the same kind of state
// machine. It takes the flags of kv serve that kv bench gives, and its own from the environment too:
//
//	go build -o peer ./benchmarks/kvpeer
//	go run ./examples/kv bench -serve-binary ./peer -clients 64 -size 1024 -rounds 5
//	KVPEER="-log wal" go run ./examples/kv bench -serve-binary ./peer
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// options are the flags of kvpeer serve.
type options struct {
	id               uint64
	data             string
	listen, http     string
	bootstrap        []raft.Server
	log              string
	inflight         int
	timeout          time.Duration
	maxBody          int64
	snapshotEntries  uint64
	snapshotInterval time.Duration
	keepEntries      uint64
	withStdin        bool
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := errors.New("want the command serve")
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		var o options
		if o, err = parse(append(strings.Fields(os.Getenv("KVPEER")), os.Args[2:]...)); err == nil {
			err = serve(ctx, o)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kvpeer:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.Uint64Var(&o.id, "id", 0, "this member's `ID`, a number other than 0")
	flags.StringVar(&o.data, "data", "", "`directory` of this member's data")
	flags.String("cluster", "kv", "`name` of the cluster; the library has no use for it")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:9001", "`address` for the other members")
	flags.StringVar(&o.http, "http", "127.0.0.1:8001", "`address` for clients")
	flags.Func("bootstrap", "first `members` of a new cluster, as 1=host:port,2=host:port,...", o.setBootstrap)
	flags.StringVar(&o.log, "log", "boltdb", "log `store`: boltdb or wal")
	flags.IntVar(&o.inflight, "inflight", raft.DefaultMaxRPCsInFlight, "`number` of appends on their way to a member")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "deadline of a client's request")
	flags.Int64Var(&o.maxBody, "max-body", 1<<20, "largest body of a request in `bytes`")
	flags.Uint64Var(&o.snapshotEntries, "snapshot-entries", 10_000, "`entries` from one snapshot to the next")
	flags.DurationVar(&o.snapshotInterval, "snapshot-interval", 2*time.Minute,
		"how often the library looks whether there are so many")
	flags.Uint64Var(&o.keepEntries, "keep-entries", 5_000, "`entries` that stay in the log behind a snapshot")
	flags.BoolVar(&o.withStdin, "exit-with-stdin", false, "stop when standard input ends, for a parent process")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.id == 0 || o.data == "" {
		return o, errors.New("-id and -data are needed")
	}
	return o, nil
}

// setBootstrap reads the flag -bootstrap.
func (o *options) setBootstrap(list string) error {
	for item := range strings.SplitSeq(list, ",") {
		name, address, ok := strings.Cut(item, "=")
		id, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil {
			return fmt.Errorf("%q: want ID=ADDRESS", item)
		}
		o.bootstrap = append(o.bootstrap, raft.Server{ID: serverID(id), Address: raft.ServerAddress(address)})
	}
	return nil
}

// serve runs a member until ctx ends or the front for clients fails.
func serve(ctx context.Context, o options) (err error) {
	if o.withStdin {
		ctx = untilStdinEnds(ctx)
	}
	var config net.ListenConfig
	clients, err := config.Listen(ctx, "tcp", o.http)
	if err != nil {
		return err
	}
	defer clients.Close()
	n, err := newNode(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	server := &http.Server{
		Handler:           newAPI(n, o),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(clients) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	shutdown, done := context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	if server.Shutdown(shutdown) != nil {
		server.Close()
	}
	return nil
}

// untilStdinEnds returns a context that ends with standard input, which is a pipe from the parent.
func untilStdinEnds(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, it has ended
		cancel()
	}()
	return ctx
}
