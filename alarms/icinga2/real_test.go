package icinga2_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/alarms/icinga2"
	"gameday/internal/icingarig"
	"gameday/internal/promrig"
)

const objects = `
object NotificationCommand "note" { command = [ "/bin/true" ] }
object User "ann" { }
object Host "payments" {
  check_command = "dummy"
  check_interval = 0.3s
  vars.dummy_state = 0
}
template Service "any" {
  host_name = "payments"
  check_command = "dummy"
  check_interval = 0.3s
  max_check_attempts = 1
  vars.dummy_state = 0
}
object Service "well" { import "any" }
object Service "told" { import "any" }
object Service "resting" { import "any" }
object Service "left" {
  import "any"
  enable_active_checks = false
}
object Service "dead" {
  import "any"
  vars.dummy_state = 2
}
object Notification "page" {
  host_name = "payments"
  service_name = "told"
  command = "note"
  users = [ "ann" ]
}
object ApiUser "few" {
  password = "only-for-a-test"
  permissions = [ "status/query", "objects/query/Host", "objects/query/Service" ]
}
object ApiUser "some" {
  password = "only-for-a-test"
  permissions = [ "status/query", "objects/query/Host", "events/*", {
    permission = "objects/query/Service"
    filter = {{ service.name == "well" }}
  } ]
}
`

// fingerprint is that of the rig's certificate.
func fingerprint(t *testing.T, rig *icingarig.Icinga) string {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(rig.Dir, "data/certs", icingarig.Node+".crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(ca)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(certificate.Raw))
}

// told is what a source says beforehand of an alarm A that is expected, a line for each finding.
func told(t *testing.T, c icinga2.Config, match map[string]string) string {
	t.Helper()
	s, err := icinga2.New("icinga2.main", c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found, err := s.Preflight(t.Context(), []alarms.Expectation{{Name: "A", Match: match}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("blocks %t, absent %q: %s. %s", f.Blocks, f.Absent, f.Summary, f.Detail))
	}
	return strings.Join(out, "\n")
}

// TestRealPreflight asks a real Icinga beforehand, well and badly.
func TestRealPreflight(t *testing.T) {
	rig := icingarig.Start(t, icingarig.Options{Config: objects})
	print := fingerprint(t, rig)
	good := icinga2.Config{URL: rig.URL, Username: icingarig.Reader, Password: icingarig.Password, CAFile: rig.CAFile, ServerName: icingarig.Node}
	service := func(name string) map[string]string { return map[string]string{"host": "payments", "service": name} }
	promrig.Eventually(t, 10*time.Second, "all was checked", func() bool {
		return told(t, good, service("told")) == "" && strings.Contains(told(t, good, service("dead")), "is CRITICAL already")
	})
	rig.Act("schedule-downtime", "payments", "resting", map[string]any{"author": "ann", "comment": "x", "start_time": time.Now().Unix() - 1, "end_time": time.Now().Unix() + 600})
	rig.Act("acknowledge-problem", "payments", "dead", map[string]any{"author": "ann", "comment": "x"})
	promrig.Eventually(t, 10*time.Second, "the downtime has begun", func() bool { return strings.Contains(told(t, good, service("resting")), "is in a downtime") })
	for name, c := range map[string]struct {
		change func(*icinga2.Config)
		match  map[string]string
		want   []string // nothing is to be said without any
	}{
		"all is well":     {nil, service("told"), nil},
		"by fingerprint":  {func(c *icinga2.Config) { c.CAFile, c.ServerName, c.Fingerprint = "", "", print }, service("told"), nil},
		"by nothing":      {func(c *icinga2.Config) { c.CAFile, c.ServerName, c.Insecure = "", "", true }, service("told"), nil},
		"by another":      {func(c *icinga2.Config) { c.CAFile, c.ServerName, c.Fingerprint = "", "", strings.Repeat("0", 64) }, service("told"), []string{"blocks true", "and not the one given"}},
		"by the system's": {func(c *icinga2.Config) { c.CAFile = "" }, service("told"), []string{"blocks true", "certificate signed by unknown authority"}},
		"by another name": {func(c *icinga2.Config) { c.ServerName = "elsewhere" }, service("told"), []string{"blocks true", "certificate is valid for rig"}},
		"a wrong password": {func(c *icinga2.Config) { c.Password = "wrong" }, service("told"),
			[]string{"blocks true", "401 Unauthorized"}},
		"few permissions":   {func(c *icinga2.Config) { c.Username = "few" }, service("told"), []string{"blocks true", "the API user few", "events/StateChange", "events/Flapping"}},
		"hidden":            {func(c *icinga2.Config) { c.Username = "some" }, service("told"), []string{`blocks true, absent ""`, "it may be hidden"}},
		"seen of some":      {func(c *icinga2.Config) { c.Username = "some" }, service("well"), []string{"blocks false", "whether icinga2.main would tell anybody was not looked at"}},
		"absent":            {nil, service("nope"), []string{`blocks false, absent "A"`, `None has service = "nope"`}},
		"nobody is told":    {nil, service("well"), []string{"blocks false", "alarm A would page nobody", "no Notification object"}},
		"a downtime":        {nil, service("resting"), []string{"blocks true", "payments!resting is in a downtime"}},
		"standing":          {nil, service("dead"), []string{"blocks true", "is CRITICAL already", "is acknowledged already"}},
		"another state":     {nil, map[string]string{"service": "dead", "state": "WARNING"}, []string{"blocks false, absent \"\": alarm A: payments!dead is CRITICAL already"}},
		"no such state":     {nil, map[string]string{"service": "told", "state": "DOWN"}, []string{"blocks true", "is never DOWN"}},
		"checked by others": {nil, service("left"), []string{"blocks false", "is checked by others alone"}},
		"a host":            {nil, map[string]string{"host": "payments", "type": "host"}, []string{"alarm A would page nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			one := good
			if c.change != nil {
				c.change(&one)
			}
			got := told(t, one, c.match)
			if len(c.want) == 0 && got != "" {
				t.Errorf("told\n%s", got)
			}
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("told\n%s\nwithout %q", got, w)
				}
			}
			if strings.Contains(got, icingarig.Password) {
				t.Error("the password is told")
			}
		})
	}
}
