package callrig

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Server is a server without a network, as what carries a client's questions: time may be a test's own. Its methods may be called
// concurrently.
type Server struct {
	Handler http.Handler
	Ahead   time.Duration // of its clock

	mu      sync.Mutex
	mishaps []Mishap
	asked   []string
}

// Mishap is what goes wrong with one answer.
type Mishap func(*http.Response) (*http.Response, error)

// Busy is an answer of 429 that asks to wait.
func Busy(wait time.Duration) Mishap {
	return func(*http.Response) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
		return w.Result(), nil
	}
}

// Status is an answer of a status without a sense.
func Status(code int) Mishap {
	return func(*http.Response) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.WriteHeader(code)
		return w.Result(), nil
	}
}

// Cut is half of an answer.
func Cut(r *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body[:len(body)/2]))
	return r, nil
}

// Gone is no answer.
func Gone(*http.Response) (*http.Response, error) { return nil, errors.New("connection refused") }

// Next has mishaps befall the next answers, one each; nil is none.
func (s *Server) Next(m ...Mishap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mishaps = append(s.mishaps, m...)
}

// Asked returns the methods and addresses that were asked so far, and forgets them.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

// RoundTrip answers one question.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	var m Mishap
	if len(s.mishaps) > 0 {
		m, s.mishaps = s.mishaps[0], s.mishaps[1:]
	}
	s.mu.Unlock()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().Add(s.Ahead).UTC().Format(http.TimeFormat))
	s.Handler.ServeHTTP(w, r)
	answer := w.Result()
	if m == nil {
		return answer, nil
	}
	return m(answer)
}
