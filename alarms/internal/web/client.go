// Package web is the thin HTTP client that the alarm sources share: bounded in time and in size, with errors that name
// the address asked and never a credential.
package web

import (
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
	"time"
)

const (
	// bodyLimit bounds an answer; the rules of a large installation are a few MB.
	bodyLimit = 64 << 20
	// maxWait bounds how long a Retry-After header can make one question wait.
	maxWait = time.Second
	// defaultWait is the pause before the second try when the server names none.
	defaultWait = 100 * time.Millisecond
)

// Client asks one server. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	options Options
	http    *http.Client
}

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
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: o.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: o.Timeout,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	return &Client{base: base, options: o, http: &http.Client{
		Transport: transport,
		// A redirect is nearly always a login page in front of the server; following it would end in "this is not JSON".
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Get asks for a path below the client's address. An answer of 429 or 5xx is asked again once, within the same time
// limit.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (Reply, error) {
	at := *c.base
	at.Path += path
	at.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	reply, again, err := c.once(ctx, at.String())
	if err != nil && again >= 0 {
		select {
		case <-ctx.Done():
		case <-time.After(again):
			reply, _, err = c.once(ctx, at.String())
		}
	}
	if err != nil {
		at.RawQuery = ""
		return Reply{}, fmt.Errorf("GET %s: %w", at.String(), c.options.redact(c.plain(err)))
	}
	return reply, nil
}

// JSON asks for a path and decodes the answer into a value.
func (c *Client) JSON(ctx context.Context, path string, query url.Values, into any) (Reply, error) {
	reply, err := c.Get(ctx, path, query)
	if err != nil {
		return reply, err
	}
	if err := json.Unmarshal(reply.Body, into); err != nil {
		err = fmt.Errorf("GET %s: the answer is not the JSON expected (%w): %s", c.base.String()+path, err,
			excerpt(reply.Body))
		return reply, c.options.redact(err)
	}
	return reply, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// once asks once. again is how long to wait before another try is worth it, negative when it is not.
func (c *Client) once(ctx context.Context, address string) (reply Reply, again time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Reply{}, -1, err
	}
	request.Header.Set("User-Agent", UserAgent)
	request.Header.Set("Accept", "application/json, text/plain;q=0.5")
	switch {
	case c.options.Token != "":
		request.Header.Set("Authorization", "Bearer "+c.options.Token)
	case c.options.Username != "":
		request.SetBasicAuth(c.options.Username, c.options.Password)
	}
	sent := time.Now()
	response, err := c.http.Do(request)
	if err != nil {
		return Reply{}, -1, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit+1))
	if err != nil {
		return Reply{}, -1, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > bodyLimit {
		return Reply{}, -1, fmt.Errorf("the answer is larger than %d MB", bodyLimit>>20)
	}
	if response.StatusCode != http.StatusOK {
		return Reply{}, wait(response), refusal(response, body)
	}
	return Reply{Body: body, Header: response.Header, Sent: sent, Received: time.Now()}, -1, nil
}

// wait returns the pause before a second try: negative for an answer that a second try would not change.
func wait(r *http.Response) time.Duration {
	if r.StatusCode != http.StatusTooManyRequests && r.StatusCode < 500 {
		return -1
	}
	if s, err := strconv.ParseFloat(r.Header.Get("Retry-After"), 64); err == nil && s >= 0 {
		return min(maxWait, time.Duration(s*float64(time.Second)))
	}
	return defaultWait
}

// refusal words an answer that is not 200, with the next step where the status tells it.
func refusal(r *http.Response, body []byte) error {
	switch {
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: check token, or username and password", r.Status)
	case r.StatusCode >= 300 && r.StatusCode < 400:
		where := "elsewhere"
		if to, err := r.Location(); err == nil {
			where = to.Scheme + "://" + to.Host + to.Path
		}
		return fmt.Errorf("%s to %s: is a login page in front of it, or is the path of the url wrong?", r.Status, where)
	case r.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: is the url that of the right program, with its path prefix?", r.Status)
	}
	return fmt.Errorf("%s: %s", r.Status, excerpt(body))
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

// excerpt returns the beginning of a body on one line, for an error.
func excerpt(body []byte) string {
	s := strings.Join(strings.Fields(string(body[:min(len(body), 400)])), " ")
	if s == "" {
		return "empty answer"
	}
	return strconv.Quote(s[:min(len(s), 160)])
}
