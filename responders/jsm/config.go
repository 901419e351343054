package jsm

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"gameday/faults"
	"gameday/responders"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// Config holds the settings of a source. Durations are written as in "30s".
type Config struct {
	URL      string `hcl:"url,optional" json:"url,omitempty"` // https://api.atlassian.com
	CloudID  string `hcl:"cloud_id" json:"cloud_id"`          // of the site
	Username string `hcl:"username" json:"username"`          // the e-mail address of the token's account
	Token    string `hcl:"token" json:"-"`                    // an API token
	Pages    string `hcl:"pages,optional" json:"pages"`       // real or dry
	// Query narrows the alerts that are read, as in JSM's own search: "responders: payments".
	Query string `hcl:"query,optional" json:"query,omitempty"`
	// Schedules are the ids of the schedules of who is on call, by level.
	Schedules []string `hcl:"schedules,optional" json:"schedules,omitempty"`
	// People are account ids, as schedules have them, by the names that logs have.
	People map[string]string `hcl:"people,optional" json:"people,omitempty"`
	// Labels are those of the alarm behind an alert: label → path in its JSON. The alert's extra properties are labels too.
	Labels     map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	Logs       []Log             `hcl:"log,block" json:"logs,omitempty"`
	Automation []string          `hcl:"automation,optional" json:"automation,omitempty"` // owners who never count as human

	Poll     string `hcl:"poll,optional" json:"poll,omitempty"`         // between two looks; 20s
	Settle   string `hcl:"settle,optional" json:"settle,omitempty"`     // after what time it tells of everything; 1m
	Lookback string `hcl:"lookback,optional" json:"lookback,omitempty"` // how old an alert may be that something happens to; 6h
	Timeout  string `hcl:"timeout,optional" json:"timeout,omitempty"`   // of one try; 10s
	Patience string `hcl:"patience,optional" json:"patience,omitempty"` // with a busy server; 1m
	// PerMinute bounds how often it is asked; 300.
	PerMinute int `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"`
}

// Log says what a line of an alert's log means that this build does not know. The groups who, level and channel of the regular
// expression, named as in (?P<who>…), say whom it concerns.
type Log struct {
	Kind    string `hcl:"kind,label" json:"kind"` // a kind of event, or Ignore
	Matches string `hcl:"matches" json:"matches"` // a regular expression for the whole line
	Level   int    `hcl:"level,optional" json:"level,omitempty"`
	// Delivered is yes, no or unknown, of a notification; unknown by default.
	Delivered string `hcl:"delivered,optional" json:"delivered,omitempty"`
}

// Ignore is the kind of a line that tells of nothing.
const Ignore = "ignore"

// What is assumed where nothing is said.
const (
	defaultURL       = "https://api.atlassian.com"
	defaultPoll      = 20 * time.Second
	defaultSettle    = time.Minute
	defaultLookback  = 6 * time.Hour
	defaultTimeout   = 10 * time.Second
	defaultPatience  = time.Minute
	defaultPerMinute = 300
)

// settings are a config's, read.
type settings struct {
	options                web.Options
	poll, settle, lookback time.Duration
	base, query            string
	real                   bool
	schedules              []string
	names                  map[string]string // account id → the name that logs have
	paths                  map[string]string
	rules                  []rule
	automation             []string
}

// rule is what a line of a log means.
type rule struct {
	what      *regexp.Regexp
	kind      responders.Kind // empty for one that tells of nothing
	level     int
	delivered string
	text      string // of the event; that of the line where it is empty
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string {
	if c.URL == "" {
		return defaultURL
	}
	return c.URL
}

// String prints the configuration without its secret.
func (c Config) String() string { return fmt.Sprintf("jsm at %s, site %s", c.Address(), c.CloudID) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c *Config) Validate() error {
	_, err := c.parse()
	return err
}

var cloudID = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)

