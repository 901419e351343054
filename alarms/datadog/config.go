package datadog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/sources/web"
)

// Config says where a Datadog is and how to sign in. Durations are Go strings ("15s"). Secrets are left out of JSON and of every
// printed form.
type Config struct {
	Site   string `hcl:"site,optional" json:"site,omitempty"` // "datadoghq.eu"; without it and url, "datadoghq.com"
	URL    string `hcl:"url,optional" json:"url,omitempty"`   // instead of a site: a proxy in front of its API
	APIKey string `hcl:"api_key" json:"-"`
	AppKey string `hcl:"app_key" json:"-"`
	// Pages are the handles whose notifications are pages: "@pagerduty-shop". Without any, whether somebody was paged is not known.
	Pages []string `hcl:"pages_to,optional" json:"pages_to,omitempty"`
	// WarnFires says that a monitor in Warn fires.
	WarnFires bool `hcl:"warn_fires,optional" json:"warn_fires,omitempty"`
	// NoDataIsQuiet names alarms whose monitor has no data when all is well, as a count of errors has none without errors.
	NoDataIsQuiet []string `hcl:"no_data_is_quiet,optional" json:"no_data_is_quiet,omitempty"`
	Poll          string   `hcl:"poll,optional" json:"poll,omitempty"`       // pause between two looks; default "15s"
	Settle        string   `hcl:"settle,optional" json:"settle,omitempty"`   // after which all events are there; default "2m"
	Timeout       string   `hcl:"timeout,optional" json:"timeout,omitempty"` // of one question; default "10s"
	PerMinute     int      `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"`
}

const (
	// DefaultPoll is the pause between two looks: monitors are evaluated once a minute at the most.
	DefaultPoll = 15 * time.Second
	// DefaultSettle is how long an event may take until a search finds it.
	DefaultSettle = 2 * time.Minute
	// DefaultSite is the first of Datadog's sites.
	DefaultSite = "datadoghq.com"
	// DefaultTimeout limits one try.
	DefaultTimeout = 10 * time.Second
	// patience is for how long a question is asked again that the server is too busy for.
	patience = 20 * time.Second
)

// settings are a config's, read.
type settings struct {
	web          web.Options
	poll, settle time.Duration
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string {
	switch {
	case c.URL != "":
		return c.URL
	case c.Site != "":
		return "https://api." + c.Site
	}
	return "https://api." + DefaultSite
}

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// String prints the configuration without its secrets.
func (c Config) String() string { return fmt.Sprintf("datadog at %s", c.Address()) }

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
	s := settings{poll: duration("poll", c.Poll, DefaultPoll), settle: duration("settle", c.Settle, DefaultSettle)}
	s.web = web.Options{URL: c.Address(), Patience: patience, PerMinute: c.PerMinute, Timeout: duration("timeout", c.Timeout, DefaultTimeout),
		Header: map[string]string{"DD-API-KEY": c.APIKey, "DD-APPLICATION-KEY": c.AppKey}}
	if c.Site != "" && c.URL != "" {
		wrong("site", "Two addresses", "Give either site or url.")
	}
	if strings.Contains(c.Site, "/") || strings.HasPrefix(c.Site, "api.") || strings.HasPrefix(c.Site, "app.") {
		wrong("site", "Invalid site", `It is the part of the address after "app.", such as "datadoghq.eu" or "us5.datadoghq.com".`)
	}
	errs = append(errs, s.web.Validate())
	if slices.ContainsFunc(c.Pages, func(h string) bool { return !strings.HasPrefix(h, "@") || len(h) < 2 }) {
		wrong("pages_to", "Invalid handle", `Handles are written as in the monitor's message: "@pagerduty-shop".`)
	}
	if c.PerMinute < 0 {
		wrong("requests_per_minute", "Invalid number", "It must not be negative. Leave it out for no limit.")
	}
	return s, errors.Join(errs...)
}
