package native

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// h2 sends requests over HTTP/2: over TLS as negotiated, and without TLS from the first byte. All users share its
// connections, one for each origin, or more when the server bounds how many requests one may carry. Its methods may be
// called from any goroutine.
type h2 struct {
	transport *http.Transport
}

// silence is after how long without a word from a server it is asked whether it is there, and how long it may take to say so.
const silence = 2 * time.Second

func newH2(w *wire) *h2 {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &h2{transport: &http.Transport{
		Protocols: protocols, TLSClientConfig: w.tls.Clone(), DisableCompression: true,
		// A connection that has fallen silent is left: else one that a partition swallowed would be waited for after it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: silence},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return w.connect(ctx, network, addr)
		},
	}}
}

// send makes one request.
func (h *h2) send(u *user, r *request, m message, deadline time.Time) (*answer, error) {
	ctx, cancel := context.WithDeadline(u.c.ctx, deadline)
	defer cancel()
	at, err := m.url()
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, m.method, at.String(), bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	if len(m.body) == 0 {
		q.Body, q.GetBody = nil, nil
	}
	r.lines(m, u, func(name string, value []byte) {
		if name == "Host" {
			q.Host = string(value)
			return
		}
		q.Header.Add(name, string(value))
	})
	got, err := h.transport.RoundTrip(q)
	if err != nil {
		return nil, plainError(err)
	}
	defer got.Body.Close()
	u.setCookies(m.target, got.Cookies())
	a := &answer{status: got.StatusCode, header: func(name string) string { return strings.Join(got.Header.Values(name), ", ") }}
	if !u.keeps(r) {
		_, err = io.Copy(io.Discard, got.Body)
		return a, plainError(err)
	}
	body, err := io.ReadAll(io.LimitReader(got.Body, keptBody+1))
	switch {
	case err != nil:
		return nil, plainError(err)
	case len(body) > keptBody:
		return nil, errBodyTooLong
	}
	a.body, err = decompress(body, strings.ToLower(got.Header.Get("Content-Encoding")))
	return a, err
}

// plainError makes the deadline of a context, which net/http wraps in several ways, plain.
func plainError(err error) error {
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &record):
		return errors.New("the server does not speak TLS")
	}
	return err
}
