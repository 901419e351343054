package incidentio

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"gameday/faults"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// Config says which of an organisation's incidents are the game day's. Durations are Go strings ("30s"). Secrets are left
// out of JSON and of every printed form.
type Config struct {
	URL   string `hcl:"url,optional" json:"url,omitempty"` // default https://api.incident.io
	Token string `hcl:"token,optional" json:"-"`
	// Types are the ids of the types of incidents that count, and Paths those of the escalation paths; all, without any.
	Types []string `hcl:"incident_types,optional" json:"incident_types,omitempty"`
	Paths []string `hcl:"escalation_paths,optional" json:"escalation_paths,omitempty"`
	Pages string   `hcl:"pages,optional" json:"pages"` // "real" or "dry"
	// Labels are paths, as of github.com/tidwall/gjson, into what is known of an incident: see the page in docs.
	Labels map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	// Automation are the ids or names of users who never count as human.
	Automation []string `hcl:"automation,optional" json:"automation,omitempty"`
	Settle     string   `hcl:"settle,optional" json:"settle,omitempty"`   // how late an entry may appear; default "30s"
	Poll       string   `hcl:"poll,optional" json:"poll,omitempty"`       // pause between two looks while it is watched; default "10s"
	Timeout    string   `hcl:"timeout,optional" json:"timeout,omitempty"` // of one question; default "5s"
	Patience   string   `hcl:"patience,optional" json:"patience,omitempty"`
	PerMinute  int      `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"` // default 600
}

// The defaults.
const (
	DefaultURL       = "https://api.incident.io"
	DefaultSettle    = 30 * time.Second
	DefaultPoll      = 10 * time.Second
	DefaultPatience  = 15 * time.Second
	DefaultPerMinute = 600 // incident.io refuses more than 1200
)

// settings is a Config, read.
type settings struct {
	types, paths []string
	pages        string
	labels       map[string]string
	automation   []string
	settle, poll time.Duration
	web          web.Options
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
func (c Config) String() string { return "incident_io at " + c.Address() }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// identity is the form of incident.io's ids.
var identity = regexp.MustCompile(`^[A-Za-z0-9]+$`)

func (c Config) parse() (settings, error) {
	var errs []error
	duration := func(field, text string, def time.Duration) time.Duration {
		d, err := web.Duration(field, text, def)
		errs = append(errs, err)
		return d
	}
	s := settings{types: slices.Clone(c.Types), paths: slices.Clone(c.Paths), pages: c.Pages, labels: maps.Clone(c.Labels), automation: slices.Clone(c.Automation),
		settle: duration("settle", c.Settle, DefaultSettle), poll: duration("poll", c.Poll, DefaultPoll)}
	s.web = web.Options{URL: c.Address(), Token: c.Token, PerMinute: c.PerMinute, Timeout: duration("timeout", c.Timeout, web.DefaultTimeout),
		Patience: duration("patience", c.Patience, DefaultPatience)}
	switch {
	case c.PerMinute == 0:
		s.web.PerMinute = DefaultPerMinute
	case c.PerMinute < 0:
		errs = append(errs, &faults.FieldError{Field: "requests_per_minute", Summary: "Invalid number",
			Detail: "It is how often incident.io may be asked in a minute, such as 300."})
	}
	for field, ids := range map[string][]string{"incident_types": c.Types, "escalation_paths": c.Paths} {
		for _, id := range ids {
			if !identity.MatchString(id) {
				errs = append(errs, &faults.FieldError{Field: field, Summary: "Not an id",
					Detail: fmt.Sprintf("%q is no id: it has letters and digits alone, such as 01FCNDV6P870EA6S7TK1DSYDG0. Names may change; ids do not.", id)})
			}
		}
	}
	errs = append(errs, s.web.Validate(), page.CheckPages("incident.io", c.Pages), page.CheckPaths(c.Labels))
	return s, errors.Join(errs...)
}
