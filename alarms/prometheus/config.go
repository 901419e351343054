package prometheus

import (
	"errors"
	"fmt"
	"time"

	"gameday/sources/web"
)

// Config says where a Prometheus is, or anything that answers its API: Thanos, Mimir, Cortex, vmalert. Durations are Go
// strings ("1s"). Secrets are left out of JSON and of every printed form.
type Config struct {
	URL      string `hcl:"url" json:"url"`
	Token    string `hcl:"token,optional" json:"-"`
	Username string `hcl:"username,optional" json:"username,omitempty"`
	Password string `hcl:"password,optional" json:"-"`
	Poll     string `hcl:"poll,optional" json:"poll,omitempty"`       // pause between two looks; default "1s"
	Timeout  string `hcl:"timeout,optional" json:"timeout,omitempty"` // of one question; default "5s"
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string { return c.URL }

// DefaultPoll is the pause between two looks.
const DefaultPoll = time.Second

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, _, err := c.parse()
	return err
}

// String prints the configuration without its secrets.
func (c Config) String() string { return fmt.Sprintf("prometheus at %s", c.URL) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// parse returns the client's options and the pause between looks.
func (c Config) parse() (web.Options, time.Duration, error) {
	timeout, timeoutErr := web.Duration("timeout", c.Timeout, web.DefaultTimeout)
	poll, pollErr := web.Duration("poll", c.Poll, DefaultPoll)
	o := web.Options{URL: c.URL, Token: c.Token, Username: c.Username, Password: c.Password, Timeout: timeout}
	return o, poll, errors.Join(o.Validate(), timeoutErr, pollErr)
}
