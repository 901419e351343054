package icinga2

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/sources/web"
)

// DefaultPoll is the pause between two looks at what stands.
const DefaultPoll = 2 * time.Second

// Settings are those of a block in a scenario that say where an Icinga 2 is and how to read it. Durations are Go strings.
type Settings struct {
	URL                string
	Username, Password string
	// One of these says how the server proves who it is; without any it is by the system's authorities.
	CAFile, Fingerprint string
	Insecure            bool
	ServerName          string // in the certificate, when it is not that of the URL
	Poll, Timeout       string
	Labels              map[string]string // label → vars.NAME, host.vars.NAME or another attribute
}

// Parse reads settings. Every mistake is reported, joined, each a *faults.FieldError; ca_file is read by NewClient.
func (s Settings) Parse() (Options, error) {
	timeout, timeoutErr := web.Duration("timeout", s.Timeout, web.DefaultTimeout)
	poll, pollErr := web.Duration("poll", s.Poll, DefaultPoll)
	o := Options{poll: poll, caFile: s.CAFile, insecure: s.Insecure, serverName: s.ServerName, labels: maps.Clone(s.Labels)}
	o.web = web.Options{URL: s.URL, Username: s.Username, Password: s.Password, Timeout: timeout, Accept: "application/json"}
	errs := []error{o.web.Validate(), timeoutErr, pollErr}
	wrong := func(field, summary, detail string) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: detail})
	}
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "http" {
		wrong("url", "Invalid address", `The API of Icinga 2 speaks TLS alone: begin the address with https://, such as "https://icinga.example:5665".`)
	}
	if s.Username == "" {
		wrong("username", "No API user", "Name an ApiUser of this Icinga 2.")
	}
	var ways []string
	for name, given := range map[string]bool{"ca_file": s.CAFile != "", "fingerprint": s.Fingerprint != "", "insecure": s.Insecure} {
		if given {
			ways = append(ways, name)
		}
	}
	if slices.Sort(ways); len(ways) > 1 {
		wrong(ways[0], "Two ways to trust the server", fmt.Sprintf("Give one of them: %s.", strings.Join(ways, ", ")))
	}
	if s.Fingerprint != "" {
		print, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(s.Fingerprint))
		if err != nil || len(print) != sha256.Size {
			wrong("fingerprint", "Invalid fingerprint", "It is the SHA-256 of the server's certificate, 64 hexadecimal digits: "+
				"openssl s_client -connect HOST:5665 </dev/null | openssl x509 -noout -fingerprint -sha256")
		}
		o.fingerprint = print
	}
	if s.ServerName != "" && (s.Insecure || s.Fingerprint != "") {
		wrong("server_name", "A name that nobody checks", "With fingerprint or insecure the certificate's name is not looked at. Leave server_name out.")
	}
	for _, label := range slices.Sorted(maps.Keys(s.Labels)) {
		if path := s.Labels[label]; label == "" || path == "" || slices.Contains(strings.Split(path, "."), "") {
			wrong("labels", "Empty path", `labels names for each label where it is: labels = { severity = "vars.severity", team = "host.vars.team" }.`)
		}
		if slices.Contains(ownLabels, label) {
			wrong("labels", "A label that is there already", fmt.Sprintf("%s is the label of that name by itself.", label))
		}
	}
	return o, errors.Join(errs...)
}

// Options are settings that have been read.
type Options struct {
	web         web.Options
	poll        time.Duration
	caFile      string
	fingerprint []byte
	insecure    bool
	serverName  string
	labels      map[string]string
}

// Poll returns the pause between two looks.
func (o Options) Poll() time.Duration { return o.poll }

// Username returns the API user's name.
func (o Options) Username() string { return o.web.Username }

// trust makes what the server's certificate is held against.
func (o Options) trust() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.serverName}
	switch {
	case o.insecure:
		c.InsecureSkipVerify = true
	case o.fingerprint != nil:
		c.InsecureSkipVerify = true // VerifyConnection does, by the certificate itself
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("the server shows no certificate")
			}
			if got := sha256.Sum256(state.PeerCertificates[0].Raw); !slices.Equal(got[:], o.fingerprint) {
				return fmt.Errorf("the server's certificate has the fingerprint %x, and not the one given", got)
			}
			return nil
		}
	case o.caFile != "":
		text, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("reading ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("reading ca_file: %s holds no certificate in PEM form; Icinga's is /var/lib/icinga2/certs/ca.crt", o.caFile)
		}
	}
	return c, nil
}
