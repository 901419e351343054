package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// mostTries bounds how often one request is sent.
	mostTries = 5
	// firstPause is that before the second try where the server names none; it doubles with each further one.
	firstPause = 500 * time.Millisecond
	// longestPause bounds how long a server may have us wait.
	longestPause = 30 * time.Second
	// tryLimit bounds one try.
	tryLimit = 15 * time.Second
	// answerLimit bounds an answer, in bytes.
	answerLimit = 8 << 20
)

// Destination is where to send to, and how to sign in there.
type Destination struct {
	URL   string
	Token string // sent as "Authorization: Bearer …" unless Header has one; never printed
	// Header is sent with every request: X-Scope-OrgID, or another way to sign in. Its values are never printed.
	Header http.Header
	// TokenFrom and HeaderFrom name the environment variables that both came from, for what is said when they are refused.
	TokenFrom, HeaderFrom string
	// Transport sends requests; nil is one of its own.
	Transport http.RoundTripper
}

// ParseHeader reads headers as they stand in an environment variable: name=value pairs with commas between them, the
// values percent-encoded, which is how OTEL_EXPORTER_OTLP_HEADERS has them. Errors name no value.
func ParseHeader(text string) (http.Header, error) {
	h := http.Header{}
	for i, pair := range strings.Split(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, raw, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(raw))
		if !ok || name == "" || strings.ContainsFunc(name, notInName) {
			return nil, fmt.Errorf("header %d is not name=value", i+1)
		}
		if err != nil || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("the value of header %s is not percent-encoded text on one line", name)
		}
		h.Add(name, value)
	}
	return h, nil
}

func notInName(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// CheckURL refuses an address that cannot be sent to, or that has a secret in it: command lines are seen by others.
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New(`the address must be absolute and begin with http:// or https://`)
	case u.User != nil:
		return nil, errors.New("the address has a user or a password in it; give them in the environment")
	case u.Fragment != "":
		return nil, errors.New("leave out everything from the hash sign on")
	}
	return u, nil
}

// sender sends requests to one destination.
type sender struct {
	Destination
	http *http.Client
}

func newSender(d Destination) (*sender, error) {
	if _, err := CheckURL(d.URL); err != nil {
		return nil, err
	}
	if strings.ContainsAny(d.Token, "\r\n") {
		return nil, fmt.Errorf("the token in %s holds a line break", d.TokenFrom)
	}
	if d.Transport == nil {
		d.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: tryLimit,
			DialContext: (&net.Dialer{Timeout: tryLimit}).DialContext, IdleConnTimeout: tryLimit, ForceAttemptHTTP2: true}
	}
	// A redirect is nearly always a login page, and what signs in belongs to nobody else.
	return &sender{d, &http.Client{Transport: d.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func (s *sender) close() { s.http.CloseIdleConnections() }

// request is one request.
type request struct {
	method, url string
	body        []byte
	header      http.Header
	// passing says for which statuses the same may be sent again.
	passing func(status int) bool
	// once says that it must not be sent again, for it may have been done although no answer came.
	once bool
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	after  time.Duration // that the server asks to wait; 0 when it does not say
	body   []byte
	text   string
	again  bool // the same may be accepted later
}

func (r *refusal) Error() string { return r.text }

// unanswered is a request of which nobody knows what became.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// busy are the statuses after which Prometheus' and Grafana's APIs may be asked again.
func busy(status int) bool { return status == http.StatusTooManyRequests || status >= 500 }

// send sends a request until it is accepted, or it is not worth to go on. Waits end with the context.
func (s *sender) send(ctx context.Context, r request) ([]byte, http.Header, error) {
	pause := firstPause
	for try := 1; ; try++ {
		body, header, err := s.try(ctx, r)
		if err == nil {
			return body, header, nil
		}
		var no *refusal
		var lost unanswered
		passing := errors.As(err, &no) && no.again || errors.As(err, &lost)
		if !passing || r.once || try == mostTries || ctx.Err() != nil {
			if passing && try > 1 {
				err = fmt.Errorf("after %d tries: %w", try, err)
			}
			return nil, nil, err
		}
		if err := wait(ctx, err, pause); err != nil {
			return nil, nil, err
		}
		pause *= 2
	}
}

// wait waits before another try, for as long as the server asks for. It gives up when that is too long.
func wait(ctx context.Context, cause error, pause time.Duration) error {
	var no *refusal
	if errors.As(cause, &no) && no.after > 0 {
		pause = no.after
		if pause > longestPause {
			return fmt.Errorf("%w (it asks to wait for %s, which is too long; try again then)", cause, pause.Round(time.Second))
		}
	}
	timer := time.NewTimer(min(pause, longestPause))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w (given up: %w)", cause, context.Cause(ctx))
	case <-timer.C:
		return nil
	}
}

// try sends a request once.
func (s *sender) try(ctx context.Context, r request) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, nil, s.redact(err)
	}
	q.Header = r.header.Clone()
	if q.Header == nil {
		q.Header = http.Header{}
	}
	q.Header.Set("User-Agent", "gameday")
	if s.Token != "" {
		q.Header.Set("Authorization", "Bearer "+s.Token)
	}
	for name, values := range s.Header {
		q.Header[http.CanonicalHeaderKey(name)] = values
	}
	answer, err := s.http.Do(q)
	if err != nil {
		return nil, nil, unanswered{s.redact(s.plain(r, err))}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit+1))
	switch {
	case err != nil:
		return nil, nil, unanswered{s.redact(fmt.Errorf("%s %s: the answer was cut off: %w", r.method, r.where(), err))}
	case len(body) > answerLimit:
		return nil, nil, fmt.Errorf("%s %s: the answer is larger than %d MB", r.method, r.where(), answerLimit>>20)
	case answer.StatusCode/100 != 2:
		return nil, nil, s.refused(r, answer, body)
	}
	return body, answer.Header, nil
}

