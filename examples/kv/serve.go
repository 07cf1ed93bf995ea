package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quorate.example/raft/examples/kv/internal/api"
	"quorate.example/raft/examples/kv/internal/cli"
	"quorate.example/raft/examples/kv/internal/expiry"
	"quorate.example/raft/examples/kv/internal/member"
	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/tlsconf"
	"quorate.example/raft/examples/kv/internal/transport"
	"quorate.example/raft/examples/kv/internal/web"
)

// serveOptions are the flags of kv serve.
type serveOptions struct {
	store     store.Options
	limits    member.Limits
	listen    string
	advertise string
	http      string
	bootstrap string
	join      bool
	via       map[string]string
	tls       tlsconf.Files
	timeout   time.Duration
	maxBody   int64
	tick      time.Duration
	verbose   bool
	pprof     bool
	withStdin bool
}

func serveCommand(ctx context.Context, args []string) error {
	var o serveOptions
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.Uint64Var(&o.store.MemberID, "id", 0, "this member's `ID`, a number other than 0")
	flags.StringVar(&o.store.Dir, "data", "", "`directory` of this member's data")
	flags.StringVar(&o.store.Cluster, "cluster", "kv", "`name` that all members of the cluster share")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:9001", "`address` for the other members")
	flags.StringVar(&o.advertise, "advertise", "", "`address` at which they reach it, if it is another one")
	flags.StringVar(&o.http, "http", "127.0.0.1:8001", "`address` for clients")
	flags.StringVar(&o.bootstrap, "bootstrap", "",
		"first `members` of a new cluster, as 1=host:port,2=host:port,...; ignored once there is data")
	flags.BoolVar(&o.join, "join", false, "with no data yet, wait to be added to an existing cluster")
	flags.Func("via", "reach a member at another `address`, as host:port=host:port,... (for proxies in tests)", o.setVia)
	tlsFlags(flags, &o.tls)
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "deadline of a client's request")
	flags.Int64Var(&o.maxBody, "max-body", 1<<20, "largest body of a request in `bytes`")
	flags.DurationVar(&o.tick, "tick", 100*time.Millisecond, "heartbeat interval; elections take 10 to 20")
	flags.Uint64Var(&o.limits.SnapshotEntries, "snapshot-entries", 10_000, "`entries` from one snapshot to the next")
	flags.IntVar(&o.limits.SnapshotBytes, "snapshot-bytes", 64<<20, "`bytes` of log from one snapshot to the next")
	flags.Uint64Var(&o.limits.KeepEntries, "keep-entries", 5_000, "`entries` that stay in the log behind a snapshot")
	flags.IntVar(&o.limits.KeepBytes, "keep-bytes", 32<<20, "`bytes` of log that stay behind a snapshot")
	flags.DurationVar(&o.limits.GatherTime, "gather", 300*time.Microsecond,
		"how long writes wait for one another when there are many")
	flags.BoolVar(&o.verbose, "v", false, "log more")
	flags.BoolVar(&o.pprof, "pprof", false, "serve Go's profiles of this process at "+profilePath+", to clients")
	flags.BoolVar(&o.withStdin, "exit-with-stdin", false, "stop when standard input ends, for a parent process")
	if err := parse(flags, args); err != nil {
		return err
	}
	peers, err := o.check()
	if err != nil {
		fmt.Fprintln(flags.Output(), "kv serve:", err)
		return errUsage
	}
	return serve(ctx, o, peers)
}

// check returns the members to begin with.
func (o *serveOptions) check() (map[uint64]string, error) {
	switch {
	case o.store.MemberID == 0:
		return nil, errors.New("-id is missing")
	case o.store.Dir == "":
		return nil, errors.New("-data is missing")
	case o.maxBody <= 0 || o.maxBody > 32<<20:
		return nil, errors.New("-max-body: want 1 to 33554432")
	case o.tick < 10*time.Millisecond:
		return nil, errors.New("-tick: want at least 10ms")
	}
	if o.bootstrap == "" {
		return nil, nil
	}
	peers, err := cli.ParseMembers(o.bootstrap)
	if err != nil {
		return nil, fmt.Errorf("-bootstrap: %w", err)
	}
	if peers[o.store.MemberID] == "" {
		return nil, fmt.Errorf("-bootstrap: member %d is not in it", o.store.MemberID)
	}
	return peers, nil
}

// tlsFlags adds the flags for mutual TLS.
func tlsFlags(flags *flag.FlagSet, files *tlsconf.Files) {
	flags.StringVar(&files.CA, "ca", "", "PEM `file` of the authority for members and clients: turns on mutual TLS")
	flags.StringVar(&files.Cert, "cert", "", "PEM `file` of this member's certificate")
	flags.StringVar(&files.Key, "key", "", "PEM `file` of its key")
}

