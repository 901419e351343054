// Package web is the thin HTTP client that the sources share: bounded in time, in size and in how often it asks, with errors
// that name the address asked and never a credential.
package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// bodyLimit bounds an answer; the rules of a large installation are a few MB.
	bodyLimit = 64 << 20
	// mostTries bounds how often one question is asked.
	mostTries = 6
	// defaultWait is the pause before the second try when the server names none; it doubles with each further one.
	defaultWait = 100 * time.Millisecond
)

// Client asks one server. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	options Options
	http    *http.Client

	mu   sync.Mutex
	next time.Time // before which nothing is asked, for the sake of the server's limit
}

// StatusError is an answer that is not a success.
type StatusError struct {
	Code  int           // the HTTP status
	After time.Duration // how long the server asks to wait; 0 when it does not say
	text  string
}

func (e *StatusError) Error() string { return e.text }

// Reply is a server's answer with the moments it was asked for and complete.
type Reply struct {
	Body           []byte
	Header         http.Header
	Sent, Received time.Time
}

// New returns a client. The options must be valid.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	base, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing the address: %w", o.redact(err))
	}
	base.Path = strings.TrimRight(base.Path, "/")
	var transport http.RoundTripper = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: o.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: o.Timeout,
		TLSClientConfig:     o.TLS,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if o.Transport != nil {
		transport = o.Transport
	}
	return &Client{base: base, options: o, http: &http.Client{
		Transport: transport,
		// A redirect is nearly always a login page in front of the server; following it would end in "this is not JSON".
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Get asks for a path below the client's address. An answer of 429 or 5xx is asked again, after the pause that the server
// names, as long as Options.Patience lasts and its deadline allows.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (Reply, error) {
	return c.ask(ctx, http.MethodGet, path, query, nil)
}

// Post sends a value as JSON and returns the answer. It is for questions that are posted: it is asked again like one.
func (c *Client) Post(ctx context.Context, path string, body any) (Reply, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Reply{}, fmt.Errorf("writing the question: %w", err)
	}
	return c.ask(ctx, http.MethodPost, path, nil, text)
}

// Follow asks for an address that the server gave, such as that of the next page. It must be on the client's server, for
// the credentials go there.
func (c *Client) Follow(ctx context.Context, address string) (Reply, error) {
	at, err := c.base.Parse(address)
	if err != nil || at.Scheme != c.base.Scheme || at.Host != c.base.Host {
		return Reply{}, fmt.Errorf("the next page is at %q, which is not on %s", address, c.base.Host)
	}
	return c.askAt(ctx, http.MethodGet, *at, nil)
}

func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body []byte) (Reply, error) {
	at := *c.base
	at.Path += path
	at.RawQuery = query.Encode()
	return c.askAt(ctx, method, at, body)
}

func (c *Client) askAt(ctx context.Context, method string, at url.URL, body []byte) (Reply, error) {
	if err := c.turn(ctx); err != nil {
		return Reply{}, err
	}
	limit := max(c.options.Timeout, c.options.Patience)
	whole, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reply, err := c.again(whole, method, at.String(), body, time.Now().Add(limit))
	if err != nil {
		at.RawQuery = ""
		return Reply{}, fmt.Errorf("%s %s: %w", method, at.String(), c.options.redact(c.plain(err)))
	}
	return reply, nil
}

// again asks until there is an answer, or asking on is not worth it.
func (c *Client) again(ctx context.Context, method, address string, body []byte, end time.Time) (Reply, error) {
	pause := defaultWait
	for try := 1; ; try++ {
		one, cancel := context.WithTimeout(ctx, c.options.Timeout)
		reply, err := c.once(one, method, address, body)
		cancel()
		var refused *StatusError
		if err == nil || try == mostTries || !errors.As(err, &refused) || !refused.passing() {
			return reply, err
		}
		wait := refused.After
		if wait == 0 {
			wait = pause
		}
		if time.Now().Add(wait).After(end) {
			return Reply{}, err // it would not be asked in time
		}
		pause *= 2
		select {
		case <-ctx.Done():
			return Reply{}, err
		case <-time.After(wait):
		}
		if err := c.turn(ctx); err != nil {
			return Reply{}, err
		}
	}
}

// turn waits until the server may be asked again.
func (c *Client) turn(ctx context.Context) error {
	if c.options.PerMinute <= 0 {
		return nil
	}
	c.mu.Lock()
	now := time.Now()
	at := c.next
	if at.Before(now) {
		at = now
	}
	c.next = at.Add(time.Minute / time.Duration(c.options.PerMinute))
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(at.Sub(now)):
		return nil
	}
}

