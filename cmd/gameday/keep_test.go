package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gameday/alarms/alertmanager"
	"gameday/alarms/prometheus"
	"gameday/faults"
	"gameday/responders"
	"gameday/responders/desk"
	"gameday/responders/goalert"
	"gameday/responders/grafanairm"
	"gameday/responders/icinga2"
	"gameday/responders/incidentio"
	"gameday/responders/jsm"
	"gameday/responders/pagerduty"
	"gameday/responders/slack"
	"gameday/scenarios"
	"gameday/targets/hosts"
)

// TestMakeRecord gives two runs of one scenario in one second a folder each.
func TestMakeRecord(t *testing.T) {
	t.Chdir(t.TempDir())
	seen := map[string]bool{}
	for range 3 {
		dir, err := makeRecord("", "shop")
		if err != nil || seen[dir] {
			t.Fatalf("%s, %v: after %v", dir, err, seen)
		}
		seen[dir] = true
		if err := os.WriteFile(filepath.Join(dir, "record.jsonl"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err := makeRecord("mine", "shop"); err != nil || os.WriteFile(filepath.Join(dir, "record.jsonl"), nil, 0o644) != nil {
		t.Fatal(err)
	}
	if _, err := makeRecord("mine", "shop"); err == nil {
		t.Error("a folder that was named and has a record is used again")
	}
}

func TestKeepPaths(t *testing.T) {
	source := func(url string) scenarios.AlarmSource {
		return scenarios.AlarmSource{Config: &prometheus.Config{URL: url}}
	}
	for _, c := range []struct {
		name, have string
		sources    []scenarios.AlarmSource
		want       string
	}{
		{"none", "", nil, ""},
		{"what was asked for stays", "192.0.2.1", nil, "192.0.2.1"},
		{"port", "", []scenarios.AlarmSource{source("http://127.0.0.1:9090")}, "127.0.0.1:9090"},
		{"scheme's port", "10.0.0.0/8", []scenarios.AlarmSource{source("https://192.0.2.7/prom")}, "10.0.0.0/8,192.0.2.7:443"},
		{"two kinds", "", []scenarios.AlarmSource{source("http://[2001:db8::1]:9090"),
			{Config: &alertmanager.Config{URL: "http://127.0.0.1:9093"}}}, "[2001:db8::1]:9090,127.0.0.1:9093"},
		{"no such name", "", []scenarios.AlarmSource{source("http://nobody.invalid:9090")}, "nobody.invalid"},
		{"the same twice", "", []scenarios.AlarmSource{source("http://192.0.2.7:1"), source("http://192.0.2.7:1/x")}, "192.0.2.7:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(keepVariable, c.have)
			if err := keepPaths(t.Context(), &scenarios.Scenario{AlarmSources: c.sources}, nil); err != nil {
				t.Fatal(err)
			}
			if got := os.Getenv(keepVariable); got != c.want {
				t.Errorf("%s is %q, want %q", keepVariable, got, c.want)
			}
		})
	}
}

// TestKeepResponders keeps the way to whoever tells what people did: without it a cut would be taken for their silence.
func TestKeepResponders(t *testing.T) {
	for want, config := range map[string]responders.Config{
		"192.0.2.1:443":  &pagerduty.Config{URL: "https://192.0.2.1"},
		"192.0.2.2:443":  &incidentio.Config{URL: "https://192.0.2.2"},
		"192.0.2.3:80":   &grafanairm.Config{URL: "http://192.0.2.3/oncall"},
		"192.0.2.4:443":  &jsm.Config{URL: "https://192.0.2.4"},
		"192.0.2.5:8081": &goalert.Config{URL: "http://192.0.2.5:8081"},
		"192.0.2.6:443":  &slack.Config{URL: "https://192.0.2.6/api"},
		"192.0.2.7:5665": &icinga2.Config{URL: "https://192.0.2.7:5665"},
		"":               &desk.Config{},
	} {
		t.Setenv(keepVariable, "")
		if err := keepPaths(t.Context(), &scenarios.Scenario{Responders: []scenarios.ResponderSource{{Config: config}}}, nil); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv(keepVariable); got != want {
			t.Errorf("%T: %s is %q, want %q", config, keepVariable, got, want)
		}
	}
}

// TestKeepHosts keeps the way to SSH hosts as ssh itself would take it: aliases, ports, jump hosts.
func TestKeepHosts(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	config := filepath.Join(t.TempDir(), "config")
	err := os.WriteFile(config, []byte(`
Host web1
  HostName 192.0.2.7
  Port 2222
Host inner
  HostName 10.0.0.7
  ProxyJump ops@bastion:2200,other
Host bastion
  HostName 192.0.2.9
Host behind
  HostName behind.invalid
  ProxyJump gate.invalid
Host round
  HostName 192.0.2.11
  ProxyJump round
Host six
  HostName 2001:db8::7
Host odd
  HostName %h/odd
  ProxyCommand false
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"web1":               "192.0.2.7:2222",
		"ssh://me@web1:2022": "192.0.2.7:2022",
		"me@192.0.2.8":       "192.0.2.8:22",
		"inner":              "192.0.2.9:2200",
		"behind":             "gate.invalid",
		"round":              "192.0.2.11:22",
		"six":                "[2001:db8::7]:22",
		"nobody.invalid":     "nobody.invalid",
		"odd":                "",
		"-oProxyCommand=x":   "",
	} {
		t.Setenv(keepVariable, "")
		settings := []hosts.Settings{{SSH: faults.SSH{Destination: to, Config: config}}}
		if err := keepPaths(t.Context(), &scenarios.Scenario{}, settings); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv(keepVariable); got != want {
			t.Errorf("%s: %s is %q, want %q", to, keepVariable, got, want)
		}
	}
}
