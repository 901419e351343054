package scenarios

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/alarms"
	"gameday/alarms/alertmanager"
	"gameday/alarms/builtin"
	"gameday/alarms/prometheus"
	"gameday/faults/kinds"
	"gameday/loadgen"
	"gameday/report"
	"gameday/responders"
	"gameday/responders/desk"
	"gameday/responders/file"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func testOptions() Options {
	return Options{
		Catalogue: Catalogue{
			Faults:      kinds.All(),
			Alarms:      []alarms.SourceKind{alertmanager.Kind(), builtin.Kind(), prometheus.Kind()},
			Responders:  []responders.SourceKind{desk.Kind(), file.Kind()},
			CheckScript: checkScript, CheckInCluster: checkInCluster,
		},
		Getenv: func(name string) string { return map[string]string{"ROBOT": "bot-7f3a", "HOME": "/home/ops"}[name] },
	}
}

// checkRequests knows one mistake of a request, and where it is.
func checkRequests(s loadgen.Spec) (out []loadgen.Problem) {
	for _, f := range s.Flows {
		for _, r := range f.Requests {
			if r.Method == "BREW" {
				out = append(out, loadgen.Problem{Request: f.Name + "/" + r.Name, Field: "method", Summary: "Mistake in a request", Detail: "This is no coffee pot."})
			}
		}
	}
	return out
}

// checkScript stands in for the traffic engine, which would make the fuzzer a hundred times slower: it knows one mistake.
// That the real engine finds real ones is proven by validate_script.txtar of cmd/gameday.
func checkScript(s loadgen.Spec) []loadgen.Problem {
	if s.Script == "" {
		return checkRequests(s)
	}
	b, err := os.ReadFile(s.Script)
	if err != nil {
		return []loadgen.Problem{{File: s.Script, Summary: "Unreadable", Detail: err.Error()}}
	}
	for i, line := range strings.Split(string(b), "\n") {
		if at := strings.Index(line, " ;"); at >= 0 {
			return []loadgen.Problem{{File: s.Script, Line: i + 1, Column: at + 2, Summary: "Mistake in a script",
				Detail: "Expected \")\" but found \";\".", Source: line}}
		}
	}
	return nil
}

// TestRunsScripts says of a scenario with scripts, once, that none can be run here, and nothing of others.
func TestRunsScripts(t *testing.T) {
	o := testOptions()
	o.Catalogue.RunsScripts = func() error { return errors.New("gameday-k6 is not there. Put it there.") }
	dir := t.TempDir()
	block := func(name, what string) string {
		return "  traffic \"" + name + "\" {\n    " + what + "\n    baseline { rate = 1 }\n  }\n"
	}
	script, request := `script = "get.js"`, "request \"home\" { url = \"http://shop/\" }"
	for want, traffic := range map[int]string{1: block("a", request) + block("b", script) + block("c", script), 0: block("a", request)} {
		path := filepath.Join(dir, "day.hcl")
		text := "scenario \"s\" {\n  timeline {\n    baseline = \"1s\"\n    load     = \"1s\"\n    recovery = \"1s\"\n  }\n" + traffic + "}\n"
		for p, text := range map[string]string{path: text, filepath.Join(dir, "get.js"): "export default function () {}\n"} {
			if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f := Load(path, o)
		if len(f.Diags) != want {
			t.Fatalf("%d complaints, want %d: %v", len(f.Diags), want, f.Diags)
		}
		if want == 0 {
			continue
		}
		if d := f.Diags[0]; d.Subject.Start.Line != 12 || d.Detail != "This traffic is a k6 script's, and gameday-k6 is not there. Put it there." {
			t.Errorf("line %d: %s", d.Subject.Start.Line, d.Detail)
		}
	}
}

// TestGood loads every file that must load without a word.
func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no good files: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := Load(path, testOptions())
			if len(f.Diags) > 0 {
				var b bytes.Buffer
				if err := WriteText(&b, []*File{f}, 100, false); err != nil {
					t.Fatal(err)
				}
				t.Fatalf("diagnostics:\n%s", b.String())
			}
			if len(f.Scenarios) == 0 {
				t.Fatal("no scenario came out")
			}
		})
	}
}

// TestBad loads every file that must not load, and compares all that is said about it with the golden file beside it. Each
// is loaded many times over: the order of what is said must not depend on that of a map.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.hcl")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d bad files: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			got := complaints(t, path)
			for range 20 {
				if again := complaints(t, path); again != got {
					t.Fatalf("two loads differ:\n%s", cmp.Diff(got, again))
				}
			}
			if got == "" {
				t.Fatal("nothing is said about a bad file")
			}
			golden := strings.TrimSuffix(path, ".hcl") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("what is said changed (-want +got):\n%s", diff)
			}
		})
	}
}

