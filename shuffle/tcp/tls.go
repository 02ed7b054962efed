package tcp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"
)

// identity makes a daemon's certificate when it is first needed. It is thrown away with the process and nobody trusts it: that the right daemon answers
// is proved by the application's secret, for this very TLS connection.
type identity func() (*tls.Certificate, error)

func newIdentity() identity { return sync.OnceValues(newCertificate) }

func newCertificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} // it has no name: nobody looks at one
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// config is what both sides of a TLS connection have in common. Neither resumes one: each has a key exchange of its own.
func config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true}
}

// dial begins TLS as who dialled.
func (w *wire) dial() error {
	c := config()
	c.InsecureSkipVerify = true // the proof of an application's secret stands in its place; see auth.BindTLS
	w.cork = &cork{TCPConn: w.sock}
	w.tls = tls.Client(w.cork, c)
	if err := w.tls.Handshake(); err != nil {
		return fmt.Errorf("no TLS with who answers there: %w; where it is a daemon, install the same version of weft on all nodes", err)
	}
	return nil
}

// accept begins TLS as who listens.
func (w *wire) accept(id identity) error {
	c := config()
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id() }
	w.cork = &cork{TCPConn: w.sock}
	w.tls = tls.Server(w.cork, c)
	if err := w.tls.Handshake(); err != nil {
		return fmt.Errorf("no TLS with who dialled: %w", err)
	}
	return nil
}
