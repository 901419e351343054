package export

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"
	"gopkg.in/yaml.v3"
	batch "k8s.io/api/batch/v1"
	strict "sigs.k8s.io/yaml"

	"gameday/schedules"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func parsed(t testing.TB, text string) *schedules.Cron {
	t.Helper()
	c, err := schedules.ParseCron(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// calendar has schedules of all sorts.
func calendar(t testing.TB) []*schedules.Schedule {
	t.Helper()
	weekly, err := schedules.ParseEvery("2w", schedules.DefaultAnchor)
	if err != nil {
		t.Fatal(err)
	}
	items := []schedules.Item{{File: "drill.hcl", Scenario: "drill", Length: 30 * time.Minute}}
	day := func(h, m int) time.Duration { return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute }
	return []*schedules.Schedule{
		{Name: "fortnight", Items: items, Every: weekly, Zone: zone(t, "Europe/Berlin"), Moment: schedules.AtRandom,
			Window: &schedules.Window{Days: []time.Weekday{2, 3, 4}, From: day(10, 0), To: day(16, 0)}},
		{Name: "first-tuesday", Items: items, Cron: parsed(t, "0 11 1-7 * *"), Zone: zone(t, "America/New_York"),
			Window: &schedules.Window{Days: []time.Weekday{2}, From: day(11, 0), To: day(13, 0)}},
		{Name: "nightly", Items: items, Cron: parsed(t, "30 2 * * *"), Zone: zone(t, "Europe/Berlin")},
		{Name: "either", Items: items, Cron: parsed(t, "15 9 29 2,3 mon"), Zone: zone(t, "Asia/Kathmandu")},
		{Name: "sunday-night", Items: items, Cron: parsed(t, "45 0 * * sun"), Zone: zone(t, "Pacific/Chatham"), Window: &schedules.Window{From: day(0, 45), To: day(4, 0)}},
		{Name: "half-hours", Items: items, Cron: parsed(t, "*/30 8-17 * * 1-5"), Zone: time.UTC},
	}
}

func options(program string) Options {
	return Options{Calendar: "game-days", File: "ops/game-days.hcl", Program: program, Dir: "/srv/ops", Image: "registry.example/gameday:1"}
}

// kinds are all that can be written.
var kinds = map[string]func([]*schedules.Schedule, Options) (string, error){"systemd": Systemd, "cronjob": CronJob, "github": GitHub, "gitlab": GitLab}

// TestGolden compares what is written with what was looked at.
func TestGolden(t *testing.T) {
	for name, write := range kinds {
		t.Run(name, func(t *testing.T) {
			got, err := write(calendar(t), options("/usr/local/bin/gameday"))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
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
				t.Error(diff)
			}
		})
	}
}

// TestAnnounces compares the units of a calendar that tells people with what was looked at.
func TestAnnounces(t *testing.T) {
	o := options("/usr/local/bin/gameday")
	o.Announce, o.Name = true, "nightly"
	got, err := Systemd(calendar(t), o)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "systemd_announce.golden")
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
		t.Error(diff)
	}
}

// tool skips a test for want of a program, but in CI, where it must be there.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not there, and CI must have it", name)
		}
		t.Skipf("%s is not there", name)
	}
	return path
}

var partHead = regexp.MustCompile(`(?m)^# /etc/systemd/system/(\S+)$`)

// units takes what Systemd writes apart, as its first lines say.
func units(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	heads := partHead.FindAllStringSubmatchIndex(text, -1)
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		out[text[h[2]:h[3]]] = text[h[1]:end]
	}
	return out
}

// TestSystemdTakes has systemd itself verify the units.
func TestSystemdTakes(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	o := options("/bin/true")
	o.Announce = true
	text, err := Systemd(calendar(t), o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var files []string
	for name, unit := range units(t, text) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	if len(files) != 2*len(calendar(t))+2 { // and those of announcements
		t.Fatalf("%d files", len(files))
	}
	slices.Sort(files)
	out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) { // of other units of the machine it complains as well
		if strings.Contains(line, dir) || strings.Contains(line, "gameday-") {
			t.Errorf("systemd-analyze says: %s", line)
		}
	}
	if err != nil && !t.Failed() {
		t.Logf("systemd-analyze: %v, and says nothing of these units: %s", err, out)
	}
}