func complaints(t *testing.T, path string) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteText(&b, []*File{Load(path, testOptions())}, 100, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEverything reads back the scenario of the design, value by value.
func TestEverything(t *testing.T) {
	o := testOptions()
	o.Vars = []string{"multiple=4"}
	f := Load("testdata/good/everything.hcl", o)
	if f.Diags.HasErrors() {
		t.Fatal(f.Diags)
	}
	s := f.Scenarios[0]
	if s.Name != "checkout-loses-payments" || s.Owner != "team-checkout" || !s.Blind {
		t.Errorf("head: %q %q %v", s.Name, s.Owner, s.Blind)
	}
	if want := (Timeline{Baseline: 30 * time.Second, Ramp: 10 * time.Second, Load: 3 * time.Minute, Recovery: time.Minute}); s.Timeline != want {
		t.Errorf("timeline %v, want %v", s.Timeline, want)
	}
	if got := s.Traffic[0]; got.Rate != 40 || got.Multiple != 4 {
		t.Errorf("traffic at %v × %v, want 40 × 4: -var must win over the default", got.Rate, got.Multiple)
	}
	var ids []string
	for _, e := range s.Expects {
		ids = append(ids, e.ID()+": "+e.That.Expr.String())
	}
	want := []string{
		"steady_state.availability: sli.error_ratio < 0.01",
		"steady_state.latency: sli.p95 < 0.3",
		"capacity.holds 3x: (sli.p95 < 0.5) && (sli.error_ratio < 0.01)",
		"fault.cut.degrades, does not die: sli.error_ratio < 0.3",
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("expectations (-want +got):\n%s", diff)
	}
	begins := map[string]time.Duration{}
	for _, f := range s.Faults {
		begins[f.Name] = s.Begins(f.Name)
	}
	// cut begins at 60s and stands for 45s; reboot waits 20s after that.
	if diff := cmp.Diff(map[string]time.Duration{"crash": 20 * time.Second, "cut": time.Minute, "reboot": 125 * time.Second}, begins); diff != "" {
		t.Errorf("instants (-want +got):\n%s", diff)
	}
	a := s.Alarms[0].AlarmPlan
	if a.Source != "prometheus.main" || a.PagesVia != "alertmanager.main" || a.Cause != "cut" || !a.Required ||
		a.FiresWithin != 30*time.Second || a.ClearsWithin != 2*time.Minute {
		t.Errorf("alarm %+v", a)
	}
	r := s.Responses[0].ResponsePlan
	if r.To != "PaymentsDown" || r.Acknowledge.Within != 5*time.Minute || r.Escalate.OnlyAfter != 10*time.Minute ||
		r.Escalate.ToLevel != 2 || len(r.Marks) != 1 || r.Resolve.Within != 30*time.Minute {
		t.Errorf("response %+v", r)
	}
	if s.Score.Pass != 80 || s.Score.Weights[report.Service] != 25 {
		t.Errorf("score %+v", s.Score)
	}
}

// TestSecrets checks that a secret reaches the source it is for, and is taken out of everything that is written.
func TestSecrets(t *testing.T) {
	s := Load("testdata/good/everything.hcl", testOptions()).Scenarios[0]
	c := s.Responders[0].Config.(*desk.Config)
	if diff := cmp.Diff([]string{"bot-7f3a"}, c.Automation); diff != "" {
		t.Errorf("the source did not get its secret:\n%s", diff)
	}
	if got := s.Redact("hello bot-7f3a."); got != "hello [secret ROBOT]." {
		t.Errorf("redacted %q", got)
	}
	if len(s.Secrets) != 1 || !s.Secrets[0].Set || strings.Contains(fmt.Sprintf("%+v", s.Secrets[0].Name), "7f3a") {
		t.Errorf("secrets %v", len(s.Secrets))
	}
}

// TestSecretsInDiagnostics loads mistakes in values that come from secrets, of awkward kinds: nothing that is printed has them.
func TestSecretsInDiagnostics(t *testing.T) {
	for _, value := range []string{"bot-7f3a", `hun"ter\2`, "line\nbreak", "hunter2secret"} {
		o := testOptions()
		o.Getenv = func(string) string { return value }
		f := Load("testdata/bad/secret-values.hcl", o)
		if len(f.Diags.Errs()) < 6 {
			t.Errorf("%d mistakes, want 6 or more: %v", len(f.Diags.Errs()), f.Diags)
		}
		said := string(say(t, f))
		if !strings.Contains(said, "[secret ROBOT]") {
			t.Errorf("the secret is not named:\n%s", said)
		}
		for _, form := range []string{value, strings.Trim(fmt.Sprintf("%q", value), `"`)} {
			if strings.Contains(said, form) {
				t.Errorf("%q is printed:\n%s", form, said)
			}
		}
		for _, d := range f.Diags {
			if d.EvalContext != nil || d.Expression != nil {
				t.Errorf("%s carries values", d.Summary)
			}
		}
	}
	o := testOptions()
	o.Getenv = func(string) string { return "1234" }
	said := string(say(t, Load("testdata/bad/secret-values.hcl", o)))
	if !strings.Contains(said, "Secret in a condition") || !strings.Contains(said, "Secret as a number") || strings.Contains(said, "1234") {
		t.Errorf("of a secret that is a number:\n%s", said)
	}
	secrets := []Secret{{Name: "PART", value: "hunt"}, {Name: "WHOLE", value: "hunter2"}, {Name: "PIN", value: "123"}}
	if got := redact(secrets, "hunter2 hunts 123"); got != "[secret WHOLE] [secret PART]s 123" {
		t.Errorf("redacted %q", got)
	}
}

// TestAwkwardFiles tries files that are wrong as files.
func TestAwkwardFiles(t *testing.T) {
	good, err := os.ReadFile("testdata/good/everything.hcl")
	if err != nil {
		t.Fatal(err)
	}
	deep := "locals {\n  a = " + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + "\n}\n"
	for _, tc := range []struct {
		name, content string
		want          string // a part of what must be said; "" for nothing
	}{
		{"empty", "", "The file is empty"},
		{"only space", " \n\t\n", "The file is empty"},
		{"only a byte order mark", "\xef\xbb\xbf", "The file is empty"},
		{"ten megabytes", strings.Repeat("# nothing\n", 1<<20), "10485760 bytes"},
		{"deep nesting", deep, "Nested too deeply"},
		{"deep negation", "locals {\n  a = " + strings.Repeat("!", 500_000) + "true\n}\n", "Nested too deeply"},
		{"deep templates", "locals {\n  a = \"" + strings.Repeat("${\"", 100_000) + "\n}\n", "Nested too deeply"},
		{"windows line ends", strings.ReplaceAll(string(good), "\n", "\r\n"), ""},
		{"byte order mark", "\xef\xbb\xbf" + string(good), ""},
		{"not UTF-8", strings.Replace(string(good), "on-call hears", "on-call \xff\xfe hears", 1), "is not UTF-8 text: line"},
		{"UTF-16", "\xff\xfes\x00c\x00", "begins as UTF-16 does"},
		{"no scenario", "variable \"x\" {\n  default = 1\n}\n", "No scenario in this file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			copyFile(t, "testdata/good/shoppers.js", filepath.Join(dir, "shoppers.js"))
			path := filepath.Join(dir, "s.hcl")
			if err := os.WriteFile(path, []byte(tc.content), 0o644); err != nil {
				t.Fatal(err)
			}
			got := complaints(t, path)
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("said %q, want it to contain %q", cut(got), tc.want)
			}
		})
	}
	if got := complaints(t, "testdata/no-such.hcl"); !strings.Contains(got, "testdata/no-such.hcl: no such file") || strings.Contains(got, "source code") {
		t.Errorf("a missing file: %q", got)
	}
	if got := complaints(t, "testdata"); !strings.Contains(got, "is a folder") {
		t.Errorf("a folder: %q", got)
	}
}

