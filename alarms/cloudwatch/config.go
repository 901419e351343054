package cloudwatch

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/sources/web"
)

// Config says which alarms of which account are read. Who asks is told by AWS's own chain: the environment, ~/.aws, SSO, the role of
// the machine; it holds no secret. Durations are Go strings ("15s").
type Config struct {
	Region   string `hcl:"region,optional" json:"region,omitempty"`     // "eu-central-1"; without it, that of the environment or the profile
	Profile  string `hcl:"profile,optional" json:"profile,omitempty"`   // of ~/.aws/config
	Endpoint string `hcl:"endpoint,optional" json:"endpoint,omitempty"` // instead of AWS's own: a VPC endpoint
	// Pages are the ARNs of the actions that page: an SNS topic, an incident response plan. Without any, every action is a page.
	Pages []string `hcl:"pages_to,optional" json:"pages_to,omitempty"`
	// NoDataIsQuiet names alarms that have insufficient data when all is well.
	NoDataIsQuiet []string `hcl:"no_data_is_quiet,optional" json:"no_data_is_quiet,omitempty"`
	Poll          string   `hcl:"poll,optional" json:"poll,omitempty"`       // pause between two looks; default "15s"
	Settle        string   `hcl:"settle,optional" json:"settle,omitempty"`   // after which the history is complete; default "1m"
	Timeout       string   `hcl:"timeout,optional" json:"timeout,omitempty"` // of one question; default "10s"
}

const (
	// DefaultPoll is the pause between two looks.
	DefaultPoll = 15 * time.Second
	// DefaultSettle is how long a change may take until the history has it.
	DefaultSettle = time.Minute
	// DefaultTimeout limits one try.
	DefaultTimeout = 10 * time.Second
)

// settings are a config's, read.
type settings struct{ poll, settle, timeout time.Duration }

// Address returns where the source is asked, so that a fault on this machine can be kept off the way to it; empty where only AWS's
// chain knows the region.
func (c Config) Address() string {
	switch {
	case c.Endpoint != "":
		return c.Endpoint
	case c.Region != "":
		return "https://monitoring." + c.Region + ".amazonaws.com"
	}
	return ""
}

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// String names the region, or what stands for it.
func (c Config) String() string {
	if at := c.Address(); at != "" {
		return "cloudwatch at " + at
	}
	return "cloudwatch in the region of the environment"
}

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
	s := settings{poll: duration("poll", c.Poll, DefaultPoll), settle: duration("settle", c.Settle, DefaultSettle), timeout: duration("timeout", c.Timeout, DefaultTimeout)}
	if strings.ContainsAny(c.Region, "/:. ") {
		wrong("region", "Invalid region", `It is a name such as "eu-central-1".`)
	}
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil) {
		wrong("endpoint", "Invalid address", fmt.Sprintf("%q is no address such as \"https://vpce-1.monitoring.eu-central-1.vpce.amazonaws.com\".", c.Endpoint))
	}
	if slices.ContainsFunc(c.Pages, func(arn string) bool { return !strings.HasPrefix(arn, "arn:") }) {
		wrong("pages_to", "Invalid ARN", `Name actions as in the alarm: "arn:aws:sns:eu-central-1:123456789012:pager".`)
	}
	return s, errors.Join(errs...)
}
