package alertmanager

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gameday/faults"
	"gameday/sources/web"
)

// Config says where an Alertmanager is. Durations are Go strings ("1s"). Secrets are left out of JSON and of every
// printed form.
type Config struct {
	URL      string `hcl:"url" json:"url"`
	Token    string `hcl:"token,optional" json:"-"`
	Username string `hcl:"username,optional" json:"username,omitempty"`
	Password string `hcl:"password,optional" json:"-"`
	// Receivers are the receivers whose notifications are pages; without any, those of all receivers are.
	Receivers []string `hcl:"receivers,optional" json:"receivers,omitempty"`
	Poll      string   `hcl:"poll,optional" json:"poll,omitempty"`       // pause between two looks; default "1s"
	Timeout   string   `hcl:"timeout,optional" json:"timeout,omitempty"` // of one question; default "5s"
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
func (c Config) String() string { return fmt.Sprintf("alertmanager at %s", c.URL) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// parse returns the client's options and the pause between looks.
func (c Config) parse() (web.Options, time.Duration, error) {
	timeout, timeoutErr := web.Duration("timeout", c.Timeout, web.DefaultTimeout)
	poll, pollErr := web.Duration("poll", c.Poll, DefaultPoll)
	o := web.Options{URL: c.URL, Token: c.Token, Username: c.Username, Password: c.Password, Timeout: timeout}
	err := errors.Join(o.Validate(), timeoutErr, pollErr)
	if slices.Contains(c.Receivers, "") {
		err = errors.Join(err, &faults.FieldError{Field: "receivers", Summary: "Empty receiver name",
			Detail: "Name receivers as in the Alertmanager's configuration, or leave the list out to count them all."})
	}
	return o, poll, err
}
