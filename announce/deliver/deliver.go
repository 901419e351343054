// Package deliver sends announcements: JSON by HTTPS to chats and webhooks, and mail by SMTP. It is bounded in time, in how often it
// tries, and in what it reads; it waits for as long as a busy server asks for, follows nobody elsewhere, and no error of it has an
// address of a webhook, a password or a key in it, for those are secrets.
package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gameday/announce"
)

// Bounds of one call of Send.
const (
	mostTries      = 5
	firstWait      = time.Second // before the second try when the server names none; it doubles with each further one
	DefaultTimeout = 10 * time.Second
)

// Sender sends to channels. The zero value has no environment and one try; it is safe for concurrent use.
type Sender struct {
	// Getenv reads the variables that hold secrets. Nil reads nothing.
	Getenv func(string) string
	// Timeout bounds one try, DefaultTimeout when it is 0, and Patience all of them with the waits between.
	Timeout, Patience time.Duration
	Version           string // of gameday, for servers' logs
	// Wait waits before another try; nil waits by the clock.
	Wait func(context.Context, time.Duration) error
}

// Send tells one message to one channel. It ends when the server has taken it, when another try would not help, or when patience or
// ctx ends.
func (s *Sender) Send(ctx context.Context, c *announce.Channel, m *announce.Message) announce.Outcome {
	// Whoever comes next may have what is missing here, or what is in its place.
	if missing := s.Missing(c); len(missing) > 0 {
		return announce.Outcome{Err: errors.New(strings.Join(missing, "; "))}
	}
	secrets, err := s.secrets(c)
	if err != nil {
		return announce.Outcome{Err: err}
	}
	try := s.post
	if c.Kind == announce.Email {
		try = s.mail
	}
	out := s.repeat(ctx, func(ctx context.Context) announce.Outcome { return try(ctx, c, m, secrets) })
	out.Text = secrets.hide(out.Text)
	if out.Err != nil {
		out.Err = errors.New(secrets.hide(out.Err.Error())) // what it wraps may have secrets in it
	}
	return out
}

// repeat tries until one try succeeds or is final, or waiting for another one is not worth it.
func (s *Sender) repeat(ctx context.Context, try func(context.Context) announce.Outcome) announce.Outcome {
	end := time.Now().Add(s.Patience)
	if s.Patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(s.Patience, s.timeout()))
		defer cancel()
	}
	pause := firstWait
	for n := 1; ; n++ {
		one, cancel := context.WithTimeout(ctx, s.timeout())
		out := try(one)
		cancel()
		out.Tries = n
		if out.Err == nil || out.Final || n == mostTries || ctx.Err() != nil {
			return out
		}
		wait := max(out.After, pause)
		if !time.Now().Add(wait).Before(end) {
			return out
		}
		pause *= 2
		if s.wait(ctx, wait) != nil {
			return out
		}
	}
}

func (s *Sender) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return DefaultTimeout
}

func (s *Sender) wait(ctx context.Context, d time.Duration) error {
	if s.Wait != nil {
		return s.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Missing says what of a channel's secrets and certificates is not there, or is none, each in a clause without the secret; none when all is.
func (s *Sender) Missing(c *announce.Channel) []string {
	var out []string
	for what, secret := range map[string]announce.Secret{"address": c.Address, "secret": c.Secret} {
		if !secret.Given() {
			continue
		}
		text, err := s.resolve(secret, argument(c, what))
		switch {
		case err != nil:
			out = append(out, err.Error())
		case what == "address" && c.Kind != announce.Email:
			if err := announce.CheckAddress(text); err != nil {
				out = append(out, fmt.Sprintf("what %s holds %s", place(secret), err))
			}
		}
	}
	if c.CAFile != "" {
		if _, err := roots(c.CAFile); err != nil {
			out = append(out, err.Error())
		}
	}
	slices.Sort(out)
	return out
}

func place(s announce.Secret) string {
	if s.Text != "" {
		return "url"
	}
	return s.Where()
}

// maxSecret bounds a file with a secret.
const maxSecret = 64 << 10

// argument returns the argument of a notify block that names the file of a channel's address or secret.
func argument(c *announce.Channel, what string) string {
	switch {
	case what == "address":
		return "url_file"
	case c.Kind == announce.Email:
		return "password_file"
	}
	return "secret_file"
}

// reading words that the file of a secret cannot be read, without what stands in the place of its path: that may be the secret itself.
func reading(argument string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("reading the file that %s names: %w", argument, err)
}

// resolve reads a secret. The error names its place: the variable, or the argument that names the file.
func (s *Sender) resolve(x announce.Secret, argument string) (string, error) {
	switch {
	case x.Env != "":
		v := ""
		if s.Getenv != nil {
			v = strings.TrimSpace(s.Getenv(x.Env))
		}
		if v == "" {
			return "", fmt.Errorf("$%s is not set", x.Env)
		}
		return v, nil
	case x.File != "":
		f, err := os.Open(x.File)
		if err != nil {
			return "", reading(argument, err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxSecret))
		if err != nil {
			return "", reading(argument, err)
		}
		if v := strings.TrimSpace(string(b)); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("%s is empty", x.File)
	default:
		return x.Text, nil
	}
}

// keys are a channel's secrets, and what must not be seen of them.
type keys struct {
	address string
	secret  string
	hidden  []string // in the order in which they are taken out: the longest first
}

func (s *Sender) secrets(c *announce.Channel) (*keys, error) {
	k := &keys{}
	var err error
	if k.address, err = s.resolve(c.Address, argument(c, "address")); err != nil {
		return nil, err
	}
	if k.secret, err = s.resolve(c.Secret, argument(c, "secret")); err != nil {
		return nil, err
	}
	if k.secret != "" {
		k.hide1(k.secret)
		k.hide1(base64.StdEncoding.EncodeToString([]byte(k.secret)))
		k.hide1(base64.StdEncoding.EncodeToString([]byte("\x00" + c.Mail.Username + "\x00" + k.secret)))
	}
	if c.Address.Text == "" && k.address != "" {
		k.hideAddress()
	}
	slices.SortFunc(k.hidden, func(a, b string) int { return len(b) - len(a) })
	return k, nil
}

// leastHidden is how long a part of an address is that is taken out wherever it turns up. Shorter ones are words such as "hooks".
const leastHidden = 8

// hideAddress hides the address, its path, and their parts: some servers send back half of what they were sent.
func (k *keys) hideAddress() {
	k.hide1(k.address)
	u, err := url.Parse(k.address)
	if err != nil {
		return
	}
	for _, path := range []string{u.RequestURI(), u.Path, u.EscapedPath(), u.RawQuery} {
		if len(path) >= leastHidden {
			k.hide1(path)
		}
	}
	parts := strings.Split(u.Path, "/")
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	for _, p := range parts {
		if len(p) >= leastHidden {
			k.hide1(p)
		}
	}
}

func (k *keys) hide1(s string) {
	for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
		if form != "" && !slices.Contains(k.hidden, form) {
			k.hidden = append(k.hidden, form)
		}
	}
}

// hide takes secrets out of a text.
func (k *keys) hide(text string) string {
	for _, h := range k.hidden {
		text = strings.ReplaceAll(text, h, "***")
	}
	return text
}

// tlsConfig returns how servers are known: by the system's certificates, and those of a file.
func tlsConfig(c *announce.Channel, host string) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.CAFile == "" {
		return out, nil
	}
	var err error
	out.RootCAs, err = roots(c.CAFile)
	return out, err
}

func roots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", path)
	}
	return pool, nil
}