func cut(s string) string { return s[:min(len(s), 600)] }

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFileStaysBelow tries every way out of the scenario's folder that file() knows of.
func TestFileStaysBelow(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "inner")
	if err := os.MkdirAll(filepath.Join(inner, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"outside.txt": "no", "inner/a.txt": "yes", "inner/sub/b.txt": "yes"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../outside.txt", filepath.Join(inner, "link.txt")); err != nil {
		t.Fatal(err)
	}
	for path, fine := range map[string]bool{
		"a.txt": true, "sub/b.txt": true, "sub/../a.txt": true,
		"../outside.txt": false, "sub/../../outside.txt": false, "link.txt": false, "/etc/hostname": false, "sub": false, "none.txt": false,
	} {
		got, err := readBelow(inner, path, "file()")
		if (err == nil) != fine || (fine && got != "yes") {
			t.Errorf("file(%q) = %q, %v", path, got, err)
		}
	}
}

// TestVariables checks where values come from, and what is said when they do not fit.
func TestVariables(t *testing.T) {
	dir := t.TempDir()
	vars := filepath.Join(dir, "prod.vars")
	if err := os.WriteFile(vars, []byte("multiple = 5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		vars  []string
		files []string
		want  float64
		say   string
	}{
		{name: "default", want: 3},
		{name: "file", files: []string{vars}, want: 5},
		{name: "flag over file", files: []string{vars}, vars: []string{"multiple=6"}, want: 6},
		{name: "last flag", vars: []string{"multiple=6", "multiple=2"}, want: 2},
		{name: "wrong type", vars: []string{"multiple=[1]"}, say: "must be number"},
		{name: "no value", vars: []string{"multiple"}, say: "name=value"},
		{name: "misspelt", vars: []string{"multipel=2"}, say: `Did you mean "multiple"?`},
		{name: "not a value", vars: []string{"multiple=2 +"}, say: "is not a value of type number"},
		{name: "missing file", files: []string{filepath.Join(dir, "none")}, say: "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := testOptions()
			o.Vars, o.VarFiles = tc.vars, tc.files
			f := Load("testdata/good/everything.hcl", o)
			if tc.say != "" {
				if got := f.Diags.Error(); !strings.Contains(got, tc.say) {
					t.Errorf("said %q, want %q", got, tc.say)
				}
				return
			}
			if f.Diags.HasErrors() {
				t.Fatal(f.Diags)
			}
			if got := f.Scenarios[0].Traffic[0].Multiple; got != tc.want {
				t.Errorf("multiple = %v, want %v", got, tc.want)
			}
		})
	}
}
