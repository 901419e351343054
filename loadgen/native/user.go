package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
	"golang.org/x/net/http/httpguts"

	"gameday/loadgen"
)

// errLeft is why a request ended that was under way when the run was stopped.
var errLeft = errors.New("interrupted")

// user is a virtual user: it runs one iteration after the other, each a flow. Only leave may be called from elsewhere.
type user struct {
	c *crew

	// of the iteration
	number uint64
	id     string
	values []string
	jar    *cookiejar.Jar

	mu    sync.Mutex // guards conns, for leave
	conns []*conn
	left  bool

	out  []byte // a request being put together
	text []byte
	got  []byte // a body
}

// iterate runs one iteration, which should have begun at an instant.
func (u *user) iterate(intended time.Time) {
	began := time.Now()
	delay := max(0, began.Sub(intended))
	u.number = u.c.segment.Nth(u.c.number.Add(1))
	f := u.c.program.pick(u.number)
	u.c.begun(began, delay)
	u.id, u.jar = "", nil
	if len(f.values) > 0 {
		u.values = append(u.values[:0], make([]string, len(f.values))...)
	}
	end, cut := began, false
	for i, r := range f.requests {
		if cut = u.c.interrupted(); cut {
			break
		}
		right, err := u.request(r, end, delay, &end)
		if cut = errors.Is(err, errLeft); cut || !right {
			break
		}
		if r.think.Max > 0 && i < len(f.requests)-1 {
			if cut = !u.pause(r.think); cut {
				break
			}
			end = time.Now()
		}
	}
	if u.c.wire.Fresh {
		u.hangUp()
	}
	u.c.ended(end, cut)
}

// request makes one request and counts it. right says that the flow goes on.
func (u *user) request(r *request, began time.Time, delay time.Duration, end *time.Time) (right bool, err error) {
	a, err := u.exchange(r, began)
	now := time.Now()
	*end = now
	if u.c.interrupted() && err != nil {
		return false, errLeft
	}
	var passed, failed uint64
	why := ""
	if err != nil {
		why = u.c.words(err)
	} else if passed, failed, why = r.wants.check(a); why == "" {
		why = u.take(r, a)
	}
	u.c.answered(now, delay, now.Sub(began), why == "", passed, failed)
	if why != "" {
		u.c.complain(r, why)
	}
	return why == "", nil
}

// take keeps what later requests of the flow use of an answer, and tells what is missing.
func (u *user) take(r *request, a *answer) (why string) {
	for _, e := range r.extracts {
		value, missing := e.from(a)
		if missing != "" {
			return missing
		}
		u.values[e.slot] = value
	}
	return ""
}

// exchange sends a request, follows redirects, and returns the answer. The answer is good until the next exchange.
func (u *user) exchange(r *request, began time.Time) (*answer, error) {
	deadline := began.Add(r.timeout)
	if r.call != nil {
		return u.c.calls.invoke(u, r, deadline)
	}
	if r.line != nil && u.jar == nil && u.c.h2 == nil && r.redirects == 0 {
		return u.send(r, r.method, r.target, r.line, deadline)
	}
	t, err := u.targetOf(r)
	if err != nil {
		return nil, err
	}
	home, method, body := t.origin, r.method, u.append(nil, r.body)
	for hop := 0; ; hop++ {
		a, err := u.hop(r, message{method: method, target: t, body: body, away: t.origin != home}, deadline)
		if err != nil || r.redirects == 0 {
			return a, err
		}
		next, moved := redirect(a, method)
		switch {
		case !moved, hop == r.redirects && len(r.wants.status) > 0:
			return a, nil
		case hop == r.redirects:
			return nil, fmt.Errorf("redirected more than %d times", r.redirects)
		}
		if t, err = follow(t, a.header("Location")); err != nil {
			return nil, err
		}
		if next != method {
			method, body = next, nil
		}
	}
}

// message is one request on its way, of which redirects may change everything.
type message struct {
	target
	method  string
	body    []byte
	cookies string // of a Cookie header, instead of the request's own; "" is none
	away    bool   // to another origin than the request's own, which gets none of its credentials
}