// where is the request's address without its query.
func (r request) where() string {
	at, _, _ := strings.Cut(r.url, "?")
	return at
}

// plain words an error of net/http, without the address that it repeats with its query.
func (s *sender) plain(r request, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s: %w", tryLimit, context.DeadlineExceeded)
	}
	return fmt.Errorf("%s %s: %w", r.method, r.where(), err)
}

func (s *sender) refused(r request, a *http.Response, body []byte) error {
	no := &refusal{status: a.StatusCode, after: retryAfter(a.Header, time.Now()), body: body}
	no.again = r.passing != nil && r.passing(a.StatusCode)
	text := excerpt(body)
	switch {
	case a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden:
		text += ". " + s.signIn()
	case a.StatusCode >= 300 && a.StatusCode < 400:
		text = "it leads elsewhere. Is a login page in front of it, or is the path of the address wrong?"
	case a.StatusCode == http.StatusNotFound || a.StatusCode == http.StatusMethodNotAllowed:
		text += ". Is the path of the address right, and is what takes this switched on there?"
	}
	no.text = s.clean(fmt.Sprintf("%s %s: %s: %s", r.method, r.where(), a.Status, text))
	return no
}

// signIn says what to do about credentials that were refused.
func (s *sender) signIn() string {
	if s.Token == "" && len(s.Header) == 0 {
		return fmt.Sprintf("Nothing was sent to sign in with: set %s or %s", s.TokenFrom, s.HeaderFrom)
	}
	if s.Token == "" {
		return fmt.Sprintf("Are the headers in %s right, and may they write there?", s.HeaderFrom)
	}
	return fmt.Sprintf("Is the token in %s right, and may it write there?", s.TokenFrom)
}

// retryAfter reads how long a server asks to wait: in seconds, or until a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseFloat(text, 64); err == nil && n > 0 && n < 1e9 {
		return time.Duration(n * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// excerpt returns the beginning of an answer on one line.
func excerpt(body []byte) string {
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), 600)]), "")), " ")
	if s == "" {
		return "empty answer"
	}
	return strconv.Quote(string([]rune(s)[:min(len([]rune(s)), 300)]))
}

// clean takes what signs in out of a text: a server may send back what it was sent.
func (s *sender) clean(text string) string {
	secrets := []string{s.Token}
	for _, values := range s.Header {
		for _, v := range values {
			_, bare, _ := strings.Cut(v, " ") // as in "Basic …"
			secrets = append(secrets, v, bare)
		}
	}
	for _, secret := range secrets {
		if len(secret) > 3 || secret != "" && secret == s.Token {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

// redact is clean for an error; errors.Is still sees its cause.
func (s *sender) redact(err error) error {
	if text := s.clean(err.Error()); text != err.Error() {
		return &redacted{text, err}
	}
	return err
}

type redacted struct {
	text  string
	cause error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.cause }
