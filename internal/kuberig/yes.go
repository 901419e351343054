package kuberig

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
)

// reviews is where whoever asks what it may do asks.
const reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// SaysYes returns the path of another kubeconfig of a service account, which leads to the cluster through a proxy of the test's own.
// That answers yes to whoever asks what it may do; everything else it passes on. So a program which asks before it does something does
// it, and the API server says what it thinks of that.
func (c *Cluster) SaysYes(t testing.TB, account string) string {
	t.Helper()
	trust := x509.NewCertPool()
	trust.AddCert(c.servers.cert)
	cert, err := c.Serving("yes", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}},
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: c.gate.address}) }}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == reviews && r.Method == http.MethodPost {
			yes(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	text, err := os.ReadFile(account)
	if err != nil {
		t.Fatal(err)
	}
	to := bytes.Replace(text, []byte("https://"+c.gate.address), []byte(server.URL), 1)
	if bytes.Equal(to, text) || !bytes.Contains(text, []byte(`"token"`)) {
		t.Fatalf("%s is not of a service account of this cluster", account)
	}
	path := strings.TrimSuffix(account, ".kubeconfig") + "-yes.kubeconfig"
	if err := os.WriteFile(path, to, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// yes answers a question with itself and a yes.
func yes(w http.ResponseWriter, r *http.Request) {
	var review object
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review["status"] = object{"allowed": true}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review) // whoever asked may be gone
}
