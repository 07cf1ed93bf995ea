// Package tlsconf says who may talk to whom: mutual TLS with certificates of one authority, in which a URI
// names the cluster and the member (or client) they were made for.
//
//	quorate-kv://cluster/NAME/member/ID
//	quorate-kv://cluster/NAME/client/WHO
//
// Members recognise each other by this URI and not by host names: addresses get reused, and a proxy may
// stand between them. Clients check the host name of a member as usual.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Files are the PEM files of one party; all of them or none.
type Files struct {
	CA   string `json:"ca"`
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// Given reports whether there are any files.
func (f Files) Given() bool { return f.CA != "" || f.Cert != "" || f.Key != "" }

// Identity is one party's certificate and key, and the authority that it trusts.
type Identity struct {
	roots *x509.CertPool
	cert  tls.Certificate
}

// Load reads files. It returns nil if none are given.
func (f Files) Load() (*Identity, error) {
	if !f.Given() {
		return nil, nil
	}
	if f.CA == "" || f.Cert == "" || f.Key == "" {
		return nil, errors.New("-ca, -cert and -key belong together")
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	id := &Identity{roots: x509.NewCertPool()}
	if !id.roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", f.CA)
	}
	if id.cert, err = tls.LoadX509KeyPair(f.Cert, f.Key); err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.Cert, f.Key, err)
	}
	if id.cert.Leaf == nil {
		if id.cert.Leaf, err = x509.ParseCertificate(id.cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Cert, err)
		}
	}
	return id, nil
}

// CheckOwn returns an error unless the identity is that of a member of a cluster, so that a wrong file is
// noticed at the start and not by the others.
func (id *Identity) CheckOwn(cluster string, member uint64) error {
	return checkURI(id.cert.Leaf, memberURI(cluster, member))
}

// ForPeers is what a member presents to members that connect to it; CheckMember says which.
func (id *Identity) ForPeers() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    id.roots,
	}
}

// ToPeer is how a member connects to another one, which must be the member of the cluster.
func (id *Identity) ToPeer(cluster string, member uint64) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.cert},
		// The name in the certificate that counts is the URI, which VerifyConnection checks together
		// with the chain; the host name does not.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if err := id.verifyChain(state); err != nil {
				return err
			}
			return CheckMember(state, cluster, member)
		},
	}
}

func (id *Identity) verifyChain(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the member showed no certificate")
	}
	others := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		others.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: id.roots, Intermediates: others, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// ForClients is what a member presents to clients, who need a certificate for the same cluster.
func (id *Identity) ForClients(cluster string) *tls.Config {
	c := id.ForPeers()
	c.NextProtos = []string{"h2", "http/1.1"}
	c.VerifyConnection = func(state tls.ConnectionState) error {
		leaf := state.PeerCertificates[0]
		prefix := clusterURI(cluster).String() + "/"
		for _, uri := range leaf.URIs {
			if strings.HasPrefix(uri.String(), prefix) {
				return nil
			}
		}
		return fmt.Errorf("the certificate of %s is not for cluster %q", leaf.Subject.CommonName, cluster)
	}
	return c
}

// ToMember is how a client connects to a member.
func (id *Identity) ToMember() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{id.cert}, RootCAs: id.roots,
	}
}

// CheckMember returns an error unless the other side is the member of the cluster.
func CheckMember(state tls.ConnectionState, cluster string, member uint64) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("there is no certificate")
	}
	return checkURI(state.PeerCertificates[0], memberURI(cluster, member))
}

func checkURI(leaf *x509.Certificate, want *url.URL) error {
	var have []string
	for _, uri := range leaf.URIs {
		if uri.String() == want.String() {
			return nil
		}
		have = append(have, uri.String())
	}
	return fmt.Errorf("the certificate is for %q, want %s", have, want)
}

func clusterURI(cluster string) *url.URL {
	return &url.URL{Scheme: "quorate-kv", Host: "cluster", Path: "/" + cluster, RawPath: "/" + url.PathEscape(cluster)}
}

func memberURI(cluster string, id uint64) *url.URL {
	return clusterURI(cluster).JoinPath("member", strconv.FormatUint(id, 10))
}

func clientURI(cluster, who string) *url.URL {
	return clusterURI(cluster).JoinPath("client", url.PathEscape(who))
}
