package builtin

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"gameday/faults"
	"gameday/loadgen/sli"
)

// Rule raises an alarm from indicators of the run itself.
type Rule struct {
	Name        string            `json:"name"` // becomes the label alertname
	When        *sli.Expr         `json:"when"`
	Over        time.Duration     `json:"over"` // the sliding window of traffic that When looks at
	Held        time.Duration     `json:"held"` // how long When must be true before the alarm fires; 0 fires at once
	Keep        time.Duration     `json:"keep"` // how long When must be false before it is quiet again; 0 ends it at once
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Config holds the rules and where their alarms are sent. Package scenarios compiles it: expressions are not HCL's any
// more.
type Config struct {
	Rules []Rule `json:"rules"`
	// Notify are the addresses that receive an Alertmanager webhook (version 4) when an alarm fires and when it is quiet
	// again.
	Notify   []string      `json:"notify,omitempty"`
	Receiver string        `json:"receiver,omitempty"` // named in the webhook; default "gameday"
	Repeat   time.Duration `json:"repeat,omitempty"`   // pause before a standing alarm is sent again; default 4h
	// Every is how often Evaluate is called; default 1s. A pause of more than twice that is a gap in the coverage.
	Every       time.Duration `json:"every,omitempty"`
	ExternalURL string        `json:"external_url,omitempty"`
	// Drill, when not empty, is the annotation "drill" of every notification, and marks its summary.
	Drill string `json:"drill,omitempty"`
}

// The defaults.
const (
	DefaultRepeat   = 4 * time.Hour
	DefaultReceiver = "gameday"
	DefaultEvery    = time.Second
)

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	var errs []error
	add := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if len(c.Rules) == 0 {
		add("rule", "No rules", `Give at least one, such as rule "ErrorsHigh" { when = sli.error_ratio > 0.05 }.`)
	}
	names := map[string]bool{}
	for _, r := range c.Rules {
		if r.Name == "" {
			add("rule", "Rule without a name", "Its name becomes the alarm's alertname.")
		}
		if names[r.Name] {
			add("rule", "Duplicate rule", "There are two rules named %q; alarms are told apart by that name.", r.Name)
		}
		names[r.Name] = true
		if r.When == nil {
			add("when", "Missing condition", "Rule %q needs when, such as sli.error_ratio > 0.05.", r.Name)
		} else if err := r.When.Check(); err != nil {
			add("when", "Invalid condition", "Rule %q: %v.", r.Name, err)
		}
		if r.Held < 0 {
			add("held", "Invalid duration", "Rule %q: held cannot be negative.", r.Name)
		}
		if r.Keep < 0 {
			add("keep", "Invalid duration", "Rule %q: keep cannot be negative.", r.Name)
		}
		if v, ok := r.Labels[alertName]; ok && v != r.Name {
			add("labels", "Label alertname is taken", "Rule %q: leave alertname out, it is the rule's name.", r.Name)
		}
	}
	for _, n := range c.Notify {
		u, err := url.Parse(n)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			add("notify", "Invalid address",
				`It must be absolute and begin with http:// or https://, such as "http://127.0.0.1:9199/webhook".`)
		}
	}
	if c.Repeat < 0 {
		add("repeat", "Invalid duration", "repeat cannot be negative.")
	}
	return errors.Join(errs...)
}
