package pagerduty

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// Config says which of PagerDuty's services are the game day's. Durations are Go strings ("30s"). Secrets are left out of
// JSON and of every printed form.
type Config struct {
	URL   string `hcl:"url,optional" json:"url,omitempty"` // default https://api.pagerduty.com
	Token string `hcl:"token,optional" json:"-"`
	// Services and Teams are ids: whose incidents are read. At least one of them is needed.
	Services []string `hcl:"services,optional" json:"services,omitempty"`
	Teams    []string `hcl:"teams,optional" json:"teams,omitempty"`
	// Policy is the id of the escalation policy whose people are on call; that of the first service when it is not given.
	Policy string `hcl:"escalation_policy,optional" json:"escalation_policy,omitempty"`
	Pages  string `hcl:"pages,optional" json:"pages"` // "real" or "dry"
	// Labels are paths, as of github.com/tidwall/gjson, into what is known of an incident: see the page in docs.
	Labels map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	// Automation are the ids or names of users who never count as human.
	Automation []string `hcl:"automation,optional" json:"automation,omitempty"`
	Settle     string   `hcl:"settle,optional" json:"settle,omitempty"`   // how late an entry may appear; default "30s"
	Poll       string   `hcl:"poll,optional" json:"poll,omitempty"`       // pause between two looks while it is watched; default "10s"
	Timeout    string   `hcl:"timeout,optional" json:"timeout,omitempty"` // of one question; default "5s"
	Patience   string   `hcl:"patience,optional" json:"patience,omitempty"`
	PerMinute  int      `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"` // default 600
	Webhook    *Webhook `hcl:"webhook,block" json:"webhook,omitempty"`
}

// Webhook is where a webhook subscription of version 3 posts to.
type Webhook struct {
	Listen string `hcl:"listen" json:"listen"` // host:port
	Secret string `hcl:"secret" json:"-"`
}

// The defaults.
const (
	DefaultURL       = "https://api.pagerduty.com"
	DefaultSettle    = 30 * time.Second
	DefaultPoll      = 10 * time.Second
	DefaultPatience  = 15 * time.Second
	DefaultPerMinute = 600 // PagerDuty refuses more than 960
)

// settings is a Config, read.
type settings struct {
	services, teams  []string
	policy, pages    string
	labels           map[string]string
	automation       []string
	settle, poll     time.Duration
	patience         time.Duration
	web              web.Options
	listen, secret   string
	configuredPolicy bool
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string {
	if c.URL == "" {
		return DefaultURL
	}
	return c.URL
}

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// String prints the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("pagerduty at %s, services %s", c.Address(), strings.Join(c.Services, ", "))
}

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// String prints where it listens.
func (w Webhook) String() string { return "webhook at " + w.Listen }

// GoString prints the same.
func (w Webhook) GoString() string { return w.String() }

// identity is the form of PagerDuty's ids, which become parts of addresses.
var identity = regexp.MustCompile(`^[A-Za-z0-9]+$`)

func (c Config) parse() (settings, error) {
	var errs []error
	add := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	duration := func(field, text string, def time.Duration) time.Duration {
		d, err := web.Duration(field, text, def)
		errs = append(errs, err)
		return d
	}
	s := settings{services: slices.Clone(c.Services), teams: slices.Clone(c.Teams), policy: c.Policy, configuredPolicy: c.Policy != "",
		pages: c.Pages, labels: maps.Clone(c.Labels), automation: slices.Clone(c.Automation),
		settle: duration("settle", c.Settle, DefaultSettle), poll: duration("poll", c.Poll, DefaultPoll),
		patience: duration("patience", c.Patience, DefaultPatience)}
	// The token is an option as well so that it is taken out of errors; the header of that name goes before it.
	s.web = web.Options{URL: c.Address(), Token: c.Token, Timeout: duration("timeout", c.Timeout, web.DefaultTimeout), Patience: s.patience,
		PerMinute: c.PerMinute, Header: map[string]string{"Accept": accept, "Content-Type": "application/json", "Authorization": "Token token=" + c.Token}}
	switch {
	case c.PerMinute == 0:
		s.web.PerMinute = DefaultPerMinute
	case c.PerMinute < 0:
		add("requests_per_minute", "Invalid number", "It is how often PagerDuty may be asked in a minute, such as 300.")
	}
	if len(c.Services)+len(c.Teams) == 0 {
		add("services", "Nothing to read", `Name the services whose incidents count, by their ids: services = ["PABC123"]. The id is the last part of the service's address in the web interface.`)
	}
	for field, ids := range map[string][]string{"services": c.Services, "teams": c.Teams, "escalation_policy": {c.Policy}} {
		for _, id := range ids {
			if !identity.MatchString(id) && !(field == "escalation_policy" && id == "") {
				add(field, "Not an id", "%q is no id: it has letters and digits alone, such as PABC123. Names may change; ids do not.", id)
			}
		}
	}
	errs = append(errs, s.web.Validate(), page.CheckPages("PagerDuty", c.Pages), page.CheckPaths(c.Labels))
	if w := c.Webhook; w != nil {
		s.listen, s.secret = w.Listen, w.Secret
		if _, _, err := net.SplitHostPort(w.Listen); err != nil {
			add("listen", "Invalid address", `Write a host and a port, such as "0.0.0.0:9292".`)
		}
	}
	return s, errors.Join(errs...)
}