// passing reports whether another try may be answered.
func (e *StatusError) passing() bool {
	return e.Code == http.StatusTooManyRequests || e.Code >= 500
}

// JSON asks for a path and decodes the answer into a value.
func (c *Client) JSON(ctx context.Context, path string, query url.Values, into any) (Reply, error) {
	reply, err := c.Get(ctx, path, query)
	if err != nil {
		return reply, err
	}
	if err := json.Unmarshal(reply.Body, into); err != nil {
		err = fmt.Errorf("GET %s: the answer is not the JSON expected (%w): %s", c.base.String()+path, err,
			c.excerpt(reply.Body))
		return reply, c.options.redact(err)
	}
	return reply, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// once asks once.
func (c *Client) once(ctx context.Context, method, address string, question []byte) (Reply, error) {
	var content io.Reader
	if question != nil {
		content = bytes.NewReader(question)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return Reply{}, err
	}
	c.head(request, question)
	sent := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return Reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit+1))
	if err != nil {
		return Reply{}, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > bodyLimit {
		return Reply{}, fmt.Errorf("the answer is larger than %d MB", bodyLimit>>20)
	}
	if response.StatusCode != http.StatusOK {
		return Reply{}, &StatusError{Code: response.StatusCode, After: after(response.Header, time.Now()), text: c.refusal(response, body)}
	}
	return Reply{Body: body, Header: response.Header, Sent: sent, Received: time.Now()}, nil
}

// head says what is asked for, of what kind the question is, and who asks.
func (c *Client) head(request *http.Request, question []byte) {
	request.Header.Set("User-Agent", UserAgent)
	request.Header.Set("Accept", cmp.Or(c.options.Accept, "application/json, text/plain;q=0.5"))
	if question != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	c.sign(request)
}

// sign adds what proves who asks.
func (c *Client) sign(request *http.Request) {
	switch {
	case c.options.Token != "":
		request.Header.Set("Authorization", "Bearer "+c.options.Token)
	case c.options.Username != "":
		request.SetBasicAuth(c.options.Username, c.options.Password)
	}
	for name, value := range c.options.Header {
		request.Header.Set(name, value)
	}
}

// after reads how long a server asks to wait: Retry-After in seconds or as a date, or the X-RateLimit-Reset of some, in
// seconds.
func after(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset", "RateLimit-Reset"} {
		text := h.Get(name)
		s, err := strconv.ParseFloat(text, 64)
		switch {
		case err == nil && s >= 0 && s < 1e9: // and not an instant
			return time.Duration(s * float64(time.Second))
		case err == nil && s >= 1e9 && s < 1e10:
			return max(0, time.Unix(int64(s), 0).Sub(now))
		}
		if at, err := http.ParseTime(text); err == nil {
			return max(0, at.Sub(now))
		}
	}
	return 0
}

// refusal words an answer that is not 200, with the next step where the status tells it.
func (c *Client) refusal(r *http.Response, body []byte) string {
	switch {
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return r.Status + ": check token, or username and password, and what they may read"
	case r.StatusCode == http.StatusTooManyRequests:
		return r.Status + ": it is asked too often; set requests_per_minute lower, or ask for less"
	case r.StatusCode >= 300 && r.StatusCode < 400:
		where := "elsewhere"
		if to, err := r.Location(); err == nil {
			where = to.Scheme + "://" + to.Host + to.Path
		}
		return fmt.Sprintf("%s to %s: is a login page in front of it, or is the path of the url wrong?", r.Status, where)
	case r.StatusCode == http.StatusNotFound:
		return r.Status + ": is the url that of the right program, with its path prefix?"
	}
	return r.Status + ": " + c.excerpt(body)
}

// plain takes the address out of net/http's error, which repeats it with its query, and words a time-out.
func (c *Client) plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", c.options.Timeout, context.DeadlineExceeded)
	}
	return err
}

// excerpt returns the beginning of a body on one line, for an error. Secrets are taken out before it is cut and quoted: half of one
// would not be found any more.
func (c *Client) excerpt(body []byte) string {
	s := strings.Join(strings.Fields(c.options.hide(string(body[:min(len(body), 64<<10)]))), " ")
	if s == "" {
		return "empty answer"
	}
	return strconv.Quote(s[:min(len(s), 160)])
}
