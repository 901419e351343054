package webhook

import (
	"errors"
	"fmt"
	"net"
	"time"

	"gameday/faults"
)

// Config holds the settings of a source. Durations are written as in "30s".
type Config struct {
	Listen string `hcl:"listen"`                  // host:port; port 0 takes a free one
	Token  string `hcl:"token,optional" json:"-"` // that senders must give; empty takes everybody
	Format string `hcl:"format,optional"`         // alertmanager or grafana; empty with a mapping
	Beat   string `hcl:"heartbeat,optional"`      // something is posted at least so often
	Error  string `hcl:"clock_error,optional"`    // of the sender's clock, at the most; 2s
	Delay  string `hcl:"delay,optional"`          // from an alarm to its posting, at the most, where no time is given; 10s
	// Repeats says that a firing alarm is posted again and again; true unless it is set. Without a time of its own, an alarm that is
	// heard of first may then be an old one.
	Repeats *bool `hcl:"repeats,optional"`
	Pages   bool  `hcl:"pages,optional"` // what is posted is a page
	Map     []Map `hcl:"mapping,block" json:"map,omitempty"`
}

// Map says where in a posted JSON value an alarm is. Values are paths as of github.com/tidwall/gjson: "data.title",
// "alerts.0.status".
type Map struct {
	Each    string            `hcl:"each,optional"`        // of the list of alarms; without it the value is one
	Name    string            `hcl:"name"`                 // of the alarm's name, which becomes its label alertname
	State   string            `hcl:"state"`                // of its state
	Firing  []string          `hcl:"firing"`               // what the state is when it fires
	Quiet   []string          `hcl:"quiet"`                // what it is when it does not
	At      string            `hcl:"at,optional"`          // of when its state changed: RFC 3339, or Unix seconds or milliseconds
	Labels  map[string]string `hcl:"labels,optional"`      // label → path
	From    string            `hcl:"labels_from,optional"` // of an object whose members are labels
	Notes   map[string]string `hcl:"annotations,optional"` // annotation → path
	NotesIn string            `hcl:"annotations_from,optional"`
}

// The formats that need no mapping, both with the time of firing only.
var formats = map[string]Map{"alertmanager": alertmanager, "grafana": alertmanager}

var alertmanager = Map{Each: "alerts", Name: "labels.alertname", State: "status", Firing: []string{"firing"},
	Quiet: []string{"resolved"}, From: "labels", NotesIn: "annotations"}

// settings are a config's, read.
type settings struct {
	listen, token      string
	beat, slack, delay time.Duration
	pages, repeats     bool
	Map
	// started and ended are the paths of the two times of the known formats; a mapping has one.
	started, ended string
}

// String prints where it listens, without the token.
func (c Config) String() string { return "webhook at " + c.Listen }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// Validate reports every mistake.
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
	s = settings{listen: c.Listen, token: c.Token, pages: c.Pages, repeats: c.Repeats == nil || *c.Repeats}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("listen", "Invalid address", "%q is not host:port, such as \"127.0.0.1:9099\".", c.Listen)
	}
	for _, d := range []struct {
		field, text string
		to          *time.Duration
		otherwise   time.Duration
	}{{"heartbeat", c.Beat, &s.beat, 0}, {"clock_error", c.Error, &s.slack, 2 * time.Second}, {"delay", c.Delay, &s.delay, 10 * time.Second}} {
		*d.to = d.otherwise
		if d.text == "" {
			continue
		}
		n, err := time.ParseDuration(d.text)
		if err != nil || n < 0 || n > 24*time.Hour {
			wrong(d.field, "Invalid duration", "%q is not a duration up to a day, such as \"30s\".", d.text)
			continue
		}
		*d.to = n
	}
	known, ok := formats[c.Format]
	switch {
	case c.Format != "" && !ok:
		wrong("format", "Unknown format", "There is no format %q; there are \"alertmanager\" and \"grafana\", and mapping blocks for others.", c.Format)
	case ok && len(c.Map) > 0:
		wrong("format", "Two formats", "Give either a format or a mapping.")
	case ok:
		s.Map, s.started, s.ended = known, "startsAt", "endsAt"
	case len(c.Map) != 1:
		wrong("mapping", "No format", "Say what is posted: format = \"alertmanager\", or one mapping block.")
	default:
		s.Map = c.Map[0]
		s.started, s.ended = s.At, s.At
		errs = append(errs, s.check()...)
	}
	return s, errors.Join(errs...)
}

// check looks at what a mapping can be wrong in before anything is posted.
func (m *Map) check() (errs []error) {
	if len(m.Firing) == 0 || len(m.Quiet) == 0 {
		errs = append(errs, &faults.FieldError{Field: "mapping", Summary: "No states", Detail: "Say what state means: firing = [\"triggered\"], quiet = [\"resolved\"]."})
	}
	for _, f := range m.Firing {
		for _, q := range m.Quiet {
			if f == q {
				errs = append(errs, &faults.FieldError{Field: "mapping", Summary: "One state, two meanings", Detail: fmt.Sprintf("%q is firing and quiet.", f)})
			}
		}
	}
	if m.Name == "" || m.State == "" {
		errs = append(errs, &faults.FieldError{Field: "mapping", Summary: "Empty path", Detail: "name and state are paths in the JSON that is posted."})
	}
	return errs
}
