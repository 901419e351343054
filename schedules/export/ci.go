package export

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/schedules"
)

// offsets returns the offsets from UTC that a zone has in the years around 2030, the lowest first.
func offsets(zone *time.Location) []time.Duration {
	var out []time.Duration
	for t := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); t.Year() < 2036; t = t.AddDate(0, 0, 7) {
		_, s := t.In(zone).Zone()
		if d := time.Duration(s) * time.Second; !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return out
}

// inUTC returns a set of fields in UTC, for a clock that is so far ahead of it. Where hours come to lie on another date than by
// that clock, days of the month cannot be said: then every day is called, which is more.
func inUTC(f schedules.Fields, ahead time.Duration) []schedules.Fields {
	hours, mins := f.Hours, f.Minutes
	if hours == nil {
		hours = numbers(24)
	}
	if mins == nil {
		mins = numbers(60)
	}
	by := map[int]map[int][]int{} // by days moved, and then by minute
	for _, h := range hours {
		for _, m := range mins {
			at := h*60 + m - int(ahead/time.Minute)
			moved := 0
			for ; at < 0; at += 24 * 60 {
				moved--
			}
			for ; at >= 24*60; at -= 24 * 60 {
				moved++
			}
			if by[moved] == nil {
				by[moved] = map[int][]int{}
			}
			by[moved][at%60] = append(by[moved][at%60], at/60)
		}
	}
	var out []schedules.Fields
	for _, day := range []int{-1, 0, 1} {
		for minute := range 60 {
			hours, ok := by[day][minute]
			if !ok {
				continue
			}
			slices.Sort(hours)
			x := f
			x.Minutes, x.Hours = []int{minute}, slices.Compact(hours)
			if day != 0 {
				x.Days, x.Months, x.Either = nil, nil, false
				if f.Days != nil || f.Months != nil {
					x.Weekdays = nil
				}
				x.Weekdays = shifted(x.Weekdays, day)
			}
			out = append(out, x)
		}
	}
	return out
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func shifted(days []int, by int) []int {
	var out []int
	for _, d := range days {
		out = append(out, (d+by+7)%7)
	}
	slices.Sort(out)
	return out
}

// maxCrons bounds how many cron expressions a schedule may need.
const maxCrons = 20

// GitHub writes a workflow. GitHub's cron is in UTC: each schedule is called at its hour for every offset that its clock has, and
// what does not belong to the offset of the day goes no further.
func GitHub(all []*schedules.Schedule, o Options) (string, error) {
	if err := o.quiet(o.File); err != nil {
		return "", err
	}
	var b, jobs strings.Builder
	fmt.Fprintf(&b, `# Game days of calendar %s, as .github/workflows/gameday-%s.yml.
#
# It needs a runner of your own with the label gameday, which reaches what the scenarios touch, and which keeps the folder of what
# ran. A runner that forgets it knows nothing of missed occasions, and a job that is started again there runs a game day again.
# GitHub calls late at times: give schedules a window of some hours.
# It calls in the default branch alone, and not at all any more in a public repository in which nothing has happened for 60 days: let
# gameday fresh --fail-over look after that from elsewhere.
# What scenarios take by secret("NAME") is written to env of the step: NAME: ${{ secrets.NAME }}.
# The next checkout takes the records out of the workspace; they are kept as artifacts.
name: Game days of %s
on:
  schedule:
`, o.Calendar, o.Calendar, o.Calendar)
	for _, s := range o.chosen(all) {
		var cases []string
		crons := map[string][]string{} // with the offsets at which they count
		var order []string
		for _, ahead := range offsets(s.Zone) {
			for _, f := range inUTC(calls(s), ahead) {
				c := cronsOne(f)
				if crons[c] == nil {
					order = append(order, c)
				}
				crons[c] = append(crons[c], offsetText(ahead))
			}
		}
		if len(order) > maxCrons {
			return "", fmt.Errorf("schedule %q would need %d cron expressions in UTC; write it with fewer times a day", s.Name, len(order))
		}
		for _, c := range order {
			fmt.Fprintf(&b, "    - cron: %q # %s, when %s is %s from UTC\n", c, s.Name, s.Zone, strings.Join(crons[c], " or "))
			for _, off := range crons[c] {
				cases = append(cases, fmt.Sprintf("%q", c+" "+off))
			}
		}
		fmt.Fprintf(&jobs, `
  %s:
    runs-on: [self-hosted, gameday]
    timeout-minutes: %s
    if: contains(fromJSON('[%s]'), github.event.schedule)
    concurrency:
      group: gameday-%s-%s
      cancel-in-progress: false
    steps:
      - uses: actions/checkout@v4
      - name: Run what is due
        env:
          CALLED_BY: ${{ github.event.schedule }}
        run: |
          case "$CALLED_BY $(TZ=%s date +%%z)" in
            %s) ;;
            *) echo "the other half of the year"; exit 0 ;;
          esac
          gameday schedule run "%s" %s
      - name: Keep the records
        if: always()
        uses: actions/upload-artifact@v4
        with:
          name: gameday-%s
          path: runs
          if-no-files-found: ignore
`, jobID(s.Name), minutes(longest(s)), quotedList(order), o.Calendar, s.Name, s.Zone, strings.Join(cases, "|"), o.File, s.Name, s.Name)
	}
	b.WriteString("permissions:\n  contents: read\njobs:")
	b.WriteString(jobs.String())
	return b.String(), nil
}

// jobID returns a name that GitHub takes for a job: it begins with a letter or an underscore.
func jobID(name string) string {
	if name[0] >= '0' && name[0] <= '9' {
		return "_" + name
	}
	return name
}

func cronsOne(f schedules.Fields) string { return crons(f)[0] }

func quotedList(texts []string) string {
	var out []string
	for _, t := range texts {
		out = append(out, fmt.Sprintf("%q", t))
	}
	return strings.Join(out, ", ")
}

// offsetText prints an offset as `date +%z` does.
func offsetText(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	return fmt.Sprintf("%s%02d%02d", sign, int(d/time.Hour), int(d%time.Hour/time.Minute))
}

// GitLab writes jobs. When a pipeline comes is a setting of the project there, and not in a file: the comment says which.
func GitLab(all []*schedules.Schedule, o Options) (string, error) {
	if err := o.quiet(o.File, o.Image); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Game days of calendar %s, for .gitlab-ci.yml. Each needs a pipeline schedule (Build, Pipeline schedules, New schedule):
`, o.Calendar)
	for _, s := range o.chosen(all) {
		fmt.Fprintf(&b, "#   %s: interval pattern %q, cron timezone %s, variable GAMEDAY_SCHEDULE = %s\n", s.Name, cronsOne(calls(s)), s.Zone, s.Name)
	}
	b.WriteString(`#
# The runner with the tag gameday is your own: it reaches what the scenarios touch, and keeps the folder of what ran between jobs,
# as a volume at /var/lib/gameday. Where that is lost nothing is known of missed occasions, and a job that is started again runs a
# game day again.
#
# GitLab runs a job's script with the shell of its image, and gameday's own image has none. Build one that has both:
#   FROM docker.io/library/debian:stable-slim
#   COPY --from=GAMEDAY /usr/local/bin/ /usr/local/bin/
# With stages of your own, give each job one of them; without, it is in GitLab's stage test.
# What scenarios take by secret("NAME") are CI/CD variables of the project, masked and protected.
# The next job takes the records out of the workspace; they are kept as artifacts.
`)
	for _, s := range o.chosen(all) {
		fmt.Fprintf(&b, `
gameday-%s:
  image:
    name: %q
    entrypoint: [""]
  tags: [gameday]
  rules:
    - if: $CI_PIPELINE_SOURCE == "schedule" && $GAMEDAY_SCHEDULE == %q
  resource_group: gameday-%s-%s
  interruptible: false
  retry: 0
  timeout: %s minutes
  variables:
    GAMEDAY_SCHEDULE_STATE: /var/lib/gameday/schedules
  script:
    - gameday schedule run %q %s
  artifacts:
    when: always
    paths:
      - runs
`, s.Name, o.Image, s.Name, o.Calendar, s.Name, minutes(longest(s)), o.File, s.Name)
	}
	return b.String(), nil
}
