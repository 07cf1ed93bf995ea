package transport

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"quorate.example/raft/examples/kv/internal/tlsconf"
)

// serverCredentials are what peers that connect must pass.
func (t *Transport) serverCredentials() credentials.TransportCredentials {
	if t.cfg.TLS == nil {
		return insecure.NewCredentials()
	}
	return audited{credentials.NewTLS(t.cfg.TLS.ForPeers()), &t.audit}
}

// clientCredentials are what peer id must pass when this member connects to it.
func (t *Transport) clientCredentials(id uint64) credentials.TransportCredentials {
	if t.cfg.TLS == nil {
		return insecure.NewCredentials()
	}
	return audited{credentials.NewTLS(t.cfg.TLS.ToPeer(t.cfg.Cluster, id)), &t.audit}
}

// checkCertificate refuses a peer whose certificate is another member's.
func (t *Transport) checkCertificate(ctx context.Context, from uint64) error {
	if t.cfg.TLS == nil {
		return nil
	}
	p, _ := grpcpeer.FromContext(ctx)
	if p != nil {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			err := tlsconf.CheckMember(info.State, t.cfg.Cluster, from)
			if err == nil {
				return nil
			}
			return status.Error(codes.PermissionDenied, err.Error())
		}
	}
	return status.Error(codes.Unauthenticated, "the connection shows no certificate")
}

// audited are credentials whose refusals are logged, since the other side learns little of the reason.
type audited struct {
	credentials.TransportCredentials
	audit *audit
}

// ServerHandshake implements credentials.TransportCredentials.
func (a audited) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := a.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		a.audit.refused(host(conn.RemoteAddr()), "direction", "from", "reason", err.Error())
	}
	return c, info, err
}

// ClientHandshake implements credentials.TransportCredentials.
func (a audited) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := a.TransportCredentials.ClientHandshake(ctx, authority, conn)
	if err != nil && ctx.Err() == nil {
		a.audit.refused(conn.RemoteAddr().String(), "direction", "to", "reason", err.Error())
	}
	return c, info, err
}

// Clone implements credentials.TransportCredentials.
func (a audited) Clone() credentials.TransportCredentials {
	return audited{a.TransportCredentials.Clone(), a.audit}
}

func host(address net.Addr) string {
	h, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	return h
}

const (
	auditEvery = 10 * time.Second
	auditHosts = 256
)

// audit logs what is refused: a peer that is refused tries again many times a second, so for each remote
// there is one line in a while.
type audit struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time
}

func (a *audit) refused(remote string, fields ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if at, ok := a.last[remote]; ok && now.Sub(at) < auditEvery {
		return
	}
	if a.last == nil || len(a.last) >= auditHosts {
		a.last = map[string]time.Time{}
	}
	a.last[remote] = now
	a.log.Warn("peer refused", append([]any{"remote", remote}, fields...)...)
}