// setVia reads the flag -via.
func (o *serveOptions) setVia(list string) error {
	o.via = map[string]string{}
	for item := range strings.SplitSeq(list, ",") {
		address, proxy, ok := strings.Cut(item, "=")
		if !ok {
			return fmt.Errorf("%q: want ADDRESS=PROXY", item)
		}
		o.via[address] = proxy
	}
	return nil
}

// serve runs a member until ctx ends or something fails.
func serve(ctx context.Context, o serveOptions, bootstrap map[uint64]string) (err error) {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	identity, err := o.tls.Load()
	if err != nil {
		return err
	}
	if identity != nil {
		if err := identity.CheckOwn(o.store.Cluster, o.store.MemberID); err != nil {
			return fmt.Errorf("%s: %w", o.tls.Cert, err)
		}
	}
	forPeers, err := listen(ctx, o.listen)
	if err != nil {
		return err
	}
	defer forPeers.Close()
	forClients, err := listen(ctx, o.http)
	if err != nil {
		return err
	}
	defer forClients.Close()
	st, err := store.Open(o.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if st.Empty() && len(bootstrap) == 0 && !o.join {
		// A member that has lost its data must not come back as if nothing had happened: it has
		// forgotten its votes and what it acknowledged.
		return fmt.Errorf("%s holds no data: -bootstrap begins a new cluster, -join waits to be added to one",
			o.store.Dir)
	}
	if identity != nil {
		forClients = tls.NewListener(forClients, identity.ForClients(o.store.Cluster))
	}
	s, err := newService(o, st, log, bootstrap, identity)
	if err != nil {
		return err
	}
	defer s.peers.Close()
	log.Info("serving", "member", o.store.MemberID, "peers", o.listen, "clients", o.http)
	if o.withStdin {
		ctx = untilStdinEnds(ctx)
	}
	return s.run(ctx, forPeers, forClients)
}

// service is the parts of a running member.
type service struct {
	member   *member.Member
	store    *store.Store
	peers    *transport.Transport
	clients  *http.Server
	stopping chan struct{}
}

func newService(
	o serveOptions, st *store.Store, log *slog.Logger, bootstrap map[uint64]string, identity *tlsconf.Identity,
) (*service, error) {
	meters := metrics.New(strconv.FormatUint(o.store.MemberID, 10))
	m, err := member.New(member.Config{
		ID: o.store.MemberID, Store: st, Metrics: meters, Logger: log, Bootstrap: bootstrap, Tick: o.tick,
		Limits: o.limits,
	})
	if err != nil {
		return nil, err
	}
	if o.advertise == "" {
		o.advertise = o.listen
	}
	peers := transport.New(transport.Config{
		MemberID: o.store.MemberID, Address: o.advertise, Cluster: o.store.Cluster, Via: o.via, Metrics: meters,
		TLS: identity, Logger: log,
	}, m)
	stopping := make(chan struct{})
	handler := web.Handler(api.New(api.Config{
		Member: m, Store: st, Metrics: meters, Timeout: o.timeout, MaxBody: o.maxBody, Stopping: stopping,
	}))
	if o.pprof {
		handler = withProfiles(handler)
	}
	clients := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
	return &service{member: m, store: st, peers: peers, clients: clients, stopping: stopping}, nil
}

// run runs all parts until ctx or the first of them ends, and then ends the others. The loop goes
// first: from then on every request is answered at once.
func (s *service) run(parent context.Context, forPeers, forClients net.Listener) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	looped := make(chan struct{})
	go func() {
		defer close(looped)
		cancel(s.member.Run(ctx, s.peers))
	}()
	expired := make(chan struct{})
	go func() {
		defer close(expired)
		expiry.Run(ctx, s.member, s.store)
	}()
	go func() { cancel(s.peers.Serve(forPeers)) }()
	go func() { cancel(s.clients.Serve(forClients)) }()
	<-ctx.Done()
	close(s.stopping)
	<-looped
	<-expired
	shutdown, done := context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	if s.clients.Shutdown(shutdown) != nil {
		s.clients.Close()
	}
	if parent.Err() != nil {
		return nil // it was told to stop
	}
	return context.Cause(ctx)
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

// listen waits a little for an address that is still in use: a member that died a moment ago, or a
// connection that happens to have this port.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	for deadline := time.Now().Add(5 * time.Second); ; {
		l, err := config.Listen(ctx, "tcp", address)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
