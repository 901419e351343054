// Package hook is where sources take what other systems post to them: bounded in size and time, from those alone who may
// post.
package hook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

// MostBody bounds one posting, in bytes.
const MostBody = 4 << 20

// Server takes postings. Fields are set before Start; its methods may be called concurrently.
type Server struct {
	Listen string // host:port; port 0 takes a free one
	// Token, when not empty, must be given by every sender: Authorization: Bearer …, or ?token=….
	Token string
	// Signed, when not nil, says whether a body is signed by who may post. It stands in for the token.
	Signed func(header http.Header, body []byte) bool
	// Take reads one posting. Its error is what the sender is told, with 400.
	Take func(body []byte, header http.Header, received time.Time) error
	// Garbled, when not nil, hears of a posting by somebody who may post that could not be read: something may be in it.
	Garbled func(received time.Time, err error)

	server *http.Server
	served chan struct{}
}

// Start listens until Stop, and returns the address.
func (s *Server) Start() (address string, err error) {
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return "", fmt.Errorf("listening for postings: %w", err)
	}
	s.served = make(chan struct{})
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(l) // it ends with Stop
	}()
	return l.Addr().String(), nil
}

// Stop ends listening, once what is under way was answered.
func (s *Server) Stop() error {
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	<-s.served
	return err
}

// ServeHTTP takes one posting, on any path. It answers 204, or says what is wrong.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	received := time.Now()
	status, err := s.take(w, r, received)
	// Whoever may post has said something that nobody understands.
	closed := s.Token != "" || s.Signed != nil
	if s.Garbled != nil && (status == http.StatusBadRequest || status == http.StatusUnsupportedMediaType && closed) {
		s.Garbled(received, err)
	}
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) take(w http.ResponseWriter, r *http.Request, received time.Time) (status int, err error) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, errors.New("this is posted: use POST")
	}
	if s.Token == "" && s.Signed == nil && !ours(r.Host) { // a foreign web page may call us by a name of its own
		return http.StatusForbidden, errors.New("without a token postings are taken under an address or localhost only")
	}
	if s.Signed == nil && !s.admits(r) {
		return http.StatusUnauthorized, errors.New("the token is missing or wrong: Authorization: Bearer …, or ?token=…")
	}
	// No foreign web page can make a browser send JSON without asking.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("send JSON, with the header Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MostBody))
	if s.Signed != nil && (err != nil || !s.Signed(r.Header, body)) {
		return http.StatusUnauthorized, errors.New("the signature is missing or wrong: is the secret that of this subscription?")
	}
	if err != nil {
		return http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
	}
	if err := s.Take(body, r.Header, received); err != nil {
		return http.StatusBadRequest, err
	}
	return 0, nil
}

// ours reports whether a request was made to an address, or to this machine by its own name.
func ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// admits reports whether a request has the token, if there is one.
func (s *Server) admits(r *http.Request) bool {
	if s.Token == "" {
		return true
	}
	given := r.URL.Query().Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		given = bearer
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(s.Token)) == 1
}

// HMAC reports whether one of the signatures is the HMAC-SHA256 of parts, one after the other, in hexadecimal. Senders give
// several while a secret is replaced. Without a secret nothing is signed.
func HMAC(secret string, signatures []string, parts ...[]byte) bool {
	if secret == "" {
		return false
	}
	sum := hmac.New(sha256.New, []byte(secret))
	for _, p := range parts {
		sum.Write(p)
	}
	want, good := sum.Sum(nil), false
	for _, s := range signatures {
		if got, err := hex.DecodeString(strings.TrimSpace(s)); err == nil && hmac.Equal(got, want) {
			good = true
		}
	}
	return good
}
