// Package export writes what calls `gameday schedule run` when the hours of schedules begin: systemd units, CronJobs of
// Kubernetes, a workflow of GitHub Actions, jobs of GitLab. What it writes may call more often than a schedule comes, and never
// less: the verb knows when nothing is due. So each also calls an hour later where the clock may jump over the hour, for on such
// a day none of them calls at all at that hour.
//
// The package is pure: what it returns is text.
package export

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/schedules"
)

// Options say what is called.
type Options struct {
	Calendar string // the calendar's name
	File     string // path of the calendar
	Name     string // only this schedule; empty for all
	Program  string // absolute path of gameday, for systemd
	Dir      string // the folder it runs in, for systemd: records are in runs/ there
	Image    string // for Kubernetes and GitLab
	// Announce says that the calendar tells people: systemd calls `gameday announce` every hour as well.
	Announce bool
}

// chosen returns the schedules that are asked for.
func (o Options) chosen(all []*schedules.Schedule) []*schedules.Schedule {
	return slices.DeleteFunc(slices.Clone(all), func(s *schedules.Schedule) bool { return o.Name != "" && s.Name != o.Name })
}

// lastJump is the hour of the day from which on no clock of a zone jumps in our days.
const lastJump = 5

// calls returns when a schedule's hours may begin, by the clock on the wall of its zone.
func calls(s *schedules.Schedule) schedules.Fields {
	var f schedules.Fields
	if s.Cron != nil {
		f = s.Cron.Fields()
		if s.Window != nil && len(s.Window.Days) > 0 && !f.Either {
			// Both must hold: those of the cron expression that the window has as well.
			f.Weekdays = both(f.Weekdays, weekdays(s.Window.Days))
		}
	} else {
		f = schedules.Fields{Minutes: []int{int(s.Window.From % time.Hour / time.Minute)}, Hours: []int{int(s.Window.From / time.Hour)}, Weekdays: weekdays(s.Window.Days)}
	}
	for _, h := range slices.Clone(f.Hours) {
		if h < lastJump && !slices.Contains(f.Hours, h+1) {
			f.Hours = append(f.Hours, h+1)
		}
	}
	slices.Sort(f.Hours)
	return f
}

func weekdays(days []time.Weekday) []int {
	var out []int
	for _, d := range days {
		out = append(out, int(d))
	}
	slices.Sort(out)
	if len(out) == 7 {
		return nil
	}
	return out
}

// both returns what two sets have in common; nil is everything.
func both(a, b []int) []int {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(x int) bool { return !slices.Contains(b, x) })
}

// list writes a set as cron and systemd do.
func list(set []int, form string) string {
	if set == nil {
		return "*"
	}
	var out []string
	for _, x := range set {
		out = append(out, fmt.Sprintf(form, x))
	}
	return strings.Join(out, ",")
}

// crons writes a set of fields as cron expressions. A weekday and a day of the month in one of them mean either; where both must
// hold, the days of the month alone are written, which are more.
func crons(f schedules.Fields) []string {
	weekdays := f.Weekdays
	if !f.Either && f.Days != nil {
		weekdays = nil
	}
	return []string{fmt.Sprintf("%s %s %s %s %s", list(f.Minutes, "%d"), list(f.Hours, "%d"), list(f.Days, "%d"), list(f.Months, "%d"), list(weekdays, "%d"))}
}

// longest returns how long a call may wait and run: the window, and the scenarios.
func longest(s *schedules.Schedule) time.Duration {
	d := schedules.Late + 2*s.Length()
	if w := s.Window; w != nil {
		d = w.To - w.From + s.Length()
		if w.To <= w.From {
			d += 24 * time.Hour
		}
	}
	return d + time.Hour // a run takes longer than planned, and a day may have 25 hours
}

// quiet reports names that cannot stand where they must.
func (o Options) quiet(texts ...string) error {
	for _, t := range texts {
		if strings.ContainsAny(t, "\n\r\"'\\$%`") {
			return fmt.Errorf("%q has characters that cannot stand in what is written; give it another name", t)
		}
	}
	return nil
}

var dayNames = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// onCalendar writes a set of fields as systemd does.
func onCalendar(f schedules.Fields, zone string) []string {
	line := func(weekdays, days []int) string {
		var names []string
		for _, d := range weekdays {
			names = append(names, dayNames[d])
		}
		day := strings.Join(names, ",")
		if day != "" {
			day += " "
		}
		return fmt.Sprintf("%s*-%s-%s %s:%s:00 %s", day, list(f.Months, "%02d"), list(days, "%02d"), list(f.Hours, "%02d"), list(f.Minutes, "%02d"), zone)
	}
	if f.Either {
		return []string{line(nil, f.Days), line(f.Weekdays, nil)}
	}
	return []string{line(f.Weekdays, f.Days)}
}

