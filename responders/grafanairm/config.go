package grafanairm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// Config says where a Grafana IRM is and which of its alert groups count. Durations are Go strings ("10s"). Secrets are left out of
// JSON and of every printed form.
type Config struct {
	URL   string `hcl:"url" json:"url"`                    // of its API, without /api/v1
	Token string `hcl:"token" json:"-"`                    // an API key of OnCall, or a service account's token
	Stack string `hcl:"stack,optional" json:"stack"`       // the Grafana's own address, which a service account's token needs
	Pages string `hcl:"pages,optional" json:"pages"`       // "real" or "dry"
	Integ string `hcl:"integration,optional" json:"integ"` // only groups of this integration, by its id
	Route string `hcl:"route,optional" json:"route"`       // only groups of this route
	Team  string `hcl:"team,optional" json:"team"`         // only groups of this team
	// Schedules are the ids of the schedules whose people are on call, one for each level.
	Schedules []string `hcl:"schedules,optional" json:"schedules,omitempty"`
	// Notifies says that the escalation chain notifies somebody so soon after a group was opened.
	Notifies   string            `hcl:"notifies_within,optional" json:"notifies_within,omitempty"`
	Labels     map[string]string `hcl:"labels,optional" json:"labels,omitempty"`         // label of the alarm → path in the alert group's JSON
	Automation []string          `hcl:"automation,optional" json:"automation,omitempty"` // user names or ids that are no people
	Poll       string            `hcl:"poll,optional" json:"poll,omitempty"`             // pause between two looks; default "10s"
	Settle     string            `hcl:"settle,optional" json:"settle,omitempty"`         // after which what happened is told; default "1m"
	Timeout    string            `hcl:"timeout,optional" json:"timeout,omitempty"`       // of one question; default "10s"
	PerMinute  int               `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"`
}

const (
	// DefaultPoll is the pause between two looks.
	DefaultPoll = 10 * time.Second
	// DefaultSettle is how long something may take until it is told of.
	DefaultSettle = time.Minute
	// DefaultTimeout limits one try.
	DefaultTimeout = 10 * time.Second
	// DefaultPerMinute keeps below the 300 questions in five minutes that an API key may ask.
	DefaultPerMinute = 50
	// patience is for how long a question is asked again that the server is too busy for.
	patience = 20 * time.Second
)

// settings are a config's, read.
type settings struct {
	web                    web.Options
	poll, settle, notifies time.Duration
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string { return c.URL }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// String prints the configuration without its secrets.
func (c Config) String() string { return fmt.Sprintf("grafana_irm at %s", c.URL) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// parse reads the settings.
func (c Config) parse() (settings, error) {
	var errs []error
	wrong := func(field, summary, detail string) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: detail})
	}
	duration := func(field, text string, def time.Duration) time.Duration {
		d, err := web.Duration(field, text, def)
		errs = append(errs, err)
		return d
	}
	s := settings{poll: duration("poll", c.Poll, DefaultPoll), settle: duration("settle", c.Settle, DefaultSettle), notifies: duration("notifies_within", c.Notifies, 0)}
	s.web = web.Options{URL: strings.TrimSuffix(strings.TrimSuffix(c.URL, "/"), "/api/v1"), Patience: patience, PerMinute: c.PerMinute,
		Timeout: duration("timeout", c.Timeout, DefaultTimeout), Header: map[string]string{"Authorization": c.Token}}
	if c.Stack != "" {
		s.web.Header["X-Grafana-URL"] = c.Stack
	}
	if c.PerMinute == 0 {
		s.web.PerMinute = DefaultPerMinute
	}
	errs = append(errs, s.web.Validate(), page.CheckPages("Grafana IRM", c.Pages), page.CheckPaths(c.Labels))
	if c.PerMinute < 0 {
		wrong("requests_per_minute", "Invalid number", "It must not be negative.")
	}
	for field, id := range map[string]string{"integration": c.Integ, "route": c.Route, "team": c.Team} {
		if strings.ContainsAny(id, "/?#& ") {
			wrong(field, "Invalid id", `It is an id such as "CFRPV98RPR1U8", from the address of its page.`)
		}
	}
	if slices.ContainsFunc(c.Schedules, func(id string) bool { return id == "" || strings.ContainsAny(id, "/?#& ") }) {
		wrong("schedules", "Invalid id", `Schedules are named by their ids, such as "SBM7DV7BKFUYU", from the addresses of their pages; the first is level 1.`)
	}
	return s, errors.Join(errs...)
}
