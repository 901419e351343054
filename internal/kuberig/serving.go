package kuberig

import (
	"crypto/tls"
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