// Systemd writes a service and a timer for each schedule, each behind a line with its file's name.
func Systemd(all []*schedules.Schedule, o Options) (string, error) {
	if err := o.quiet(o.File, o.Program, o.Dir); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Units for calendar %s. Put each part into the file that its first line names, then:\n", o.Calendar)
	b.WriteString("#   systemctl daemon-reload\n")
	for _, s := range o.chosen(all) {
		fmt.Fprintf(&b, "#   systemctl enable --now %s.timer\n", o.unit(s))
	}
	if o.Announce {
		fmt.Fprintf(&b, "#   systemctl enable --now %s.timer\n", o.announceUnit())
	}
	file := "/etc/gameday/" + o.Calendar + ".env"
	fmt.Fprintf(&b, "# %s sets the variables that scenarios take by secret() and notify blocks name, a NAME=VALUE a line; chmod 600.\n", file)
	environment := "EnvironmentFile=-" + file + "\n"
	for _, s := range o.chosen(all) {
		unit := o.unit(s)
		fmt.Fprintf(&b, `
# /etc/systemd/system/%s.service
[Unit]
Description=Game day %s of calendar %s
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory=%s
%sExecStart="%s" schedule run "%s" %s
# It waits for its moment, and then runs. At a stop every fault is reverted first.
TimeoutStartSec=%d
TimeoutStopSec=660
KillMode=mixed
# A game day that failed, or was inconclusive, is a result; the journal and the record have it.
SuccessExitStatus=1 3

# /etc/systemd/system/%s.timer
[Unit]
Description=When the hours of game day %s of calendar %s begin

[Timer]
`, unit, s.Name, o.Calendar, systemdPath(o.Dir), environment, o.Program, o.File, s.Name, int(longest(s).Seconds()), unit, s.Name, o.Calendar)
		for _, c := range onCalendar(calls(s), s.Zone.String()) {
			fmt.Fprintf(&b, "OnCalendar=%s\n", c)
		}
		b.WriteString("AccuracySec=1s\n# After a time in which the machine was off: what was missed is said, or made up for.\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n")
	}
	if o.Announce {
		unit := o.announceUnit()
		fmt.Fprintf(&b, `
# /etc/systemd/system/%s.service
[Unit]
Description=Announcements of calendar %s
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory=%s
%sExecStart="%s" announce "%s"

# /etc/systemd/system/%s.timer
[Unit]
Description=When game days of calendar %s are announced

[Timer]
OnCalendar=hourly
Persistent=true

[Install]
WantedBy=timers.target
`, unit, o.Calendar, systemdPath(o.Dir), environment, o.Program, o.File, unit, o.Calendar)
	}
	return b.String(), nil
}

// announceUnit names the units of announcements. No schedule's units are called so: their names have no underscore.
func (o Options) announceUnit() string {
	return "gameday_announce-" + strings.ReplaceAll(o.Calendar, "_", "-")
}

func systemdPath(p string) string { return cmp.Or(p, "/") }

func (o Options) unit(s *schedules.Schedule) string {
	return "gameday-" + strings.ReplaceAll(o.Calendar, "_", "-") + "-" + s.Name
}

// objectName is how Kubernetes wants the names of most objects (RFC 1123).
var objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// cronJobText is the manifest of one schedule's CronJob.
const cronJobText = `---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: %s
  namespace: gameday
  labels:
    app.kubernetes.io/name: gameday
spec:
  schedule: %q
  timeZone: %q
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: %d # one that comes late may still begin in its hours
  jobTemplate:
    metadata:
      labels:
        app.kubernetes.io/name: gameday
    spec:
      backoffLimit: 0 # a game day that failed is a result, and not a reason for another one
      activeDeadlineSeconds: %d # it waits for its moment, and then runs
      template:
        metadata:
          labels:
            app.kubernetes.io/name: gameday
          annotations:
            cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
        spec:
          serviceAccountName: gameday
          restartPolicy: Never
          terminationGracePeriodSeconds: 660 # every fault is reverted first
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            fsGroup: 65532
            fsGroupChangePolicy: OnRootMismatch
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: gameday
              image: %q
              args: [schedule, run, --heal, --runs, /var/lib/gameday/runs, %q, %q]
              env:
                - name: GAMEDAY_SCHEDULE_STATE
                  value: /var/lib/gameday/schedules
              envFrom:
                - secretRef:
                    name: gameday
                    optional: true
              resources:
                requests:
                  cpu: "1"
                  memory: 512Mi
                limits:
                  memory: 2Gi
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
              volumeMounts:
                - name: calendar
                  mountPath: /calendar
                  readOnly: true
                - name: records
                  mountPath: /var/lib/gameday
                - name: tmp
                  mountPath: /tmp
          volumes:
            - name: calendar
              configMap:
                name: calendar
            - name: records
              persistentVolumeClaim:
                claimName: records
            - name: tmp
              emptyDir: {}
`

// CronJob writes a CronJob for each schedule. They are meant to stand beside what deploy/kubernetes makes: its account, its
// volume of records, its secret.
func CronJob(all []*schedules.Schedule, o Options) (string, error) {
	if err := o.quiet(o.File, o.Image); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# CronJobs for calendar %s. The calendar, its scenarios and its freezes are in a ConfigMap:
#   kubectl -n gameday create configmap calendar --from-file=FOLDER
# What ran, and the seed, are on the volume of the records. The jobs of one calendar must share it.
`, o.Calendar)
	for _, s := range o.chosen(all) {
		name := o.unit(s)
		if len(name) > 52 {
			return "", fmt.Errorf("the CronJob %s has a name of more than 52 characters, which Kubernetes does not take; give the calendar a shorter name", name)
		}
		if !objectName.MatchString(name) {
			return "", fmt.Errorf("the CronJob %s has a name that Kubernetes does not take: it must end with a letter or a digit; give the schedule another name", name)
		}
		for i, c := range crons(calls(s)) {
			if i > 0 {
				return "", errors.New("a schedule needs two CronJobs")
			}
			fmt.Fprintf(&b, cronJobText, name, c, s.Zone, int((longest(s) - time.Hour).Seconds()), int(longest(s).Seconds()), o.Image, "/calendar/"+path.Base(o.File), s.Name)
		}
	}
	return b.String(), nil
}

// minutes prints a length in whole minutes, rounded up.
func minutes(d time.Duration) string {
	return strconv.Itoa(int((d + time.Minute - 1) / time.Minute))
}
