package native

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"gameday/loadgen"
)

// wire opens connections as a stream asks for it. Its methods may be called from any goroutine.
type wire struct {
	loadgen.Wire
	tls *tls.Config
	// dial opens plain connections.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// newWire reads the files that TLS needs.
func newWire(w loadgen.Wire) (*wire, error) {
	out := &wire{Wire: w, dial: new(net.Dialer).DialContext, tls: &tls.Config{ServerName: w.TLS.ServerName,
		InsecureSkipVerify: w.TLS.Insecure,
		ClientSessionCache: tls.NewLRUClientSessionCache(1024)}}
	var errs []error
	switch w.HTTP {
	case "", loadgen.HTTP1, loadgen.HTTP2:
	default:
		errs = append(errs, fmt.Errorf("there is no HTTP version %q here: take %q or %q", w.HTTP, loadgen.HTTP1,
			loadgen.HTTP2))
	}
	if w.Fresh && w.HTTP == loadgen.HTTP2 {
		errs = append(errs, errors.New("a new connection for each iteration goes with HTTP/1.1: over HTTP/2 all "+
			"users share one"))
	}
	if w.Unix != "" && !filepath.IsAbs(w.Unix) {
		errs = append(errs, fmt.Errorf("the path of the socket %q is not absolute", w.Unix))
	}
	if w.TLS.CA != "" {
		pem, err := os.ReadFile(w.TLS.CA)
		out.tls.RootCAs = x509.NewCertPool()
		if err == nil && !out.tls.RootCAs.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%s holds no certificate in PEM", w.TLS.CA)
		}
		errs = append(errs, err)
	}
	if w.TLS.Cert != "" || w.TLS.Key != "" {
		pair, err := tls.LoadX509KeyPair(w.TLS.Cert, w.TLS.Key)
		if err != nil {
			err = fmt.Errorf("reading the client's certificate and key: %w", err)
		}
		errs = append(errs, err)
		out.tls.Certificates = []tls.Certificate{pair}
	}
	return out, errors.Join(errs...)
}

// connect opens a connection to an address, or to the stream's socket.
func (w *wire) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	if w.Unix != "" {
		network, addr = "unix", w.Unix
	}
	return w.dial(ctx, network, addr)
}

// tlsFor returns the settings for an address.
func (w *wire) tlsFor(addr string) *tls.Config {
	c := w.tls.Clone()
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(addr)
	}
	return c
}
