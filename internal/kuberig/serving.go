package kuberig

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
)

// Serving returns a certificate for a server of a test's own that the API server trusts, such as a kubelet's.
func (c *Cluster) Serving(name string, addresses ...string) (tls.Certificate, error) {
	p, err := c.servers.issue(pkix.Name{CommonName: name}, addresses...)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(p.cert, p.key)
}

// KubeletTLS is how a kubelet at the cluster's address shows who it is, and whom it answers: those with a certificate of the
// cluster's.
func (c *Cluster) KubeletTLS() (*tls.Config, error) {
	cert, err := c.Serving("kubelet", Address)
	if err != nil {
		return nil, err
	}
	users := x509.NewCertPool()
	users.AddCert(c.clients.cert)
	return &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: users, ClientAuth: tls.RequireAndVerifyClientCert}, nil
}
