package native

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"gameday/loadgen"
)

// maxRedirects bounds what a request may follow.
const maxRedirects = 20

// agent is the User-Agent of requests that have none of their own.
const agent = "gameday"

// request is one request of a flow, put together as far as it can be.
type request struct {
	name    string // "buy/add"
	method  string
	url     text
	base    string // put before a url that begins with "/"
	headers []header
	body    text
	timeout time.Duration

	// target is where it goes, when that is known beforehand, and known says so.
	target target
	known  bool
	// line is all of it on the wire over HTTP/1.1, when nothing in it has a gap.
	line []byte

	redirects int
	wants     wants
	extracts  []extract
	think     loadgen.Pause
	call      *call
}

// header is one header line.
type header struct {
	name  string
	value text
}

// ours are headers that are made here, from what the request is.
var ours = []string{"Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer", "Expect"}

func (p *program) request(f *flow, r loadgen.Request) (*request, error) {
	out := &request{name: where(loadgen.Flow{Name: f.name}, r), method: r.Method, base: r.Base,
		timeout: r.Timeout, redirects: r.Redirects, think: r.Think}
	if out.method == "" {
		out.method = http.MethodGet
	}
	if out.timeout == 0 {
		out.timeout = loadgen.DefaultTimeout
	}
	var errs []error
	text := func(what string, t loadgen.Text) text {
		compiled, err := p.text(f, t)
		if err != nil {
			errs = append(errs, in(what, err))
		}
		return compiled
	}
	out.url, out.body = text("url", r.URL), text("body", r.Body)
	for _, h := range r.Headers {
		name := http.CanonicalHeaderKey(h.Name)
		out.headers = append(out.headers, header{name, text("headers", h.Value)})
	}
	var err error
	if r.Call != nil {
		out.call, err = p.compileCall(f, r)
		errs = append(errs, in("grpc", err))
	}
	errs = append(errs, out.check(r), in("url", out.locate()))
	out.wants, err = compileWants(r.Expect, r.Call != nil)
	errs = append(errs, in("expect", err))
	for _, e := range r.Extract {
		compiled, err := compileExtract(f, e)
		errs = append(errs, in("extract", err))
		out.extracts = append(out.extracts, compiled)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out.assemble()
	return out, nil
}

// check finds what cannot be sent.
func (r *request) check(spec loadgen.Request) error {
	var errs []error
	if !httpguts.ValidHeaderFieldName(r.method) {
		errs = append(errs, in("method", fmt.Errorf("%q is not a method", r.method)))
	}
	if r.timeout < 0 || spec.Think.Min < 0 || spec.Think.Max < spec.Think.Min {
		errs = append(errs, errors.New("a timeout or a think time is negative, or its end comes before its begin"))
	}
	if r.redirects < 0 || r.redirects > maxRedirects {
		errs = append(errs, in("redirects", fmt.Errorf("from 0 to %d redirects can be followed, not %d",
			maxRedirects, r.redirects)))
	}
	for _, h := range r.headers {
		value, known := h.value.known()
		switch {
		case !httpguts.ValidHeaderFieldName(h.name):
			errs = append(errs, in("headers", fmt.Errorf("%q is not the name of a header", h.name)))
		case contains(ours, h.name):
			errs = append(errs, in("headers", fmt.Errorf("the header %s is set by gameday, from what the request "+
				"is", h.name)))
		case known && !httpguts.ValidHeaderFieldValue(value):
			errs = append(errs, in("headers", fmt.Errorf("the header %s has a line break or another control "+
				"character in its value", h.name)))
		}
	}
	return errors.Join(errs...)
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}

// locate finds where the request goes, as far as that is known beforehand.
func (r *request) locate() error {
	if raw, known := r.url.known(); known {
		var err error
		r.target, err = parseTarget(r.whole(raw))
		r.known = err == nil
		return err
	}
	if prefix := r.whole(r.url.prefix()); prefix != "" && !strings.HasPrefix(prefix, "http://") && !strings.HasPrefix(prefix, "https://") {
		return fmt.Errorf("its url begins with %q: it must begin with http:// or https://, or with a path when "+
			"the traffic has a base", prefix)
	}
	return nil
}

// whole puts the base before a path.
func (r *request) whole(raw string) string {
	if r.base != "" && strings.HasPrefix(raw, "/") {
		return r.base + raw
	}
	return raw
}

// assemble puts the whole request together, if nothing in it has a gap.
func (r *request) assemble() {
	body, known := r.body.known()
	if !known || !r.known || r.call != nil {
		return
	}
	for _, h := range r.headers {
		if _, known := h.value.known(); !known {
			return
		}
	}
	r.line = r.append(nil, message{target: r.target, method: r.method, body: []byte(body)}, nil)
}

// append writes a message as HTTP/1.1 has it. Gaps are filled by a user; without gaps it may be nil.
func (r *request) append(dst []byte, m message, u *user) []byte {
	dst = append(append(append(append(dst, m.method...), ' '), m.uri...), " HTTP/1.1\r\n"...)
	r.lines(m, u, func(name string, value []byte) {
		dst = append(append(append(append(dst, name...), ": "...), value...), "\r\n"...)
	})
	if len(m.body) > 0 || m.method == http.MethodPost || m.method == http.MethodPut || m.method == http.MethodPatch {
		dst = append(dst, "Content-Length: "...)
		dst = append(strconv.AppendInt(dst, int64(len(m.body)), 10), "\r\n"...)
	}
	return append(append(dst, "\r\n"...), m.body...)
}

// lines calls add with each header line of a message, Host first. The value is good until add returns.
func (r *request) lines(m message, u *user, add func(name string, value []byte)) {
	host, named, authorized := []byte(m.host), false, m.auth == ""
	for _, h := range r.headers {
		switch h.name {
		case "Host":
			if !m.away {
				host = u.append(nil, h.value)
			}
		case "User-Agent":
			named = true
		case "Authorization":
			authorized = true
		}
	}
	add("Host", host)
	if !named {
		add("User-Agent", []byte(agent))
	}
	if !authorized {
		add("Authorization", []byte(m.auth))
	}
	var value []byte
	for _, h := range r.headers {
		secret := h.name == "Authorization" || h.name == "Cookie"
		switch {
		case h.name == "Host", secret && m.away:
			continue
		case strings.HasPrefix(h.name, "Content-") && len(m.body) == 0 && m.method != r.method:
			continue // redirected to a GET, which has no body to speak of
		}
		value = u.append(value[:0], h.value)
		if h.name == "Cookie" && m.cookies != "" {
			value = append(value[:0], joinCookies(string(value), m.cookies)...)
			m.cookies = ""
		}
		add(h.name, value)
	}
	if m.cookies != "" {
		add("Cookie", []byte(m.cookies))
	}
}

// joinCookies returns the request's own cookies with those that the flow was given, which count where both have a name.
func joinCookies(own, given string) string {
	named := map[string]bool{}
	for c := range strings.SplitSeq(given, "; ") {
		name, _, _ := strings.Cut(c, "=")
		named[name] = true
	}
	var words []string
	for c := range strings.SplitSeq(own, ";") {
		c = strings.TrimSpace(c)
		if name, _, _ := strings.Cut(c, "="); c != "" && !named[name] {
			words = append(words, c)
		}
	}
	return strings.Join(append(words, given), "; ")
}

// again reports whether a request may be sent once more when its connection turns out to have been closed: methods that
// RFC 9110, section 9.2.2 calls idempotent.
func again(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
