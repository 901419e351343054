package export

import (
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"gameday/schedules"
)

// Everything of GitHub's and GitLab's formats that is written, and of what kind it is there. The names and kinds are those of the JSON schemas
// github-workflow and gitlab-ci of schemastore.org.

type strictWorkflow struct {
	Name string
	On   struct {
		Schedule []struct{ Cron string }
	}
	Permissions map[string]string
	Jobs        map[string]struct {
		RunsOn         []string `yaml:"runs-on"`
		TimeoutMinutes float64  `yaml:"timeout-minutes"`
		If             string
		Concurrency    struct {
			Group            string
			CancelInProgress bool `yaml:"cancel-in-progress"`
		}
		Steps []struct {
			Name, If, Uses, Run string
			Env                 map[string]string
			With                map[string]string
		}
	}
}

type strictPipeline map[string]struct {
	Image struct {
		Name       string
		Entrypoint []string
	}
	Tags          []string
	Rules         []struct{ If string }
	ResourceGroup string `yaml:"resource_group"`
	Interruptible bool
	Retry         int
	Timeout       string
	Variables     map[string]string
	Script        []string
	Artifacts     struct {
		When  string
		Paths []string
	}
}

var (
	githubJob     = regexp.MustCompile(`^[_a-zA-Z][a-zA-Z0-9_-]*$`)
	gitlabTimeout = regexp.MustCompile(`^[1-9][0-9]* minutes$`)
)

// odd are schedules whose names begin with a digit.
func odd(t *testing.T) []*schedules.Schedule {
	t.Helper()
	s := *calendar(t)[0]
	s.Name = "2nd-week"
	return append(calendar(t), &s)
}

// TestFormats decodes a workflow and a pipeline strictly: nothing is written that these systems do not know, or of another kind.
func TestFormats(t *testing.T) {
	decode := func(text string, into any) {
		t.Helper()
		d := yaml.NewDecoder(strings.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	var w strictWorkflow
	text, err := GitHub(odd(t), options(""))
	if err != nil {
		t.Fatal(err)
	}
	decode(text, &w)
	for _, x := range w.On.Schedule {
		if n := len(strings.Fields(x.Cron)); n != 5 {
			t.Errorf("%q has %d fields", x.Cron, n)
		}
	}
	if len(w.Jobs) != len(odd(t)) || w.Permissions["contents"] != "read" {
		t.Errorf("%d jobs, with permissions %v", len(w.Jobs), w.Permissions)
	}
	for name, j := range w.Jobs {
		if !githubJob.MatchString(name) {
			t.Errorf("GitHub takes no job %q", name)
		}
		for _, s := range j.Steps {
			if (s.Uses == "") == (s.Run == "") {
				t.Errorf("%s: a step has one of uses and run: %+v", name, s)
			}
		}
		if j.TimeoutMinutes < 1 || j.TimeoutMinutes > 5*24*60 || len(j.RunsOn) != 2 || j.Concurrency.Group == "" || j.Concurrency.CancelInProgress {
			t.Errorf("%s: %+v", name, j)
		}
	}
	var p strictPipeline
	if text, err = GitLab(odd(t), options("")); err != nil {
		t.Fatal(err)
	}
	decode(text, &p)
	for name, j := range p {
		if !gitlabTimeout.MatchString(j.Timeout) || j.Retry != 0 || j.Artifacts.When != "always" || j.Image.Name == "" || j.ResourceGroup == "" || len(j.Tags) != 1 {
			t.Errorf("%s: %+v", name, j)
		}
	}
	if !strings.Contains(text, "gameday's own image has none") {
		t.Error("nobody is told that the image needs a shell")
	}
}

// TestSecrets says of each system how a scenario's secrets come to it: none has the environment of whoever wrote the calendar.
func TestSecrets(t *testing.T) {
	for name, want := range map[string]string{"systemd": "\nEnvironmentFile=-/etc/gameday/game-days.env\n", "cronjob": "secretRef:", "github": "${{ secrets.NAME }}", "gitlab": "CI/CD variables"} {
		if text, err := kinds[name](calendar(t), options("/usr/bin/gameday")); err != nil || !strings.Contains(text, want) {
			t.Errorf("%s does not say %q: %v", name, want, err)
		}
	}
}

// TestCronJobName refuses a name that Kubernetes does not take.
func TestCronJobName(t *testing.T) {
	s := *calendar(t)[0]
	s.Name = "fortnight-"
	if text, err := CronJob([]*schedules.Schedule{&s}, options("")); err == nil || !strings.Contains(err.Error(), "give the schedule another name") {
		t.Errorf("%v: %s", err, text)
	}
}