// hop makes one request of an exchange, with the cookies that the flow has been given.
func (u *user) hop(r *request, m message, deadline time.Time) (*answer, error) {
	m.cookies = u.cookies(m.target)
	if err := u.lines(r); err != nil {
		return nil, err
	}
	if u.c.h2 != nil {
		return u.c.h2.send(u, r, m, deadline)
	}
	u.out = r.append(u.out[:0], m, u)
	return u.send(r, m.method, m.target, u.out, deadline)
}

// lines refuses header values in which a gap was filled with a line break: they would make other headers.
func (u *user) lines(r *request) error {
	for _, h := range r.headers {
		if _, known := h.value.known(); known {
			continue
		}
		if u.text = u.append(u.text[:0], h.value); !httpguts.ValidHeaderFieldValue(string(u.text)) {
			return fmt.Errorf("the header %s has a line break or another control character where a gap was filled", h.name)
		}
	}
	return nil
}

// targetOf fills the gaps of a request's URL.
func (u *user) targetOf(r *request) (target, error) {
	if r.known {
		return r.target, nil
	}
	u.text = u.append(u.text[:0], r.url)
	return parseTarget(r.whole(string(appendEscaped(nil, string(u.text)))))
}

// send sends a request over HTTP/1.1 and reads its answer.
func (u *user) send(r *request, method string, t target, line []byte, deadline time.Time) (*answer, error) {
	for {
		c, used, err := u.connection(t.origin, deadline)
		if err != nil {
			return nil, err
		}
		early, err := c.roundTrip(line, deadline)
		if err == nil {
			return u.read(c, r, method, t)
		}
		c.Close()
		if early && used && again(method) && !u.c.interrupted() && time.Now().Before(deadline) {
			continue // the server had closed the connection meanwhile, as it may
		}
		return nil, err
	}
}

// read reads the body, and what is needed of the answer.
func (u *user) read(c *conn, r *request, method string, t target) (*answer, error) {
	a := &u.c.plain
	needs := r.wants.readsBody() || len(r.wants.headers) > 0 || len(r.extracts) > 0 || r.redirects > 0
	if needs || c.head.StatusCode() != http.StatusOK {
		a = &answer{status: c.head.StatusCode(), header: func(name string) string { return joined(c.head.PeekAll(name)) }}
	}
	keep := u.keeps(r)
	encoding := ""
	if keep {
		encoding = strings.ToLower(string(c.head.ContentEncoding()))
	}
	u.keepCookies(t, &c.head)
	body, err := c.body(method, keep, u.got)
	c.last = time.Now()
	if u.got = body; cap(body) > mostIdle {
		u.got = nil // a large body is not kept for the rest of the user's life
	}
	if err == nil && keep {
		a.body, err = decompress(body, encoding)
	}
	return a, err
}

// keeps reports whether the body of an answer is looked at.
func (u *user) keeps(r *request) bool {
	if r.wants.readsBody() {
		return true
	}
	for _, e := range r.extracts {
		if e.readsBody() {
			return true
		}
	}
	return false
}

func joined(values [][]byte) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return string(values[0])
	}
	var words []string
	for _, v := range values {
		words = append(words, string(v))
	}
	return strings.Join(words, ", ")
}

// mostIdle is how large a buffer a user keeps between requests, in bytes.
const mostIdle = 1 << 20

// maxConns bounds the connections of one user: a flow may reach as many hosts as its URLs have gaps for.
const maxConns = 32

// connection returns the user's connection to an origin, or opens one. used says that it has answered before.
func (u *user) connection(o origin, deadline time.Time) (c *conn, used bool, err error) {
	if c := u.kept(o); c != nil {
		if !c.last.IsZero() && c.usable(time.Now()) {
			return c, true, nil
		}
		u.drop(c)
	}
	c, err = u.c.wire.open(u.c.ctx, o, deadline)
	if err != nil {
		return nil, false, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left {
		c.Close()
		return nil, false, errLeft
	}
	if len(u.conns) == maxConns {
		u.conns[0].Close()
		u.conns = slices.Delete(u.conns, 0, 1)
	}
	u.conns = append(u.conns, c)
	return c, false, nil
}

// kept returns the connection to an origin, or nil.
func (u *user) kept(o origin) *conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.conns {
		if c.origin == o {
			return c
		}
	}
	return nil
}

