package scenarios

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/report"
)

// TestBeside says what a source must tell of although nobody expects it: an alarm of which it is not asked ends no drill.
func TestBeside(t *testing.T) {
	type labels = map[string]string
	page, shop := labels{"severity": "page"}, labels{"severity": "page", "team": "shop"}
	expected := []Alarm{{AlarmPlan: report.AlarmPlan{Name: "Down", Source: "prometheus.main", PagesVia: "alertmanager.main"}}}
	of := func(source string, match labels) Incident {
		return Incident{Source: source, Alarms: true, Match: match}
	}
	for name, c := range map[string]struct {
		s      Scenario
		source string
		want   labels
		ok     bool
	}{
		"an incident, beside what is expected": {Scenario{Alarms: expected, Incidents: []Incident{of("prometheus.main", page)}}, "prometheus.main", page, true},
		"where it only pages":                  {Scenario{Alarms: expected, Incidents: []Incident{of("alertmanager.main", page)}}, "alertmanager.main", page, true},
		"at another source":                    {Scenario{Alarms: expected, Incidents: []Incident{of("alertmanager.main", page)}}, "prometheus.main", nil, true},
		"nothing is expected, and all is told": {Scenario{Incidents: []Incident{of("prometheus.main", page)}}, "prometheus.main", nil, true},
		"noise that has more of it":            {Scenario{Noise: &Noise{NoisePlan: report.NoisePlan{Watch: shop}}, Incidents: []Incident{of("prometheus.main", page)}}, "prometheus.main", page, true},
		"noise alone":                          {Scenario{Noise: &Noise{NoisePlan: report.NoisePlan{Watch: shop}}}, "prometheus.main", shop, true},
		"noise that has nothing of it":         {Scenario{Noise: &Noise{NoisePlan: report.NoisePlan{Watch: page}}, Incidents: []Incident{of("prometheus.main", labels{"team": "shop"})}}, "prometheus.main", nil, false},
		"gameday's own rules tell of all":      {Scenario{Noise: &Noise{NoisePlan: report.NoisePlan{Watch: page}}, Incidents: []Incident{of("builtin.main", labels{"team": "shop"})}}, "builtin.main", nil, true},
		"pages are no alarms":                  {Scenario{Alarms: expected, Incidents: []Incident{{Source: "prometheus.main"}}}, "prometheus.main", nil, true},
	} {
		got, ok := c.s.Beside(c.source)
		if diff := cmp.Diff(c.want, got); ok != c.ok || diff != "" {
			t.Errorf("%s: %v, %v: %s", name, got, ok, diff)
		}
	}
	if page["team"] != "" || len(shop) != 2 {
		t.Error("the scenario's own labels were changed")
	}
}

// TestIncidentOutOfSight refuses an incident that its source would not be asked about.
func TestIncidentOutOfSight(t *testing.T) {
	text := `alarms "prometheus" "main" { url = "http://127.0.0.1:9090" }
scenario "s" {
  noise { watch = { severity = "page" } }
  abort "real" {
    incident = alarms.prometheus.main
    match    = { team = "shop" }
  }
}
`
	path := filepath.Join(t.TempDir(), "s.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range Load(path, testOptions()).Diags {
		if d.Summary == "It would not be seen" {
			return
		}
	}
	t.Error("nothing is said of an incident that nobody would be told of")
}
