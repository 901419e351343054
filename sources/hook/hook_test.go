package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const secret = "a shared secret"

// sign returns the signature of a body.
func sign(body string) string {
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(body))
	return hex.EncodeToString(sum.Sum(nil))
}

// TestPostings takes what somebody posts who may, and tells apart who may not from what cannot be read.
func TestPostings(t *testing.T) {
	plain, token := Server{}, Server{Token: "hush"}
	signed := Server{Signed: func(h http.Header, body []byte) bool { return HMAC(secret, h.Values("X-Signature"), body) }}
	for name, c := range map[string]struct {
		server  Server
		change  func(*http.Request)
		status  int
		garbled bool
	}{
		"by an address":         {plain, nil, http.StatusNoContent, false},
		"by a foreign name":     {plain, func(r *http.Request) { r.Host = "evil.example" }, http.StatusForbidden, false},
		"a form, by anybody":    {plain, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, http.StatusUnsupportedMediaType, false},
		"no token":              {token, nil, http.StatusUnauthorized, false},
		"token":                 {token, func(r *http.Request) { r.Header.Set("Authorization", "Bearer hush"); r.Host = "our.example" }, http.StatusNoContent, false},
		"token in the address":  {token, func(r *http.Request) { r.URL.RawQuery = "token=hush" }, http.StatusNoContent, false},
		"a form, by who may":    {token, func(r *http.Request) { r.URL.RawQuery = "token=hush"; r.Header.Del("Content-Type") }, http.StatusUnsupportedMediaType, true},
		"no signature":          {signed, nil, http.StatusUnauthorized, false},
		"signature":             {signed, func(r *http.Request) { r.Header.Set("X-Signature", sign("{}")) }, http.StatusNoContent, false},
		"of another body":       {signed, func(r *http.Request) { r.Header.Set("X-Signature", sign("{ }")) }, http.StatusUnauthorized, false},
		"one of two signatures": {signed, func(r *http.Request) { r.Header.Add("X-Signature", "00"); r.Header.Add("X-Signature", sign("{}")) }, http.StatusNoContent, false},
	} {
		taken, garbled := 0, false
		c.server.Take = func(body []byte, _ http.Header, received time.Time) error {
			if string(body) != "{}" || received.IsZero() {
				t.Errorf("%s: %q at %s", name, body, received)
			}
			taken++
			return nil
		}
		c.server.Garbled = func(time.Time, error) { garbled = true }
		r := httptest.NewRequest(http.MethodPost, "/any/path", strings.NewReader("{}"))
		r.Host = "127.0.0.1:9099"
		r.Header.Set("Content-Type", "application/json")
		if c.change != nil {
			c.change(r)
		}
		w := httptest.NewRecorder()
		c.server.ServeHTTP(w, r)
		if w.Code != c.status || (taken == 1) != (c.status == http.StatusNoContent) || garbled != c.garbled {
			t.Errorf("%s: %d, taken %d times, garbled %v", name, w.Code, taken, garbled)
		}
	}
}

// TestRefused tells a sender what is wrong with what it posted, and books it.
func TestRefused(t *testing.T) {
	var why error
	s := Server{Take: func([]byte, http.Header, time.Time) error { return errors.New("no alarm in it") },
		Garbled: func(_ time.Time, err error) { why = err }}
	for body, status := range map[string]int{"{}": http.StatusBadRequest, strings.Repeat("x", MostBody+1): http.StatusBadRequest} {
		why = nil
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != status || why == nil {
			t.Errorf("%.10q: %d, %v", body, w.Code, why)
		}
	}
}

// TestNothingIsSigned by nobody: a secret that was forgotten admits nobody.
func TestNothingIsSigned(t *testing.T) {
	empty := hmac.New(sha256.New, nil)
	if HMAC("", []string{hex.EncodeToString(empty.Sum(nil))}) {
		t.Error("an empty secret signs")
	}
}

// TestListens starts and stops; after that nobody listens.
func TestListens(t *testing.T) {
	s := Server{Listen: "127.0.0.1:0", Take: func([]byte, http.Header, time.Time) error { return nil }}
	address, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post("http://"+address, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusNoContent {
		t.Error(r.Status)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + address); err == nil {
		t.Error("it still listens")
	}
}
