package icinga2

import (
	"fmt"

	source "gameday/sources/icinga2"
)

// Config says where an Icinga 2 is and how to read it. Durations are Go strings ("2s"). Secrets are left out of JSON and of
// every printed form.
type Config struct {
	URL         string `hcl:"url" json:"url"` // https://…:5665
	Username    string `hcl:"username" json:"username"`
	Password    string `hcl:"password,optional" json:"-"`
	CAFile      string `hcl:"ca_file,optional" json:"ca_file,omitempty"`         // the authority of its certificate
	Fingerprint string `hcl:"fingerprint,optional" json:"fingerprint,omitempty"` // or the certificate's SHA-256
	Insecure    bool   `hcl:"insecure,optional" json:"insecure,omitempty"`       // or nothing proves who answers
	ServerName  string `hcl:"server_name,optional" json:"server_name,omitempty"` // in the certificate, when it is not the URL's
	// Labels are those that alarms have beside alertname, host, service and type: label → vars.NAME, host.vars.NAME.
	Labels  map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	Poll    string            `hcl:"poll,optional" json:"poll,omitempty"`       // pause between two looks; default "2s"
	Timeout string            `hcl:"timeout,optional" json:"timeout,omitempty"` // of one question; default "5s"
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string { return c.URL }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c Config) Validate() error {
	_, err := c.settings().Parse()
	return err
}

func (c Config) settings() source.Settings {
	return source.Settings{URL: c.URL, Username: c.Username, Password: c.Password, CAFile: c.CAFile, Fingerprint: c.Fingerprint, Insecure: c.Insecure,
		ServerName: c.ServerName, Poll: c.Poll, Timeout: c.Timeout, Labels: c.Labels}
}

// String prints the configuration without its secrets.
func (c Config) String() string { return fmt.Sprintf("icinga2 at %s as %s", c.URL, c.Username) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }
