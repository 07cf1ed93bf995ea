package transport_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"quorate.example/raft/examples/kv/internal/metrics"
	"quorate.example/raft/examples/kv/internal/store"
	"quorate.example/raft/examples/kv/internal/tlsconf"
	"quorate.example/raft/examples/kv/internal/transport"
	pb "quorate.example/raft/raftpb"
)

// logBook is a log that several goroutines write.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startSecure runs member id of a cluster with the given certificate.
func startSecure(t *testing.T, id uint64, cluster string, files tlsconf.Files) (*member, *logBook) {
	t.Helper()
	identity, err := files.Load()
	require.NoError(t, err)
	s, err := store.Open(store.Options{Dir: "data", FS: vfs.NewMem()})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &member{
		store: s, address: l.Addr().String(),
		received: make(chan pb.Message, 10), snapshots: make(chan pb.Message, 1),
	}
	book := &logBook{}
	m.transport = transport.New(transport.Config{
		MemberID: id, Address: m.address, Cluster: cluster, Metrics: metrics.New(fmt.Sprint(id)),
		TLS: identity, Logger: slog.New(slog.NewTextHandler(book, nil)),
	}, m)
	go m.transport.Serve(l)
	t.Cleanup(func() {
		m.transport.Close()
		require.NoError(t, s.Close())
	})
	return m, book
}

// sendUntil sends heartbeats to member 2 until done.
func sendUntil(t *testing.T, from *member, id uint64, done func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		from.transport.Send([]pb.Message{{Type: pb.MsgHeartbeat, From: id, To: 2}})
		return done()
	}, patience, 5*time.Millisecond)
}

// Claim: members with certificates of one authority for their cluster and ID talk; others are refused,
// with a line in the log that says why.
func TestCertificateMustFit(t *testing.T) {
	authority := func() *tlsconf.Authority {
		a, err := tlsconf.NewAuthority(t.TempDir(), time.Hour)
		require.NoError(t, err)
		return a
	}
	cert := func(a *tlsconf.Authority, cluster string, id uint64) tlsconf.Files {
		files, err := a.Member(cluster, id, []string{"127.0.0.1"})
		require.NoError(t, err)
		return files
	}
	ours := authority()
	good, _ := startSecure(t, 1, "x", cert(ours, "x", 1))
	two, book := startSecure(t, 2, "x", cert(ours, "x", 2))
	peers := map[uint64]string{2: two.address}
	good.transport.SetPeers(peers)
	sendUntil(t, good, 1, func() bool { return len(two.received) > 0 })
	for len(two.received) > 0 {
		<-two.received
	}
	client, err := ours.Client("x", "somebody")
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		files tlsconf.Files
		want  string
	}{
		{"another member's certificate", cert(ours, "x", 7), "member/7"},
		{"another cluster's certificate", cert(ours, "y", 3), "cluster/y/member/3"},
		{"another authority's certificate", cert(authority(), "x", 3), "tls: "},
		{"a client's certificate", client, "client/somebody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad, _ := startSecure(t, 3, "x", c.files)
			two, book := startSecure(t, 2, "x", cert(ours, "x", 2))
			bad.transport.SetPeers(map[uint64]string{2: two.address})
			sendUntil(t, bad, 3, func() bool { return bytes.Contains([]byte(book.String()), []byte("peer refused")) })
			require.Contains(t, book.String(), c.want)
			require.Empty(t, two.received)
		})
	}
	require.NotContains(t, book.String(), "peer refused")
}

// Claim: messages in the name of another member are refused.
func TestMessagesInAnotherNameAreRefused(t *testing.T) {
	a, b := start(t, 1, "x", 0), start(t, 2, "x", 10)
	a.transport.SetPeers(map[uint64]string{2: b.address})
	sendUntil(t, a, 5, func() bool { return a.losses() > 0 })
	require.Empty(t, b.received)
}