// elapses asks systemd when a timer elapses after an instant.
func elapses(t *testing.T, analyze, expression string, after time.Time, n int) []time.Time {
	t.Helper()
	c := exec.Command(analyze, "calendar", "--base-time="+after.UTC().Format("2006-01-02 15:04:05 UTC"), fmt.Sprint("--iterations=", n), expression)
	c.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", expression, err, out)
	}
	var times []time.Time
	for _, m := range regexp.MustCompile(`(?m)(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w{3} (\S+ \S+) UTC`).FindAllStringSubmatch(string(out), -1) {
		at, err := time.Parse("2006-01-02 15:04:05", m[1])
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, at)
	}
	return times
}

// callable says that whatever calls at these times calls for each occasion of two years, in its hours, when it could begin: not
// before they open by more than a minute, and early enough for a run.
func callable(t *testing.T, s *schedules.Schedule, from time.Time, calls []time.Time) {
	t.Helper()
	slices.SortFunc(calls, time.Time.Compare)
	if len(calls) == 0 {
		t.Fatalf("%s is never called", s.Name)
	}
	last := calls[len(calls)-1]
	seen := 0
	for _, o := range s.Between(from, from.AddDate(2, 0, 0), schedules.Seed("seed")) {
		for _, w := range o.Windows {
			if w.From.After(last.Add(-24*time.Hour)) || !w.From.Before(w.To) {
				continue
			}
			seen++
			if !slices.ContainsFunc(calls, func(c time.Time) bool {
				return !c.Before(w.From) && !c.After(w.From.Add(time.Hour)) && !c.After(w.To.Add(-s.Length()))
			}) {
				t.Errorf("%s is not called for %s, %s to %s", s.Name, o.ID, w.From, w.To)
			}
		}
	}
	if seen == 0 {
		t.Errorf("%s: nothing to call for until %s", s.Name, last)
	}
}

var from = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// TestSystemdCalls asks systemd itself when the timers elapse.
func TestSystemdCalls(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	for _, s := range calendar(t) {
		var times []time.Time
		for _, e := range onCalendar(calls(s), s.Zone.String()) {
			times = append(times, elapses(t, analyze, e, from, 900)...)
		}
		callable(t, s, from, times)
	}
}

// TestCronJobs decodes the manifests strictly, and asks the library that the controller of CronJobs uses when they come.
func TestCronJobs(t *testing.T) {
	text, err := CronJob(calendar(t), options(""))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(text, "\n---\n")[1:] {
		var job batch.CronJob
		if err := strict.UnmarshalStrict([]byte(part), &job); err != nil {
			t.Fatal(err)
		}
		s := calendar(t)[i]
		if job.Spec.TimeZone == nil || *job.Spec.TimeZone != s.Zone.String() || *job.Spec.JobTemplate.Spec.BackoffLimit != 0 {
			t.Errorf("%s has the time zone %v and a back-off limit of %d", job.Name, job.Spec.TimeZone, *job.Spec.JobTemplate.Spec.BackoffLimit)
		}
		c, err := cron.ParseStandard("TZ=" + *job.Spec.TimeZone + " " + job.Spec.Schedule)
		if err != nil {
			t.Fatal(err)
		}
		var calls []time.Time
		for at := c.Next(from); at.Before(from.AddDate(2, 0, 0)); at = c.Next(at) {
			calls = append(calls, at)
		}
		callable(t, s, from, calls)
	}
}

// workflow is what is looked at of a workflow.
type workflow struct {
	On struct {
		Schedule []struct{ Cron string }
	}
	Jobs map[string]struct {
		If    string
		Steps []struct{ Name, Run string }
	}
}

