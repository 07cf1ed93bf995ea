package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Authority makes the certificates of a cluster for trials and tests.
type Authority struct {
	dir      string
	cert     *x509.Certificate
	key      any
	validity time.Duration
}

const (
	caFile    = "ca.pem"
	caKeyFile = "ca-key.pem"
)

// NewAuthority takes the authority in dir, or makes a new one there. Certificates are valid for validity.
func NewAuthority(dir string, validity time.Duration) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, validity: validity}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.create()
	}
	if err != nil {
		return nil, err
	}
	a.key = pair.PrivateKey
	a.cert, err = x509.ParseCertificate(pair.Certificate[0])
	return a, err
}

func (a *Authority) create() error {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kv authority"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, key, err := a.issue(template, caFile, caKeyFile)
	if err != nil {
		return err
	}
	a.key = key
	a.cert, err = x509.ParseCertificate(cert)
	return err
}

// Member makes the certificate of a member, who serves at hosts (names and IP addresses), unless there
// is one.
func (a *Authority) Member(cluster string, id uint64, hosts []string) (Files, error) {
	name := fmt.Sprintf("member-%d", id)
	return a.party(name, memberURI(cluster, id), hosts)
}

// Client makes the certificate of a client, unless there is one.
func (a *Authority) Client(cluster, who string) (Files, error) {
	return a.party(who, clientURI(cluster, who), nil)
}

func (a *Authority) party(name string, uri *url.URL, hosts []string) (Files, error) {
	cert, key := name+".pem", name+"-key.pem"
	files := Files{
		CA: filepath.Join(a.dir, caFile), Cert: filepath.Join(a.dir, cert), Key: filepath.Join(a.dir, key),
	}
	if _, err := os.Stat(files.Cert); err == nil {
		return files, nil
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{uri},
	}
	if len(hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	_, _, err := a.issue(template, cert, key)
	return files, err
}

// issue signs a certificate with a key of its own, the authority's own one with itself, and writes both.
func (a *Authority) issue(template *x509.Certificate, certFile, keyFile string) ([]byte, any, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour) // clocks differ
	template.NotAfter = time.Now().Add(a.validity)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return cert, key, errors.Join(
		a.write(keyFile, "PRIVATE KEY", secret, 0o600),
		a.write(certFile, "CERTIFICATE", cert, 0o644),
	)
}

func (a *Authority) write(name, kind string, data []byte, mode os.FileMode) error {
	return os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), mode)
}
