package conductor

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/audit"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/policy"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
)

const password = "hunter2"

// told is a place with the text that plan shows.
type told struct {
	where faults.Place
	text  string
}

func (p told) Where() faults.Place                          { return p.where }
func (p told) Describe() string                             { return p.text }
func (p told) Guard(context.Context) (*guard.Client, error) { return nil, nil }

func TestIdentified(t *testing.T) {
	java := &faults.Process{PID: 4127, Exe: "/usr/lib/jvm/bin/java", Command: "java -Dpassword=" + password}
	text := "pid 4127 java -Dpassword=" + password
	for name, tc := range map[string]struct {
		place told
		want  string
	}{
		"a process": {told{faults.Place{Name: "web", Process: java}, text}, "web: pid 4127 java (process listening on port 80)"},
		"on a host": {told{faults.Place{Name: "web/2", Process: java, Host: "web-1"}, text}, "web/2: web-1: pid 4127 java (process listening on port 80)"},
		"that cannot be read": {told{faults.Place{Name: "web", Process: &faults.Process{PID: 4127, Command: java.Command}}, text},
			"web: pid 4127 (process listening on port 80)"},
		"in a container": {told{faults.Place{Name: "web", Process: java, Node: &faults.Node{Name: "shop-1", Container: "3f"}}, "container shop-1, " + text},
			"web: container shop-1, pid 4127 java (process listening on port 80)"},
		"a node": {told{faults.Place{Name: "db", Node: &faults.Node{Name: "db"}}, "db 198.18.0.2"}, "db: db 198.18.0.2"},
	} {
		if got := identified(tc.place, &targets.Process{Listen: 80}); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestWithoutArguments takes the errors as they are made, so that it fails when their words change.
func TestWithoutArguments(t *testing.T) {
	found := []string{"pid 7 java --password=" + password + ", more; narrow the selector", "pid 8 java --password=" + password}
	denied := (&policy.Policy{Format: policy.Format, Deny: policy.Deny{Command: []string{"^java"}}}).Check(policy.Request{Kind: "process_pause",
		Processes: []policy.Process{{Exe: "/bin/java", Command: `java "--password=` + password + `"`}}}, time.Now())
	if len(denied) != 1 || !strings.Contains(denied[0].String(), password) {
		t.Fatalf("violations: %v", denied)
	}
	for name, text := range map[string]string{
		"too many":          (&targets.TooManyError{Target: "web", Selector: "x", Of: 2, AtMost: 1, Found: found}).Error(),
		"too many, a share": (&targets.TooManyError{Target: "web", Of: 2, AtMost: 1, Found: found, Choice: targets.Choice{AtMost: targets.Amount{Percent: 50}}}).Error(),
		"denied":            "injecting x: " + denied[0].String(),
	} {
		got := withoutArguments(text)
		if strings.Contains(got, password) || len(got) < 60 {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, text := range []string{"", "no such process", "the address (10.0.0.1): none; pick another"} {
		if got := withoutArguments(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestAuditHasNoArguments checks the lines that the auditor writes.
func TestAuditHasNoArguments(t *testing.T) {
	log, err := audit.Open(filepath.Join(t.TempDir(), "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	a := newAuditor(Options{Audit: log, Run: "r", Scenario: &scenarios.Scenario{Name: "s"}})
	data, err := json.Marshal(report.Injection{Fault: "cut", Error: (&targets.TooManyError{Target: "web", Found: []string{"pid 7 java " + password}}).Error()})
	if err != nil {
		t.Fatal(err)
	}
	a.observe(report.Event{Kind: report.InjectFailed, Data: data})
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	lines, _, err := audit.Read(log.Path(), time.Time{})
	if err != nil || len(lines) != 1 || strings.Contains(lines[0].Why, password) || lines[0].What != audit.NotInjected {
		t.Errorf("%+v, %v", lines, err)
	}
}
