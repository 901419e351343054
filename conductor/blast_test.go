package conductor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gameday/alarms"
	"gameday/alarms/builtin"
	"gameday/faults/kinds"
	"gameday/responders"
	"gameday/responders/desk"
	"gameday/scenarios"
	"gameday/targets"
)

// load loads a scenario that is written in the test, with one secret.
func load(t *testing.T, secret, text string) *scenarios.Scenario {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "s.hcl")
	for name, body := range map[string]string{path: text, filepath.Join(dir, "get.js"): "export default function () {}\n"} {
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := scenarios.Load(path, scenarios.Options{
		Catalogue: scenarios.Catalogue{Faults: kinds.All(), Alarms: []alarms.SourceKind{builtin.Kind()},
			Responders: []responders.SourceKind{desk.Kind()}},
		Getenv: func(string) string { return secret },
	})
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	return f.Scenarios[0]
}

const plainHead = `
  timeline {
    baseline = "10s"
    load     = "20s"
    recovery = "7999ms"
  }
  traffic "visitors" {
    script = "get.js"
    baseline { rate = 10 }
  }
`

// TestPlanWithoutSecrets puts a secret wherever the language takes one, and looks for it in all that plan prints.
func TestPlanWithoutSecrets(t *testing.T) {
	const secret = `hun"ter\.`
	s := load(t, secret, `
alarms "builtin" "main" {
  rule "Slow" { when = sli.p95 > 1 }
}
scenario "s" {`+plainHead+`
  summary = "to ${secret("TOK")}"
  owner   = secret("TOK")
  target "web" {
    process { command = secret("TOK") }
  }
  fault "process_kill" "crash" {
    target = target.web
    at     = "1s"
  }
  alarm "Slow" {
    source       = alarms.builtin.main
    match        = { alertname = "Slow", team = secret("TOK") }
    fires_within = "5s"
  }
  noise {
    watch = { (secret("TOK")) = secret("TOK") }
    allow = [secret("TOK")]
  }
}`)
	p := Plan(t.Context(), Options{Scenario: s, Machine: &targets.Machine{}})
	if len(p.Warnings) == 0 || !strings.Contains(strings.Join(p.Warnings, " "), `"web"`) {
		t.Errorf("the target is not warned of: %q", p.Warnings)
	}
	if p.Noise.Watch["[secret TOK]"] != "[secret TOK]" || p.Summary != "to [secret TOK]" {
		t.Errorf("the secret is not named: %+v, %q", p.Noise, p.Summary)
	}
	var b bytes.Buffer
	if err := WritePlan(&b, p); err != nil {
		t.Fatal(err)
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"hun", "ter"} {
		if strings.Contains(b.String(), part+`"`) || strings.Contains(b.String(), part+`\`) {
			t.Errorf("the secret is printed:\n%s", b.String())
		}
	}
	if s.Noise.Watch[secret] != secret || s.Alarms[0].Match["team"] != secret {
		t.Error("the scenario itself has lost its secret")
	}
}

// TestRecoveryWarning holds the warning to its bound: the longest window, and three seconds.
func TestRecoveryWarning(t *testing.T) {
	const steady = `
  steady_state {
    expect "a" {
      that = sli.p95 < 1
      over = "2s"
    }
    expect "b" { that = sli.p95 < 1 }
  }`
	const fault = `
  target "web" {
    process { listen = 1 }
  }
  fault "process_kill" "crash" {
    target = target.web
    at     = "1s"
  }`
	for _, tc := range []struct {
		name, text string
		want       bool
	}{
		{"too short", plainHead + steady + fault, true},
		{"just long enough", strings.Replace(plainHead, "7999ms", "8s", 1) + steady + fault, false},
		{"no fault", plainHead + steady, false},
		{"no steady state", plainHead + fault, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := MakePlan(load(t, "", "scenario \"s\" {"+tc.text+"\n}"))
			const want = "The recovery phase (7.999s) is shorter than the longest window of steady_state (over 5s) and 3s"
			if got := strings.Contains(strings.Join(p.Warnings, "\n"), want); got != tc.want {
				t.Errorf("warnings %q", p.Warnings)
			}
		})
	}
}

// TestBlast counts what faults touch, with a lab and without, and names it where the lab's declaration tells.
func TestBlast(t *testing.T) {
	const lab = `
lab "l" {
  node "a" {
    process "api" {
      command = ["/bin/true"]
      listen  = 80
    }
    process "worker" { command = ["/bin/true"] }
  }
  node "b" {
  }
  node "c" {
  }
}
`
	crash := func(name string) string {
		return "fault \"process_kill\" \"kill-" + name + "\" {\n target = target." + name + "\n at = \"1s\"\n}\n"
	}
	restart := func(name string) string { return strings.Replace(crash(name), "process_kill", "node_restart", 1) }
	const api = "target \"api\" {\n process { listen = 80 }\n}\n"
	const worker = "target \"worker\" {\n process { exe = \"worker\" }\n}\n"
	const nodes = "target \"a\" {\n node { name = \"a\" }\n}\ntarget \"b\" {\n node { name = \"b\" }\n}\n"
	for _, tc := range []struct {
		name, outer, inner, want string
		places                   []string // of the first target
	}{
		{"a process of the lab", lab, api + crash("api"), "1 of 3 nodes", []string{"process api on node a"}},
		{"a process and its node", lab, api + nodes + crash("api") + restart("a"), "1 of 3 nodes", []string{"process api on node a"}},
		{"two nodes", lab, nodes + restart("a") + restart("b"), "2 of 3 nodes", []string{"node a"}},
		{"only what a fault touches", lab, nodes + restart("b"), "1 of 3 nodes", []string{"node a"}},
		{"a process that the lab does not tell", lab, worker + nodes + crash("worker") + restart("a"), "2 targets", nil},
		{"no lab", "", api + crash("api"), "1 target", nil},
		{"no fault", lab, api, "", []string{"process api on node a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := MakePlan(load(t, "", tc.outer+"scenario \"s\" {"+plainHead+tc.inner+"}"))
			if p.Blast != tc.want {
				t.Errorf("blast %q, want %q", p.Blast, tc.want)
			}
			if got := strings.Join(p.Targets[0].Places, "; "); got != strings.Join(tc.places, "; ") {
				t.Errorf("places %q, want %q", got, tc.places)
			}
			var b bytes.Buffer
			if err := WritePlan(&b, p); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(b.String(), "  Blast      "+tc.want+"\n"); got != (tc.want != "") {
				t.Errorf("printed:\n%s", b.String())
			}
		})
	}
}
