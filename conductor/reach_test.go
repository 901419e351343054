package conductor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"gameday/alarms"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets/lab"
)

// farSource is a source that is asked at an address.
type farSource string

func (r farSource) Address() string { return string(r) }
func (farSource) Validate() error   { return nil }

// TestBeyond tells what a run in a lab can ask from what it cannot, and warns of it before the run.
func TestBeyond(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:9090":        "",
		"http://[::1]:9090":            "",
		"http://localhost:9090":        "",
		"http://monitoring:9090/prom":  "",
		"http://gameday:9090":          "",
		"http://198.18.0.3":            "",
		"https://192.0.2.7":            "192.0.2.7",
		"https://api.pagerduty.com":    "api.pagerduty.com",
		"http://monitoring.example:90": "monitoring.example",
		"http://elsewhere:9090":        "elsewhere",
		"":                             "",
		"::":                           "",
	} {
		s := &scenarios.Scenario{Lab: &lab.Config{Name: "shop", Nodes: []lab.NodeConfig{{Name: "monitoring"}}},
			AlarmSources: []scenarios.AlarmSource{{Kind: alarms.SourceKind{Name: "probe"}, Name: "main", Config: farSource(address)}}}
		if got := beyond(s, farSource(address)); got != want {
			t.Errorf("%q: %q is beyond the lab, want %q", address, got, want)
		}
		warned := slices.ContainsFunc(warnings(s), func(w string) bool { return strings.Contains(w, "is at "+want+", which is no node of the lab") })
		if warned != (want != "") {
			t.Errorf("%q: warned %v", address, warned)
		}
		s.Lab = nil
		if got := beyond(s, farSource(address)); got != "" {
			t.Errorf("%q without a lab: %q", address, got)
		}
	}
}

// TestOutOfReach says of a source that does not answer that the lab has no way out, and asks it once.
func TestOutOfReach(t *testing.T) {
	asked := 0
	s := &sources{run: &run{ctx: t.Context()}}
	found := s.settled(func(context.Context) ([]report.Found, error) {
		asked++
		return nil, errors.New("no such host")
	}, "responders pagerduty.ops", "api.pagerduty.com")
	if asked != 1 || len(found) != 2 || !found[1].Blocks || !strings.Contains(found[1].Detail, "api.pagerduty.com is no node") {
		t.Errorf("asked %d times: %+v", asked, found)
	}
	found = s.settled(func(context.Context) ([]report.Found, error) { return nil, nil }, "responders pagerduty.ops", "api.pagerduty.com")
	if len(found) != 0 {
		t.Errorf("one that answers: %+v", found)
	}
}