// TestGitHubCalls goes through the crons of the workflow as GitHub does, in UTC, and lets a real shell decide with the script of the
// job which of them counts: each opening is called for once.
func TestGitHubCalls(t *testing.T) {
	shell := tool(t, "bash")
	all := calendar(t)
	text, err := GitHub(all, options(""))
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		job := w.Jobs[s.Name]
		var script string
		for _, x := range job.Steps {
			if x.Name == "Run what is due" {
				script = x.Run
			}
		}
		head, _, ok := strings.Cut(script, "gameday schedule run")
		if !ok {
			t.Fatalf("%s calls nothing: %s", s.Name, script)
		}
		goes := map[string]bool{} // by cron and offset
		counts := func(c string, at time.Time) bool {
			key := c + at.In(s.Zone).Format(" -0700")
			if v, ok := goes[key]; ok {
				return v
			}
			// The script asks the clock; a function of the same name answers for the day in question.
			run := exec.Command(shell, "-c", fmt.Sprintf("date() { echo %s; }\n%s\necho goes", at.In(s.Zone).Format("-0700"), head))
			run.Env = append(os.Environ(), "CALLED_BY="+c)
			out, err := run.Output()
			if err != nil {
				t.Fatal(err)
			}
			goes[key] = strings.Contains(string(out), "goes")
			return goes[key]
		}
		var calls []time.Time
		for _, x := range w.On.Schedule {
			if !strings.Contains(job.If, fmt.Sprintf("%q", x.Cron)) {
				continue
			}
			c, err := cron.ParseStandard("TZ=UTC " + x.Cron)
			if err != nil {
				t.Fatal(err)
			}
			for at := c.Next(from); at.Before(from.AddDate(2, 0, 0)); at = c.Next(at) {
				if counts(x.Cron, at) && !slices.ContainsFunc(calls, at.Equal) {
					calls = append(calls, at)
				}
			}
		}
		callable(t, s, from, calls)
	}
}

// TestGitHubTakes has workflows checked by actionlint, which knows GitHub's fields, events, contexts and expressions: those that are written, and
// the example.
func TestGitHubTakes(t *testing.T) {
	text, err := GitHub(calendar(t), options(""))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	workflow, config := filepath.Join(dir, "workflow.yml"), filepath.Join(dir, "actionlint.yaml")
	misspelt := filepath.Join(dir, "misspelt.yml")
	for path, content := range map[string]string{workflow: text, misspelt: strings.ReplaceAll(text, "github.event.schedule", "github.evnt.schedule"),
		config: "self-hosted-runner: {labels: [gameday]}\n"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(path string) (string, error) {
		c := exec.Command(tool(t, "go"), "tool", "-modfile=../../tools/go.mod", "actionlint", "-no-color", "-shellcheck=", "-pyflakes=", "-config-file", config, path)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for _, path := range []string{workflow, "../../examples/ci/github.yml"} {
		if out, err := check(path); err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
	}
	if out, err := check(misspelt); err == nil || !strings.Contains(out, `"evnt"`) {
		t.Errorf("of a context that does not exist it says %q", out)
	}
}

// TestGitLab decodes the jobs, and sees that each has a rule for its schedule and a pipeline schedule in the comment.
func TestGitLab(t *testing.T) {
	all := calendar(t)
	text, err := GitLab(all, options(""))
	if err != nil {
		t.Fatal(err)
	}
	var jobs map[string]struct {
		Script []string
		Rules  []struct{ If string }
	}
	if err := yaml.Unmarshal([]byte(text), &jobs); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		j := jobs["gameday-"+s.Name]
		if len(j.Script) != 1 || !strings.HasSuffix(j.Script[0], " "+s.Name) || len(j.Rules) != 1 || !strings.Contains(j.Rules[0].If, fmt.Sprintf("%q", s.Name)) {
			t.Errorf("%s: %+v", s.Name, j)
		}
		m := regexp.MustCompile(`(?m)^#   ` + s.Name + `: interval pattern "(.*)", cron timezone (\S+), variable GAMEDAY_SCHEDULE = ` + s.Name + `$`).FindStringSubmatch(text)
		if m == nil {
			t.Errorf("no pipeline schedule is told for %s", s.Name)
			continue
		}
		c, err := cron.ParseStandard("TZ=" + m[2] + " " + m[1])
		if err != nil {
			t.Fatal(err)
		}
		var calls []time.Time
		for at := c.Next(from); at.Before(from.AddDate(2, 0, 0)); at = c.Next(at) {
			calls = append(calls, at)
		}
		callable(t, s, from, calls)
	}
}

// TestNames refuses what would break out of its place.
func TestNames(t *testing.T) {
	for name, write := range kinds {
		o := options("/usr/bin/gameday")
		o.File = "x\"; rm -rf y"
		if text, err := write(calendar(t), o); err == nil {
			t.Errorf("%s writes %s", name, text)
		}
	}
}
