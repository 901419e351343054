package kuberig

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	requestLimit = 15 * time.Second // for one request
	maxAnswer    = 32 << 20         // bytes of one answer
)

// Client asks an API server, by paths of its REST API: "/api/v1/namespaces/shop/pods/cart". It may be used by several
// goroutines at the same time.
type Client struct {
	Server string // its URL
	token  string
	http   *http.Client
}

// StatusError is an answer that is no success.
type StatusError struct {
	Code    int    // of HTTP
	Reason  string // "NotFound", "Forbidden", "Invalid"; empty where the server gives none
	Message string
}

// Error implements error.
func (e *StatusError) Error() string { return fmt.Sprintf("%d %s: %s", e.Code, e.Reason, e.Message) }

// IsCode reports whether an error is an answer with that HTTP status.
func IsCode(err error, code int) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == code
}

// NewClient returns a client for a kubeconfig that this package wrote.
func NewClient(path string) (*Client, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var k struct {
		Clusters []struct {
			Cluster struct {
				Server string
				File   string `json:"certificate-authority"`
				Data   string `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Token string
				Cert  string `json:"client-certificate-data"`
				Key   string `json:"client-key-data"`
			}
		}
	}
	if err := json.Unmarshal(text, &k); err != nil || len(k.Clusters) != 1 || len(k.Users) != 1 {
		return nil, fmt.Errorf("reading %s: it is no kubeconfig of this rig: %v", path, err)
	}
	at, who := k.Clusters[0].Cluster, k.Users[0].User
	authority, err := base64.StdEncoding.DecodeString(at.Data)
	if at.File != "" {
		authority, err = os.ReadFile(at.File)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	trust := &tls.Config{RootCAs: x509.NewCertPool()}
	trust.RootCAs.AppendCertsFromPEM(authority)
	if who.Cert != "" {
		cert, certErr := base64.StdEncoding.DecodeString(who.Cert)
		key, keyErr := base64.StdEncoding.DecodeString(who.Key)
		both, err := tls.X509KeyPair(cert, key)
		if err := errors.Join(certErr, keyErr, err); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		trust.Certificates = []tls.Certificate{both}
	}
	return &Client{Server: at.Server, token: who.Token, http: &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}}, nil
}

// Open sends a request and returns the answer with its body, for what does not end soon, such as a watch or a log. An answer
// that is no success is a *StatusError.
func (c *Client) Open(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.Server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json, */*")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	status := &StatusError{Code: response.StatusCode}
	if json.Unmarshal(text, status) != nil || status.Message == "" {
		status.Message = string(text)
	}
	status.Code = response.StatusCode
	return nil, fmt.Errorf("%s %s: %w", method, path, status)
}

// Do sends a request and decodes the JSON of its answer into out, unless that is nil.
func (c *Client) Do(method, path, contentType string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestLimit)
	defer cancel()
	response, err := c.Open(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

func (c *Client) send(method, path, contentType string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.Do(method, path, contentType, text, out)
}

// Get reads an object, or a list of them.
func (c *Client) Get(path string, out any) error { return c.Do(http.MethodGet, path, "", nil, out) }

// strict adds to a path, which may have a query, that unknown fields are refused.
func strict(path string) string {
	if strings.Contains(path, "?") {
		return path + "&fieldValidation=Strict"
	}
	return path + "?fieldValidation=Strict"
}

// Post makes an object in the collection at a path, which may have a query. What cannot be known of it is refused.
func (c *Client) Post(path string, object, out any) error {
	return c.send(http.MethodPost, strict(path), "application/json", object, out)
}

// Try is Post for trial: the server checks the object and says what would become of it, and keeps nothing.
func (c *Client) Try(path string, object, out any) error {
	return c.send(http.MethodPost, path+"?dryRun=All&fieldValidation=Strict", "application/json", object, out)
}

// PostYAML makes an object of its YAML, as Post does.
func (c *Client) PostYAML(path string, object []byte, out any) error {
	return c.Do(http.MethodPost, strict(path), "application/yaml", object, out)
}

// Patch merges JSON into an object (RFC 7396), or into a part of it: ".../pods/cart/status".
func (c *Client) Patch(path string, change, out any) error {
	return c.send(http.MethodPatch, path, "application/merge-patch+json", change, out)
}

// Delete deletes an object, at once unless its kind takes its time.
func (c *Client) Delete(path string) error {
	return c.send(http.MethodDelete, path, "application/json", map[string]any{"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}, nil)
}