// drop closes a connection and forgets it.
func (u *user) drop(c *conn) {
	c.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conns = slices.DeleteFunc(u.conns, func(o *conn) bool { return o == c })
}

// hangUp closes the user's connections.
func (u *user) hangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.conns {
		c.Close()
	}
	u.conns = u.conns[:0]
}

// leave interrupts what the user is doing, for good. It may be called from any goroutine.
func (u *user) leave() {
	u.mu.Lock()
	u.left = true
	u.mu.Unlock()
	u.hangUp()
}

// pause waits as a reader does; false when the run ends meanwhile.
func (u *user) pause(p loadgen.Pause) bool {
	wait := p.Min
	if p.Max > p.Min {
		wait += rand.N(p.Max - p.Min + 1)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-u.c.ctx.Done():
		return false
	}
}

// append appends a text with its gaps filled. Without a user there are none.
func (u *user) append(dst []byte, t text) []byte {
	for _, p := range t {
		switch p.gap {
		case noGap:
			dst = append(dst, p.literal...)
		case valueGap:
			dst = appendValue(dst, u.values[p.slot], p.place)
		case dataGap:
			dst = appendValue(dst, u.c.program.data[p.slot].row(u.number)[p.column], p.place)
		case numberGap:
			dst = strconv.AppendUint(dst, u.number, 10)
		case idGap:
			if u.id == "" {
				u.id = uuid.NewString()
			}
			dst = append(dst, u.id...)
		}
	}
	return dst
}

// appendValue appends a value so that it stays one where it stands.
func appendValue(dst []byte, v string, place loadgen.Place) []byte {
	switch place {
	case loadgen.InQuery:
		return append(dst, url.QueryEscape(v)...)
	case loadgen.InPath:
		return append(dst, url.PathEscape(v)...)
	case loadgen.InJSON:
		text, err := json.Marshal(v)
		if err == nil && len(text) >= 2 {
			return append(dst, text[1:len(text)-1]...)
		}
	}
	return append(dst, v...)
}

// cookies returns what a Cookie header says to a target, and "" when the flow was given none for it.
func (u *user) cookies(t target) string {
	if u.jar == nil {
		return ""
	}
	at, err := t.url()
	if err != nil {
		return ""
	}
	var words []string
	for _, c := range u.jar.Cookies(at) {
		words = append(words, c.Name+"="+c.Value)
	}
	return strings.Join(words, "; ")
}

// keepCookies keeps what an answer over HTTP/1.1 sets.
func (u *user) keepCookies(t target, head *fasthttp.ResponseHeader) {
	var h http.Header
	for _, line := range head.Cookies() {
		if h == nil {
			h = http.Header{}
		}
		h.Add("Set-Cookie", string(line))
	}
	if h != nil {
		u.setCookies(t, (&http.Response{Header: h}).Cookies())
	}
}

// setCookies keeps cookies for the flow's later requests. They are forgotten at its end: the next iteration is another user's.
func (u *user) setCookies(t target, list []*http.Cookie) {
	at, err := t.url()
	if err != nil || len(list) == 0 {
		return
	}
	if u.jar == nil {
		u.jar, _ = cookiejar.New(nil) // its error is always nil
	}
	u.jar.SetCookies(at, list)
}

// redirect reports whether an answer sends on, and by which method, as browsers do it (RFC 9110, section 15.4).
func redirect(a *answer, method string) (next string, moved bool) {
	if a.header == nil || a.header("Location") == "" {
		return method, false
	}
	switch a.status {
	case http.StatusMovedPermanently, http.StatusFound:
		if method == http.MethodPost {
			return http.MethodGet, true
		}
		return method, true
	case http.StatusSeeOther:
		if method != http.MethodHead {
			return http.MethodGet, true
		}
		return method, true
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return method, true
	}
	return method, false
}

// follow returns where a Location leads from a target.
func follow(t target, location string) (target, error) {
	from, err := t.url()
	if err != nil {
		return t, err
	}
	to, err := from.Parse(location)
	if err != nil {
		return t, fmt.Errorf("redirected to %q: %w", location, err)
	}
	next, err := targetOf(to, to.String())
	if err != nil {
		return t, fmt.Errorf("redirected: %w", err)
	}
	if next.origin == t.origin && next.auth == "" {
		next.auth = t.auth
	}
	return next, nil
}
