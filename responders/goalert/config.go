package goalert

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

// Config holds the settings of a source. Durations are written as in "30s".
type Config struct {
	URL     string `hcl:"url" json:"url"`              // of GoAlert, with its path prefix if it has one
	Token   string `hcl:"token" json:"-"`              // an API key for Query
	Service string `hcl:"service" json:"service"`      // id of the service whose alerts are read
	Pages   string `hcl:"pages,optional" json:"pages"` // real or dry
	// Labels are those of the alarm behind an alert: label → path in {"summary": …, "details": …}.
	Labels map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	// Matches are labels too: label → a regular expression with one group, over the summary, then over the details.
	Matches    map[string]string `hcl:"matches,optional" json:"matches,omitempty"`
	Automation []string          `hcl:"automation,optional" json:"automation,omitempty"` // names of users who never count as human

	Poll     string `hcl:"poll,optional" json:"poll,omitempty"`         // between two looks; 10s
	Settle   string `hcl:"settle,optional" json:"settle,omitempty"`     // after what time it tells of everything; 1m
	Lookback string `hcl:"lookback,optional" json:"lookback,omitempty"` // how old an alert may be that something happens to; 6h
	Timeout  string `hcl:"timeout,optional" json:"timeout,omitempty"`   // of one try; 10s
	Patience string `hcl:"patience,optional" json:"patience,omitempty"` // with a busy server; 1m
	// PerMinute bounds how often it is asked; 0 does not.
	PerMinute int `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"`
}

// What is assumed where nothing is said.
const (
	defaultPoll     = 10 * time.Second
	defaultSettle   = time.Minute
	defaultLookback = 6 * time.Hour
	defaultTimeout  = 10 * time.Second
	defaultPatience = time.Minute
)

// settings are a config's, read.
type settings struct {
	options                web.Options
	poll, settle, lookback time.Duration
	service                string
	real                   bool
	paths                  map[string]string
	matches                map[string]*regexp.Regexp
	automation             []string
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string { return c.URL }

// String prints the configuration without its secret.
func (c Config) String() string {
	return fmt.Sprintf("goalert at %s, service %s", c.Address(), c.Service)
}

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c *Config) Validate() error {
	_, err := c.parse()
	return err
}

// parse reads the settings.
func (c *Config) parse() (s settings, err error) {
	var errs []error
	wrong := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	s = settings{service: c.Service, real: c.Pages == page.RealPages, paths: maps.Clone(c.Labels), matches: map[string]*regexp.Regexp{},
		automation: slices.Clone(c.Automation)}
	s.options = web.Options{URL: c.URL, Token: c.Token, PerMinute: c.PerMinute}
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
	for _, err := range []error{s.options.Validate(), page.CheckPages("GoAlert", c.Pages), page.CheckPaths(c.Labels)} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if c.PerMinute < 0 {
		wrong("requests_per_minute", "Invalid number", "It must be more than nothing, such as 120.")
	}
	if c.Service == "" {
		wrong("service", "No service", "Give the id of the service whose alerts are read; it is in the address of its page.")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Matches)) {
		what, err := regexp.Compile(c.Matches[name])
		if err != nil || what.NumSubexp() != 1 || name == "" {
			wrong("matches", "Invalid pattern", "matches gives for each label a regular expression with one group, such as \"^\\\\[FIRING\\\\] (\\\\S+)\"; %q is none.", c.Matches[name])
			continue
		}
		s.matches[name] = what
	}
	return s, errors.Join(errs...)
}
