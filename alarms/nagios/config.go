package nagios

import (
	"errors"
	"fmt"
	"time"

	"gameday/faults"
	"gameday/sources/web"
)

// Config says where the JSON CGIs of a Nagios are. Durations are Go strings ("5s"). Secrets are left out of JSON and of every printed form.
type Config struct {
	URL      string `hcl:"url" json:"url"` // of the folder that archivejson.cgi is in
	Username string `hcl:"username,optional" json:"username,omitempty"`
	Password string `hcl:"password,optional" json:"-"`
	// Labels are those that alarms have beside alertname, host, service and type: label → custom variable, without its
	// underscore.
	Labels map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	// Update is Nagios' status_update_interval: how often it writes down how things are.
	Update  string `hcl:"status_update_interval,optional" json:"status_update_interval,omitempty"` // default "10s"
	Poll    string `hcl:"poll,optional" json:"poll,omitempty"`                                     // pause between two looks; default "5s"
	Timeout string `hcl:"timeout,optional" json:"timeout,omitempty"`                               // of one question; default "5s"
}

// The defaults; that of Update is Nagios' own.
const (
	DefaultPoll   = 5 * time.Second
	DefaultUpdate = 10 * time.Second
)

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string { return c.URL }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, _, _, err := c.parse()
	return err
}

// String prints the configuration without its secrets.
func (c Config) String() string { return fmt.Sprintf("nagios at %s", c.URL) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

func (c Config) parse() (o web.Options, poll, update time.Duration, err error) {
	timeout, timeoutErr := web.Duration("timeout", c.Timeout, web.DefaultTimeout)
	poll, pollErr := web.Duration("poll", c.Poll, DefaultPoll)
	update, updateErr := web.Duration("status_update_interval", c.Update, DefaultUpdate)
	o = web.Options{URL: c.URL, Username: c.Username, Password: c.Password, Timeout: timeout}
	err = errors.Join(o.Validate(), timeoutErr, pollErr, updateErr)
	for label, variable := range c.Labels {
		if label == "" || variable == "" {
			err = errors.Join(err, &faults.FieldError{Field: "labels", Summary: "Empty name",
				Detail: `labels names a custom variable for each label: labels = { severity = "SEVERITY" } for _SEVERITY.`})
		}
	}
	return o, poll, update, err
}
