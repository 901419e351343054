package native

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// origin is where requests go: a scheme, host and port. Two of the same are equal.
type origin struct {
	secure bool
	host   string // as the Host header says it
	addr   string // host:port to dial
}

// target is an origin, and what is asked of it.
type target struct {
	origin
	uri  string // path and query, as in the request line
	auth string // of an Authorization header, when the URL has a user
}

// parseTarget reads an absolute URL. Bytes that may not stand in a request line are escaped.
func parseTarget(raw string) (target, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return target{}, fmt.Errorf("%q is not a URL: %w", raw, err)
	}
	return targetOf(u, raw)
}

func targetOf(u *url.URL, raw string) (target, error) {
	t := target{uri: escape(u.RequestURI())}
	port := u.Port()
	switch u.Scheme {
	case "http":
		if port == "" {
			port = "80"
		}
	case "https":
		t.secure = true
		if port == "" {
			port = "443"
		}
	default:
		return target{}, fmt.Errorf("%q does not begin with http:// or https://", raw)
	}
	if u.Hostname() == "" {
		return target{}, fmt.Errorf("%q names no host", raw)
	}
	t.host, t.addr = escape(u.Host), net.JoinHostPort(u.Hostname(), port)
	if u.User != nil {
		word, _ := u.User.Password()
		t.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+word))
	}
	return t, nil
}

// url returns the target as a URL again, for redirects and cookies.
func (t target) url() (*url.URL, error) {
	scheme := "http://"
	if t.secure {
		scheme = "https://"
	}
	return url.Parse(scheme + t.host + t.uri)
}

// escape encodes what would break a request line or must not stand in one: spaces, controls, quotes, angle brackets, and all
// that is not ASCII. What is encoded already stays.
func escape(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if !plain(s[i]) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return string(appendEscaped(nil, s))
}

func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func plain(c byte) bool {
	return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' && c != '^' && c != '`' && c != '{' && c != '|' && c != '}'
}
