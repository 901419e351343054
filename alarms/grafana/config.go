package grafana

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/sources/web"
)

// Config says where a Grafana is. Durations are Go strings ("5s"). Secrets are left out of JSON and of every printed form.
type Config struct {
	URL      string `hcl:"url" json:"url"`
	Token    string `hcl:"token,optional" json:"-"` // of a service account
	Username string `hcl:"username,optional" json:"username,omitempty"`
	Password string `hcl:"password,optional" json:"-"`
	// Receivers are the contact points whose notifications are pages; without any, those of all are.
	Receivers []string `hcl:"receivers,optional" json:"receivers,omitempty"`
	// NoDataIsQuiet names alarms whose rule has no data when all is well, as a count of errors has none without errors.
	NoDataIsQuiet []string `hcl:"no_data_is_quiet,optional" json:"no_data_is_quiet,omitempty"`
	// Hosted says that somebody else sees to it that the rules are evaluated, as Grafana Cloud does.
	Hosted    bool   `hcl:"hosted,optional" json:"hosted,omitempty"`
	Namespace string `hcl:"namespace,optional" json:"namespace,omitempty"` // of the notification history; "default", "org-2", "stacks-123"
	Poll      string `hcl:"poll,optional" json:"poll,omitempty"`           // pause between two looks; default "5s"
	Settle    string `hcl:"settle,optional" json:"settle,omitempty"`       // after which its history is complete; default "1m"
	Timeout   string `hcl:"timeout,optional" json:"timeout,omitempty"`     // of one question; default "5s"
	PerMinute int    `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"`
}

const (
	// DefaultPoll is the pause between two looks: a rule is evaluated every ten seconds at the most.
	DefaultPoll = 5 * time.Second
	// DefaultSettle is how long a change may take until the state history has it: Grafana tries to write one for a minute.
	DefaultSettle = time.Minute
	// patience is for how long a question is asked again that the server is too busy for.
	patience = 10 * time.Second
)

// settings are a config's, read.
type settings struct {
	web          web.Options
	poll, settle time.Duration
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string { return c.URL }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// String prints the configuration without its secrets.
func (c Config) String() string { return fmt.Sprintf("grafana at %s", c.URL) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// parse reads the settings.
func (c Config) parse() (settings, error) {
	var errs []error
	duration := func(field, text string, def time.Duration) time.Duration {
		d, err := web.Duration(field, text, def)
		errs = append(errs, err)
		return d
	}
	s := settings{poll: duration("poll", c.Poll, DefaultPoll), settle: duration("settle", c.Settle, DefaultSettle)}
	s.web = web.Options{URL: c.URL, Token: c.Token, Username: c.Username, Password: c.Password, Patience: patience, PerMinute: c.PerMinute,
		Timeout: duration("timeout", c.Timeout, web.DefaultTimeout)}
	errs = append(errs, s.web.Validate())
	if slices.Contains(c.Receivers, "") {
		errs = append(errs, &faults.FieldError{Field: "receivers", Summary: "Empty contact point",
			Detail: "Name contact points as in Grafana, or leave the list out to count them all."})
	}
	if c.PerMinute < 0 {
		errs = append(errs, &faults.FieldError{Field: "requests_per_minute", Summary: "Invalid number", Detail: "It must not be negative. Leave it out for no limit."})
	}
	if strings.ContainsAny(c.Namespace, "/?#% ") {
		errs = append(errs, &faults.FieldError{Field: "namespace", Summary: "Invalid namespace",
			Detail: `It is "default" for the first organisation, "org-2" for the second, "stacks-123" in Grafana Cloud.`})
	}
	return s, errors.Join(errs...)
}