// parse reads the settings.
func (c *Config) parse() (s settings, err error) {
	var errs []error
	wrong := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	s = settings{base: "/jsm/ops/api/" + c.CloudID + "/v1", query: c.Query, real: c.Pages == page.RealPages, schedules: slices.Clone(c.Schedules),
		names: map[string]string{}, paths: maps.Clone(c.Labels), automation: slices.Clone(c.Automation)}
	s.options = web.Options{URL: c.Address(), Username: c.Username, Password: c.Token, PerMinute: c.PerMinute}
	if c.PerMinute == 0 {
		s.options.PerMinute = defaultPerMinute
	}
	if c.PerMinute < 0 {
		wrong("requests_per_minute", "Invalid number", "It must be more than nothing, such as 300.")
	}
	if !cloudID.MatchString(c.CloudID) {
		wrong("cloud_id", "Invalid id", "%q is no id of a site: https://SITE.atlassian.net/_edge/tenant_info tells yours.", c.CloudID)
	}
	if c.Username == "" {
		wrong("username", "No user", "It is the e-mail address of the account that the token is of.")
	}
	for _, d := range []struct {
		field, text string
		to          *time.Duration
		otherwise   time.Duration
	}{{"poll", c.Poll, &s.poll, defaultPoll}, {"settle", c.Settle, &s.settle, defaultSettle}, {"lookback", c.Lookback, &s.lookback, defaultLookback},
		{"timeout", c.Timeout, &s.options.Timeout, defaultTimeout}, {"patience", c.Patience, &s.options.Patience, defaultPatience}} {
		var err error
		if *d.to, err = web.Duration(d.field, d.text, d.otherwise); err != nil {
			errs = append(errs, err)
		}
	}
	for _, err := range []error{s.options.Validate(), page.CheckPages("Jira Service Management", c.Pages), page.CheckPaths(c.Labels)} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, id := range c.Schedules {
		if !cloudID.MatchString(id) {
			wrong("schedules", "Invalid id", "%q is no id of a schedule; it is in the address of its page.", id)
		}
	}
	for name, id := range c.People {
		s.names[id] = name
	}
	s.readLogs(c, wrong)
	return s, errors.Join(errs...)
}

// readLogs reads what lines of logs mean: the scenario's own first.
func (s *settings) readLogs(c *Config, wrong func(field, summary, format string, args ...any)) {
	kinds := []responders.Kind{responders.Notified, responders.Acknowledged, responders.Unacknowledged, responders.Escalated, responders.Resolved, responders.Noted,
		responders.Joined, Ignore}
	for _, l := range c.Logs {
		what, err := regexp.Compile(l.Matches)
		switch {
		case err != nil || l.Matches == "":
			wrong("log", "Invalid pattern", "matches is a regular expression; %q is none.", l.Matches)
			continue
		case !slices.Contains(kinds, responders.Kind(l.Kind)):
			wrong("log", "Unknown kind", "A line of a log is notified, acknowledged, unacknowledged, escalated, resolved, noted, joined or ignore; not %q.", l.Kind)
		case l.Level < 0 || l.Level > 100:
			wrong("log", "Invalid level", "Levels count from 1.")
		case l.Kind == string(responders.Escalated) && l.Level == 0 && what.SubexpIndex("level") < 0:
			wrong("log", "No level", "Say to which level it is escalated: level = 2, or a group (?P<level>\\\\d+).")
		case l.Delivered != "" && !slices.Contains([]string{"yes", "no", "unknown"}, l.Delivered):
			wrong("log", "Unknown delivery", "delivered is yes, no or unknown, not %q.", l.Delivered)
		}
		r := rule{what: regexp.MustCompile(`^(?:` + l.Matches + `)$`), kind: responders.Kind(l.Kind), level: l.Level, delivered: l.Delivered}
		if l.Kind == Ignore {
			r.kind = ""
		}
		s.rules = append(s.rules, r)
	}
	s.rules = append(s.rules, known...)
}
