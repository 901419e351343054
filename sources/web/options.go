package web

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gameday/faults"
)

// UserAgent is what every request calls itself.
const UserAgent = "gameday"

// DefaultTimeout limits one try.
const DefaultTimeout = 5 * time.Second

// Options say where the server is and how to speak to it.
type Options struct {
	URL      string        // http or https, with the path prefix if there is one
	Token    string        // bearer token; never printed
	Username string        // basic auth, when there is no token
	Password string        // never printed
	Timeout  time.Duration // per try; must be positive
	// Patience is for how long a question is asked again that the server is too busy for; at least one Timeout.
	Patience time.Duration
	// PerMinute bounds how many questions are asked in a minute, evenly; 0 does not.
	PerMinute int
	// Header is sent with every question, for servers that have a way of their own to sign in. Its values are never printed.
	Header map[string]string
	// Transport carries the questions; nil is the network.
	Transport http.RoundTripper
	// Accept is the kind of answer that is asked for, for servers that insist; empty is JSON, or else text.
	Accept string
	// TLS says how the server proves who it is; nil is by the system's authorities.
	TLS *tls.Config
}

// Validate reports every mistake, each a *faults.FieldError named after the configuration's fields.
func (o Options) Validate() error {
	var errs []error
	add := func(field, summary, detail string) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: detail})
	}
	u, err := url.Parse(o.URL)
	switch {
	case o.URL == "":
		add("url", "Missing address", `Give the server's address, such as "http://127.0.0.1:9090".`)
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		add("url", "Invalid address",
			`The address must be absolute and begin with http:// or https://, such as "http://127.0.0.1:9090".`)
	case u.User != nil:
		add("url", "Credentials in the address",
			`Addresses are printed and recorded. Use username and password = secret("NAME") instead.`)
	case u.RawQuery != "" || u.Fragment != "":
		add("url", "Invalid address", "Leave out everything from the question mark or the hash sign on.")
	}
	if o.Token != "" && o.Username != "" {
		add("token", "Two ways to sign in", "Give either token, or username and password.")
	}
	if o.Password != "" && o.Username == "" {
		add("password", "Password without a username", "Give username as well.")
	}
	for _, value := range o.Header {
		if strings.ContainsAny(value, "\r\n") {
			add("token", "Invalid token", "It holds a line break. Does the environment variable end in one?")
			break
		}
	}
	if strings.ContainsAny(o.Token, "\r\n") {
		add("token", "Invalid token", "It holds a line break. Does the environment variable end in one?")
	}
	if o.Timeout <= 0 {
		add("timeout", "Invalid duration", `It must be longer than nothing, such as "5s".`)
	}
	return errors.Join(errs...)
}

// redacted is an error whose text had secrets in it; errors.Is still sees the cause.
type redacted struct {
	text  string
	cause error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.cause }

// redact replaces the secrets in an error's text: a server may send back what it was sent.
func (o Options) redact(err error) error {
	text := o.hide(err.Error())
	if text == err.Error() {
		return err
	}
	return &redacted{text: text, cause: err}
}

// hide replaces the secrets in a text.
func (o Options) hide(text string) string {
	secrets := []string{o.Token, o.Password}
	if o.Password != "" { // as it is sent
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(o.Username+":"+o.Password)))
	}
	for name, value := range o.Header {
		if name == "Accept" || name == "Content-Type" {
			continue
		}
		_, bare, _ := strings.Cut(value, " ") // as in "Token token=…"
		secrets = append(secrets, value, bare)
	}
	for _, secret := range secrets {
		if len(secret) > 3 || secret != "" && (secret == o.Token || secret == o.Password) {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

// Duration parses a configuration's duration; an empty text is def. A mistake is a *faults.FieldError.
func Duration(field, text string, def time.Duration) (time.Duration, error) {
	if text == "" {
		return def, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return def, &faults.FieldError{Field: field, Summary: "Invalid duration",
			Detail: `Write a number with a unit, longer than nothing, such as "1s" or "1m30s".`}
	}
	return d, nil
}
